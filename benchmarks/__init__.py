"""What chainrule's speed is tracked by: asv suites here, comparisons with others in peers/."""

import os

from benchmarks.threads import limit_threads

if "OMP_NUM_THREADS" not in os.environ:
    limit_threads(1)

"""What chainrule's speed is tracked by: asv suites here, comparisons with others in peers/."""

from benchmarks.threads import limit_threads

limit_threads(1)

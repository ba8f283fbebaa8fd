"""Benchmarks: asv suites, and in peers/ the comparisons with other libraries."""

import os

# One thread, unless the caller says otherwise. BLAS and XLA read it when they are loaded: before
# chainrule's own function for it could be imported, which loads NumPy.
if "OMP_NUM_THREADS" not in os.environ:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

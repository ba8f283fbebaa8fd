"""Limits to the threads and cores of all libraries."""

import os


def limit_threads(threads: int) -> None:
    """Set the environment variables of BLAS, OpenMP and XLA, for processes started from here."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    several = "true" if threads > 1 else "false"
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={several} intra_op_parallelism_threads={threads}"
    )


def pin_to_cores(cores: int) -> None:
    """Pin this process to ``cores`` cores, if the system can: XLA has further threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])

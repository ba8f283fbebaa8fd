"""How many threads a peer may use."""

import os


def limit_threads(threads: int) -> None:
    """Set what BLAS, OpenMP and XLA read when a process begun from here loads them."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    several = "true" if threads > 1 else "false"
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={several} intra_op_parallelism_threads={threads}"
    )


def pin_to_cores(cores: int) -> None:
    """Keep this process to so many cores, where the system can: XLA also has threads of its own."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])

"""How many threads a suite may use."""

import os

import chainrule as cr

THREADS = (1, 2)


def use_threads(threads: int) -> None:
    """Let chainrule use so many; asv leaves out what the machine has too few cores for."""
    if threads > (os.cpu_count() or 1):
        raise NotImplementedError(f"{threads} threads need {threads} cores")
    cr.set_num_threads(threads)

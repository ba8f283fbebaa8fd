"""How many threads a computation may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from chainrule.utils.arguments import integer

__all__ = ["get_num_threads", "set_num_threads", "threads"]

# What people set for their other numerical libraries, the most particular first.
VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


def _default() -> int:
    """Return what the environment asks for, else the cores that this process may use."""
    for name in VARIABLES:
        value = os.environ.get(name, "").strip()
        if value.isdecimal() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_everywhere = _default()
_here: ContextVar[int | None] = ContextVar("threads", default=None)


def get_num_threads() -> int:
    """Return how many threads a computation may use.

    At first that is ``NUMBA_NUM_THREADS`` or ``OMP_NUM_THREADS``, where one of them is set when
    chainrule is imported; else the number of cores that the process may use.
    """
    return _here.get() or _everywhere


def set_num_threads(n: int) -> None:
    """Allow every computation from now on so many threads, at least 1.

    It is a limit: a computation takes fewer where more would not make it faster. How many it takes
    does not change the parameters that a training ends with, not by a bit.

    Examples
    --------
    >>> import chainrule as cr
    >>> before = cr.get_num_threads()
    >>> cr.set_num_threads(1)
    >>> cr.get_num_threads()
    1
    >>> cr.set_num_threads(before)
    """
    global _everywhere
    _everywhere = integer(n, "n", least=1)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Allow so many threads, at least 1, inside a ``with`` block.

    Other threads of the program keep their own limit.

    Examples
    --------
    >>> import chainrule as cr
    >>> with cr.threads(1):
    ...     cr.get_num_threads()
    1
    """
    token = _here.set(integer(n, "n", least=1))
    try:
        yield
    finally:
        _here.reset(token)

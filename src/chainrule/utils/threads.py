"""How many threads a computation may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from chainrule.utils.arguments import integer

__all__ = ["get_num_threads", "set_num_threads", "threads"]

# Variables of other numerical libraries, the most specific one first.
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

    The default is ``NUMBA_NUM_THREADS`` or ``OMP_NUM_THREADS``, if one of them is set when
    chainrule is imported; else the number of cores that the process may use.
    """
    return _here.get() or _everywhere


def set_num_threads(n: int) -> None:
    """Set the number of threads that every computation may use, at least 1.

    It is a limit: a computation uses fewer if more would not make it faster. The number of threads
    changes no bit of the result.

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
    """Set the number of threads, at least 1, inside a ``with`` block.

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

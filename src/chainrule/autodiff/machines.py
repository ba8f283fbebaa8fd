"""Machines for derivatives: kept by each network, so that a second call allocates little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.backends import threads_for
from chainrule.engine.machine import Machine
from chainrule.engine.pool import MachinePool
from chainrule.network import Sequential

MOST_MACHINES, MOST_BYTES = 16, 1 << 26  # that are kept for the next call, of each network
MOST_ROWS = 4096  # that go through the network at a time

_pools: WeakKeyDictionary[Sequential, MachinePool] = WeakKeyDictionary()


def pool_of(net: Sequential) -> MachinePool:
    """Return the network's machines that are not in use."""
    pool = _pools.get(net)
    return _pools.setdefault(net, MachinePool(MOST_MACHINES, MOST_BYTES)) if pool is None else pool


def take(net: Sequential, shape: tuple[int, ...], rows: int, **options: Any) -> tuple[Any, Machine]:
    """Take a machine for so many rows of ``shape`` out of the network's pool, and its key there.

    ``options`` are those of :meth:`Sequential.make_plan`.
    """
    options["threads"] = threads_for(net.backend)
    key = shape, rows, *options.items()

    def make() -> Machine:
        return Machine(net.make_plan(shape, rows, **options), net.dtype, net.backend)

    return key, pool_of(net).take(key, make)


@contextmanager
def borrowed(
    net: Sequential, shape: tuple[int, ...], rows: int, **options: Any
) -> Iterator[Machine]:
    """Take a machine out of the network's pool for a while."""
    key, machine = take(net, shape, rows, **options)
    yield machine
    pool_of(net).put_back(key, machine)


def blocks(rows: int) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of all rows, so many as go through the network at a time.

    >>> [block.size for block in blocks(5000)]
    [4096, 904]
    """
    order = np.arange(rows)
    for begin in range(0, rows, MOST_ROWS):
        yield order[begin : begin + MOST_ROWS]

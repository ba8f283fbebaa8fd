"""Machines for derivatives and training: a pool for each network, used again by later calls."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, finalize

import numpy as np

from chainrule.engine.backends import threads_for
from chainrule.engine.machine import Machine
from chainrule.engine.pool import MachinePool
from chainrule.kernels.context import Phase
from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.plan import Plan
from chainrule.utils.arrays import FloatArray

MOST_MACHINES, MOST_BYTES = 16, 1 << 26  # in the pool of each network
MOST_ROWS = 4096  # that go through the network at a time

PlanMaker = Callable[..., Plan]  # (net, shape, rows, threads=..., **options)

_pools: WeakKeyDictionary[Sequential, MachinePool] = WeakKeyDictionary()


def take(
    net: Sequential,
    plan: PlanMaker,
    shape: tuple[int, ...],
    rows: int,
    *,
    backend: str | None = None,
    **options: Any,
) -> tuple[Hashable, Machine]:
    """Take a machine for ``plan(net, shape, rows, ...)`` out of the network's pool.

    Returns also the key under which it is to be put back, unless it has failed. ``backend`` is the
    network's by default.
    """
    backend = backend or net.backend
    threads = threads_for(backend)
    key = plan, shape, rows, threads, backend, *options.items()

    def make() -> Machine:
        made = plan(net, shape, rows, threads=threads, **options)
        return Machine(made, net.dtype, backend)

    return key, _pool_of(net).take(key, make)


def put_back(net: Sequential, key: Hashable, machine: Machine) -> None:
    """Return a machine that :func:`take` took to the pool."""
    _pool_of(net).put_back(key, machine)


@contextmanager
def borrowed(
    net: Sequential, plan: PlanMaker, shape: tuple[int, ...], rows: int, **options: Any
) -> Iterator[Machine]:
    """Take a machine as :func:`take` does, and put it back at the end of the block."""
    key, machine = take(net, plan, shape, rows, **options)
    yield machine
    put_back(net, key, machine)


def return_with(owner: object, net: Sequential, key: Hashable, machine: Machine) -> None:
    """Put a machine back into the network's pool when ``owner`` is garbage collected."""
    finalize(owner, _pool_of(net).put_back, key, machine)


def run_backward(
    machine: Machine, rows: int, params: FloatArray, gradients: Sequence[FloatArray | float]
) -> tuple[FloatArray, FloatArray]:
    """Run the backward pass from the outputs' gradients; return those by the parameters and x."""
    machine.start_back_with(gradients, rows)
    d_params = np.zeros_like(params)
    machine.run(Phase.BACKWARD | Phase.INPUT_GRADIENT, rows, params=params, grads=d_params)
    return d_params, machine.rows_at("d_input", rows).copy()


def blocks(rows: int, loss: Loss | None = None) -> Iterator[slice]:
    """Yield parts of so many rows as go through a network at a time.

    All at once, if the loss is no mean over the parts.

    >>> [(block.start, block.stop) for block in blocks(5000)]
    [(0, 4096), (4096, 5000)]
    """
    most = MOST_ROWS if loss is None or loss.is_one_mean else rows
    for begin in range(0, rows, most):
        yield slice(begin, min(begin + most, rows))


def _pool_of(net: Sequential) -> MachinePool:
    pool = _pools.get(net)
    if pool is None:
        pool = _pools[net] = MachinePool(MOST_MACHINES, MOST_BYTES)
    return pool

"""Machines for derivatives and training: a pool for each network, reused by later calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import Any
from weakref import finalize

import numpy as np

from chainrule.autodiff.validation import X
from chainrule.engine.backends import threads_for
from chainrule.engine.machine import Machine
from chainrule.kernels.context import Phase
from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.plan import Plan
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import Batch, arrays_of, one_or_tuple

MOST_ROWS = 4096  # in one block

PlanMaker = Callable[..., Plan]  # (net, shape, rows, threads=..., **options)


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

    Also return the key for :func:`put_back`. ``backend`` is the network's by default.
    """
    backend = backend or net.backend
    key = key_of(net, plan, shape, rows, backend=backend, **options)
    machine = net.machines.take(key)
    if machine is None:
        made = plan(net, shape, rows, threads=threads_for(backend), **options)
        machine = net.make_machine(made, backend)
    return key, machine


def key_of(
    net: Sequential,
    plan: PlanMaker,
    shape: tuple[int, ...],
    rows: int,
    *,
    backend: str | None = None,
    **options: Any,
) -> Hashable:
    """Return the key in the network's pool of what :func:`take` takes."""
    backend = backend or net.backend
    return plan, shape, rows, threads_for(backend), backend, *options.items()


def put_back(net: Sequential, key: Hashable, machine: Machine) -> None:
    """Return a machine that :func:`take` took to the pool."""
    net.machines.put_back(key, machine)


class borrowed:  # noqa: N801 - it is used as a function
    """Take a machine as :func:`take` does, and put it back at the end of a ``with`` block.

    After an exception in the block it is not put back.
    """

    def __init__(
        self, net: Sequential, plan: PlanMaker, shape: tuple[int, ...], rows: int, **options: Any
    ) -> None:
        self._net = net
        self._key, self._machine = take(net, plan, shape, rows, **options)

    def __enter__(self) -> Machine:
        return self._machine

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            put_back(self._net, self._key, self._machine)


def return_with(owner: object, net: Sequential, key: Hashable, machine: Machine) -> None:
    """Put a machine back into the network's pool when ``owner`` is garbage collected."""
    finalize(owner, net.machines.put_back, key, machine)


def backward_phases(names: Collection[str]) -> int:
    """Return the phases of a backward pass to what is named: "params", "x" or both."""
    return Phase.BACKWARD | (Phase.INPUT_GRADIENT if X in names else 0)


def seed_inputs(machine: Machine, directions: Batch) -> None:
    """Write the direction in which each input changes into the arena."""
    for i, direction in enumerate(arrays_of(directions)):
        machine.rows_at("seed", len(direction), i)[...] = direction


def run_backward(
    machine: Machine, rows: int, params: FloatArray, gradients: Sequence[FloatArray | float]
) -> tuple[FloatArray, Any]:
    """Run the backward pass from the outputs' gradients; return the gradients by params and x."""
    machine.start_back_with(gradients, rows)
    d_params = np.zeros(params.size, params.dtype)
    vectors = machine.vectors(params, grads=d_params)
    machine.run(Phase.BACKWARD | Phase.INPUT_GRADIENT, rows, vectors)
    return d_params, one_or_tuple([gradient.copy() for gradient in machine.input_gradients(rows)])


def blocks(net: Sequential, rows: int, loss: Loss | None = None) -> Iterator[slice]:
    """Yield the blocks of rows that are computed one after the other.

    All at once, if the loss is no mean over the parts, or rows depend on each other.

    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1))
    >>> [(block.start, block.stop) for block in blocks(net, 5000)]
    [(0, 4096), (4096, 5000)]
    """
    is_mean = (loss is None or loss.is_one_mean) and net.graph.rows_are_independent
    most = MOST_ROWS if is_mean else rows
    for begin in range(0, rows, most):
        yield slice(begin, min(begin + most, rows))

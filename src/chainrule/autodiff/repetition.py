"""Derivatives for loops in Python: prepared once for small batches of one shape, and kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from chainrule.autodiff.machines import PlanMaker, key_of, put_back
from chainrule.autodiff.validation import X
from chainrule.engine.backends import threads_for
from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import Machine
from chainrule.engine.pool import UsesMachine
from chainrule.losses import OutputLoss
from chainrule.losses.loss import TargetCheck
from chainrule.models.sequential import Sequential
from chainrule.utils.inputs import one_or_tuple, shape_of

MOST_BYTES = 1 << 20  # in an arena

Options = tuple[Hashable, ...]


class Prepared(UsesMachine):
    """A derivative for batches of one shape.

    Called with the arguments of :func:`repeat`, it returns None where these need a closer look.
    """

    def __call__(self, *arguments: Any) -> Any:
        raise NotImplementedError


class PreparedLoss(Prepared):
    """A derivative of the loss of one output, by parameters, the input, or both.

    Parameters
    ----------
    machine : Machine
    net : Sequential
    shape : of the batch.
    loss : OutputLoss
    names : what to differentiate by.
    """

    def __init__(
        self,
        machine: Machine,
        net: Sequential,
        shape: tuple[Any, ...],
        loss: OutputLoss,
        names: tuple[str, ...],
    ) -> None:
        super().__init__(machine)
        self._parameters, self._by_x = net.params.shape, X in names
        output_shape = shape[0], *machine.plan.output_shapes[0]
        self._check_target = TargetCheck(loss, output_shape, machine.dtype)
        self._d_inputs = machine.input_gradients(shape[0])

    def input_gradient(self) -> Any:
        """Return the latest gradient by the input, or a tuple of those by all."""
        return one_or_tuple([gradient.copy() for gradient in self._d_inputs])


# Makes what is prepared, from a machine for the plan, the network, the shape and the options.
Kind = Callable[..., Prepared]


def repeat(net: Sequential, kind: Kind, x: Any, options: Options, *arguments: Any) -> Any:
    """Return the result for a batch of x's shape if that is prepared for, otherwise None."""
    shape = shape_of(x)
    if shape is None:
        return None
    pool, key = net.prepared, (kind, shape, threads_for(net.backend), *options)
    found = pool.take(key)
    if found is None:
        return None
    result = found(*arguments)
    pool.put_back(key, found)
    return result


def prepare(
    net: Sequential,
    kind: Kind,
    shape: tuple[Any, ...],
    options: Options,
    plan: PlanMaker,
    **plan_options: Any,
) -> None:
    """Prepare for further batches of this shape, by the machine that the pool has from this one.

    Not where the work is for threads or for Python, or where the machine was too large to keep, or
    was one for a block of the rows.
    """
    pool, key = net.prepared, (kind, shape, threads_for(net.backend), *options)
    if net.takes_codes or key in pool:
        return
    taken = key_of(net, plan, shape[1:], shape[0], **plan_options)
    machine = net.machines.take(taken)
    if machine is None:
        return
    if BatchRun.can_use(machine) and machine.arena.nbytes <= MOST_BYTES:
        pool.put_back(key, kind(machine, net, shape, *options))
    else:
        put_back(net, taken, machine)

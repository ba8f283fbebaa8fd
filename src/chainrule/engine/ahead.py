"""Ahead-of-time compilation of the functions of sample steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate, product
from math import prod
from typing import Any

import numpy as np

from chainrule.engine.backends import get_run
from chainrule.engine.update import Run, UpdateOptions, UpdateProgram
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import (
    Operation,
    ParameterUse,
    Tensor,
    all_operations,
    find,
)
from chainrule.operations.update import UpdateOperation
from chainrule.plan.builder import PlanBuilder
from chainrule.plan.call import CHUNK, Call
from chainrule.plan.loss import Head
from chainrule.plan.plan import Plan, make_plan
from chainrule.plan.tables import Table
from chainrule.plan.tangent import Tangents

OF_MLP = "linear", "relu"
LEAST_TO_FOLD = 2  # rows of a batch, for a weight of this shape
SHAPE = (2,)  # of a row; the machine code is the same for all lengths

# Parameters of functions that are not operands, parameters or hyperparameters of the step.
_OF_STEPS = {"x", "dx", "y", "dy", "temporary", "adds", "scratch", "begin"}
_OF_STEPS |= {"cleared", "mask_key", "mask_draw", "position"}
_OF_LOSSES = {"output", "target", "label", "weight", "total", "terms", "d_output"}
_OF_UPDATES = {"params", "grads", "lr", "step", "weight_decay"}


def compile_ahead(dtype: np.dtype, *, everything: bool) -> int:
    """Compile the functions of an MLP with any loss and optimizer, or of all operations.

    Every operation is compiled with its first derivatives and its tangent. Return the number of
    compiled functions.
    """
    from chainrule.engine.interpreter import signature_of  # loads Numba
    from chainrule.engine.orders import EpochOrders
    from chainrule.kernels.compilation import compile_functions

    EpochOrders(2, 0).epochs(0, 1)
    wanted = [(call.function, call.kinds) for call in calls_ahead(dtype, everything=everything)]
    compiled: int = compile_functions(wanted, dtype, get_run("numba"), signature_of(dtype))
    return compiled


def calls_ahead(dtype: np.dtype, *, everything: bool) -> list[Call]:
    """Return calls of all functions that :func:`compile_ahead` compiles."""
    found = all_operations()
    calls: list[Call] = []
    for operation in found.values():
        if isinstance(operation, LossOperation):
            calls += _plan_of_loss(operation, dtype, several=False).program
            if everything:
                calls += _plan_of_loss(operation, dtype, several=True).program
        elif isinstance(operation, UpdateOperation):
            calls += _calls_of_update(operation, dtype, everything)
    if everything:
        steps = [o for o in found.values() if isinstance(o, Operation)]
        for step in steps:
            calls += _plan_of([step], dtype, tangent=False).program
            if step.prefers_chunks is not None:  # gradients are computed in two ways
                calls += _plan_of([step], dtype, tangent=False, retain=True).program
                calls += _plan_of([step], dtype, tangent=False, bias=False).program
                calls += _plan_of([step], dtype, tangent=False, retain=True, bias=False).program
            if step.tangent is not None:
                calls += _plan_of([step], dtype, tangent=True).program
        calls += _plan_that_folds(steps, dtype).program
    else:
        # Two linear layers, as the one after an activation has other arguments.
        calls += _plan_of([found[name] for name in 2 * OF_MLP], dtype, tangent=False).program
    return calls


def _plan_of(
    operations: Iterable[Operation],
    dtype: np.dtype,
    *,
    tangent: bool,
    retain: bool = False,
    bias: bool = True,
) -> Plan:
    """Return a plan of these operations in sequence and its backward pass, or of its tangent."""
    chain = list(operations)
    builder, x = PlanBuilder(training=True), Tensor(chain[0].sample.get("shape", SHAPE))
    y = x
    for builder.layer, operation in enumerate(chain):
        y = _apply(builder, operation, y, bias=bias)
    shapes = {u.name: u.shape for s in builder.steps for u in s.parameters.values()}
    of_buffers = {u.name: 0 for s in builder.steps for u in s.buffers.values()}
    offsets = of_buffers | dict(
        zip(shapes, accumulate(map(prod, shapes.values()), initial=0), strict=False)
    )
    heads, seeds = [Head(y)], []
    if tangent:
        seeds = [Tensor(x.shape)]
        tangents = Tangents(builder, parameters_change=True, seeds=[(x, seeds[0])])
        tangents.append(list(builder.steps))
        change = tangents.of(y)
        heads += [] if change is None else [Head(change)]
    return make_plan(
        builder, [x], heads, offsets=offsets, batch=1, dtype=dtype, seeds=seeds, retain=retain
    )


def _plan_that_folds(operations: Iterable[Operation], dtype: np.dtype) -> Plan:
    """Return a plan of a prediction, with all that can be folded into a linear layer."""
    builder, x = PlanBuilder(), Tensor(SHAPE)
    y = x
    for builder.layer, operation in enumerate(
        [find(OF_MLP[0]), *(o for o in operations if o.by_column is not None)]
    ):
        y = _apply(builder, operation, y)
    offsets = {
        u.name: 0 for s in builder.steps for u in [*s.parameters.values(), *s.buffers.values()]
    }
    return make_plan(
        builder, [x], [Head(y)], offsets=offsets, batch=LEAST_TO_FOLD, dtype=dtype, backward=False
    )


def _apply(builder: PlanBuilder, operation: Operation, x: Tensor, *, bias: bool = True) -> Tensor:
    """Append a step with the operation's sample arguments, or without a bias."""
    own = operation.names - _OF_STEPS - set(operation.operands)
    own = own if bias else own - {"bias"}
    written = {name.removeprefix("d_") for name in own if name.startswith("d_")}
    saved, sums, buffers = (operation.sample.get(kind, {}) for kind in ("saved", "sums", "buffers"))
    known = {*saved, *sums, *buffers, *(CHUNK + name for name in sums)}
    own = frozenset(name for name in own - known if not name.startswith("d_"))
    parameters = {
        name: ParameterUse(f"{builder.layer}.{name}", operation.sample[name])
        for name in sorted(own & (written | {*operation.gradients}))
    }
    numbers = {name: operation.sample.get(name, 1.0) for name in own - {*parameters, "bias"}}
    operands = [x] * len(operation.operands)
    return builder.apply(
        operation,
        *operands,
        parameters=parameters,
        numbers=numbers,
        saved={name: Tensor(shape) for name, shape in saved.items()},
        buffers={name: ParameterUse(name, shape) for name, shape in buffers.items()},
        sums=sums,
    )


def _plan_of_loss(loss: LossOperation, dtype: np.dtype, *, several: bool) -> Plan:
    """Return a plan of a loss, with ``several`` as one of several, with another weight than 1."""
    output = Tensor(SHAPE)
    names = {*loss.forward.names, *(loss.row_weight.names if loss.row_weight else ())}
    numbers = {name: loss.sample.get(name, 1.0) for name in names - _OF_LOSSES}
    target = None if loss.takes_labels else SHAPE
    heads = [Head(output, loss, numbers, 2.0 if several else 1.0, target)]
    if several:
        heads.append(replace(heads[0], output=output))
    return make_plan(PlanBuilder(), [output], heads, offsets={}, batch=1, dtype=dtype)


def _calls_of_update(rule: UpdateOperation, dtype: np.dtype, everything: bool) -> Iterator[Call]:
    """Yield a rule's calls, without and with optional state.

    With everything, there are clipping, averaging, frozen parameters and factors of the rate, too.
    """
    names = set(rule.update.names) - _OF_UPDATES - set(rule.state)
    options = UpdateOptions(1.0, 1.0, 0.5) if everything else UpdateOptions()
    optional = list(rule.optional.values())
    for chosen in product((0, 1), repeat=len(optional)):
        numbers: dict[str, Any] = {name: rule.sample.get(name, 1.0) for name in names}
        for name, value in zip(optional, chosen, strict=True):
            numbers[name] = type(numbers[name])(value)
        runs, frozen = [Run(0, 1, 0.0)], []
        if everything and rule.of_rows is not None and not any(chosen):
            plain = numbers | dict.fromkeys(rule.of_rows_without, 0.0)
            table = Table(0, 1, 1, (0,), ((1,),))
            only = UpdateOptions(tables=(table,))
            yield from UpdateProgram(1, dtype, only, rule.name, plain, runs).program
        if everything:
            runs, frozen = [*runs, Run(1, 2, 0.0, lr_factor=0.5)], [(2, 3)]
        yield from UpdateProgram(3, dtype, options, rule.name, numbers, runs, frozen).program

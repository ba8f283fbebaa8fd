"""Folding, in predictions: what scales and shifts columns, behind a product, is made in its weight.

A normalization by known statistics, and its weight and bias, would be passes over the product's
output. The weight is folded anew for each batch, as parameters change between runs; so it must be
smaller than the output.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from chainrule.kernels import context
from chainrule.operations.operation import Step, Tensor, function
from chainrule.plan.argument import whole, word
from chainrule.plan.call import Call, Caller, call_with, column_argument

# Of a batch that a prediction is computed in: a plan for more threads has more rows, but what is
# folded must not depend on the number of threads.
MOST_ROWS = 256


class Folded(NamedTuple):
    """A step, and those behind it that are folded into it.

    Attributes
    ----------
    step : gives what the last of them does.
    behind : how many are folded.
    calls : make the weight and the bias.
    buffers : where these are, by name.
    """

    step: Step
    behind: int
    calls: list[Call]
    buffers: Mapping[str, Hashable]


def folded(
    caller: Caller, steps: Sequence[Step], readers: Mapping[object, int], batch: int
) -> Folded | None:
    """Return the first step with those behind it that can be folded into it; None without any."""
    first, rows = steps[0], min(batch, MOST_ROWS)
    weight = first.parameters.get("weight")
    if weight is None or not first.operation.weighs_columns or first.along_direction:
        return None
    if prod(weight.shape) > rows * first.y.size:
        return None
    behind: list[Step] = []
    y: Tensor = first.y
    for step in steps[1:]:
        by_column = step.operation.by_column is not None and not step.along_direction
        has_columns = step.x.shape[-1] == y.shape[-1]
        if not (by_column and has_columns and follows(step, y)) or readers[y.buffer] > 1:
            break
        behind.append(step)
        y = step.y
    if not behind:
        return None
    buffers: dict[str, Hashable] = {name: ("folded", name, first) for name in ("weight", "bias")}
    calls = [_start(caller, first)]
    for step in behind:
        assert step.operation.by_column is not None
        calls.append(caller.call(step, step.operation.by_column))
    calls.append(_finish(caller, first, buffers))
    last = Tensor(first.y.shape, y.buffer)  # the others may be of another shape
    return Folded(first.giving(last), len(behind), calls, buffers)


def follows(step: Step, y: Tensor) -> bool:
    """Tell whether a step takes a value, maybe reshaped, and no other one."""
    return len(step.operands) == 1 and step.x.buffer is y.buffer


def _start(caller: Caller, step: Step) -> Call:
    from chainrule.kernels.fold import start_fold  # loads Numba

    return caller.call(step, function(start_fold))


def _finish(caller: Caller, step: Step, buffers: Mapping[str, Hashable]) -> Call:
    from chainrule.kernels.fold import fold  # loads Numba

    use, columns = step.parameters["weight"], step.y.shape[-1]
    shape = prod(use.shape[:-1]), columns
    given = {
        "weight": whole(context.PARAMS, caller.offsets[use.name] * caller.item, shape),
        "scale": column_argument("scale", columns, caller.item),
        "shift": column_argument("shift", columns, caller.item),
        "thread": word(context.THREAD),
        "threads": word(context.THREADS),
        "folded": whole(context.ARENA, buffers["weight"], shape),
        "folded_bias": whole(context.ARENA, buffers["bias"], (columns,)),
    }
    return call_with(function(fold), given, "fold")

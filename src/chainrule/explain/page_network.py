"""The network as data, from which the page computes: its steps, its parameters and the batch.

The steps are those of the plan, with nothing fused, so that a layer needs nothing of its own here.
What a step's operation does stands in a file of its name in the folder page/operations. A network
with an operation that has none, or that is too large, has no such description.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from math import isfinite
from typing import Any

import numpy as np

from chainrule.explain.retained import makers
from chainrule.explain.step import Float64
from chainrule.layers.activation import Elementwise
from chainrule.losses import Loss, Targets
from chainrule.models.sequential import Sequential
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Numbers, Operation, Step, Tensor, find
from chainrule.plan import Plan
from chainrule.utils.arrays import FloatArray

# Of parameters and batch, as text: 100,000 numbers of float32 take 530,000.
MOST_BYTES = 700_000


def script_of(operation: str) -> Traversable:
    """Return the file that computes an operation or a loss in the page."""
    return files("chainrule.explain").joinpath("page", "operations", f"{operation}.js")


def page_network(
    net: Sequential, loss: Loss, x: Float64, targets: Targets
) -> dict[str, Any] | None:
    """Return a network and a batch as the page's ``Network`` takes them; None if it cannot.

    A value is known by its number: 0 is the input, and what only has another shape is the same.
    """
    plan = net.make_plan(x.shape[1:], len(x), loss=loss, retain=True)
    used: set[Operation | LossOperation] = {step.operation for step in plan.steps}
    used |= {head.loss for head in plan.heads if head.loss is not None}
    if not all(map(_has_script, used)):
        return None
    arrays = [net.values, x, *(value for value in targets.values if value.dtype.kind != "i")]
    if sum(len(_floats(array)["bytes"]) for array in arrays) > MOST_BYTES:
        return None
    values = {plan.inputs[0].buffer: 0}
    for step in plan.steps:
        values.setdefault(step.y.buffer, len(values))
    sizes = [plan.inputs[0].size] * len(values)
    for step in plan.steps:
        sizes[values[step.y.buffer]] = step.y.size
    return {
        "rows": len(x),
        "operations": sorted(operation.name for operation in used),
        "x": _floats(x),
        "values": sizes,
        "parameters": _named(net.parameters()),
        "buffers": _named(net.buffers()),
        "steps": _steps(plan, net, values),
        "heads": _heads(plan, values, targets),
        "layers": _layers(plan, net, values),
    }


def _has_script(operation: Operation | LossOperation) -> bool:
    """Tell whether it has one; a user's own has none, whatever its name."""
    name = operation.name
    return name.isidentifier() and script_of(name).is_file() and find(name) is operation


def _steps(plan: Plan, net: Sequential, values: Mapping[object, int]) -> list[dict[str, Any]]:
    return [
        {
            "operation": step.operation.name,
            "operands": {
                name: values[operand.buffer]
                for name, operand in zip(step.operation.operands, step.operands, strict=True)
            },
            "y": values[step.y.buffer],
            "columns": _columns(step.x),
            "yColumns": _columns(step.y),
            "shape": step.x.shape,
            "yShape": step.y.shape,
            "parameters": {name: use.name for name, use in step.parameters.items()},
            "buffers": {name: use.name for name, use in step.buffers.items()},
            "numbers": _numbers(step.numbers),
            "layers": step.layers,
            **_slope(net, step),
        }
        for step in plan.steps
    ]


def _slope(net: Sequential, step: Step) -> dict[str, Any]:
    """Return, of an elementwise layer's step, the largest slope of what is flat at both ends."""
    for position in step.layers:
        layer = net.graph.nodes[position].layer
        if isinstance(layer, Elementwise):
            return {"maxSlope": layer.max_slope}
    return {}


def _heads(plan: Plan, values: Mapping[object, int], targets: Targets) -> list[dict[str, Any]]:
    return [
        {
            "loss": head.loss.name,
            "output": values[head.output.buffer],
            "columns": head.output.size,
            "lossWeight": float(head.loss_weight),
            "numbers": _numbers(head.numbers),
            **({"label": y.tolist()} if y.dtype.kind == "i" else {"target": _floats(y)}),
        }
        for head, y in zip(plan.heads, targets.values, strict=True)
        if head.loss is not None
    ]


def _layers(plan: Plan, net: Sequential, values: Mapping[object, int]) -> list[int]:
    """Return the value that each layer gives."""
    tensors = [*plan.inputs, *(step.y for step in plan.steps)]
    made = makers(plan, net.graph)
    return [values[tensors[made[layer]].buffer] for layer in range(len(net.graph.nodes))]


def _columns(tensor: Tensor) -> int:
    return tensor.shape[-1] if tensor.shape else 1


def _numbers(numbers: Numbers) -> dict[str, Any]:
    """Return them without those that are not finite, which JSON cannot hold.

    The only one is the floor of a linear step, from which fusion makes a ReLU.
    """
    return {
        name: value
        for name, value in numbers.items()
        if isinstance(value, tuple) or isfinite(value)
    }


def _named(arrays: Mapping[str, FloatArray]) -> dict[str, Any]:
    return {
        name: {"shape": array.shape, "values": _floats(array)} for name, array in arrays.items()
    }


def _floats(array: FloatArray) -> dict[str, Any]:
    """Return the bytes of floats as text; of four bytes each where that is exact."""
    with np.errstate(over="ignore"):  # then they are not equal
        narrow = array.astype("<f4")
    exact = narrow if np.array_equal(narrow, array) else array.astype("<f8")
    return {"size": exact.itemsize, "bytes": b64encode(exact.tobytes()).decode()}

"""The engine's gradient by each link's value, from a plan without fusion, with all values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.layers.graph import INPUT, Graph
from chainrule.losses import Loss, Targets
from chainrule.models.sequential import Sequential
from chainrule.plan import Plan
from chainrule.utils.arrays import FloatArray


def makers(plan: Plan, graph: Graph) -> dict[int, int]:
    """Return, for each layer, the step that makes its output, counted from 1; 0 is the input."""
    maker_of = {layer: i for i, step in enumerate(plan.steps, start=1) for layer in step.layers}
    found = {INPUT: 0}
    for position, node in enumerate(graph.nodes):
        # Layers without a step, such as Flatten, have the output of the layer before.
        found[position] = maker_of.get(position, found[node.inputs[0]])
    return found


def engine_gradients(
    net: Sequential, loss: Loss, x: FloatArray, targets: Targets, layers: Sequence[int]
) -> list[FloatArray]:
    """Return the loss's gradient by the output of each of these layers, of shape (rows, size)."""
    rows = len(x)
    plan = net.make_plan(x.shape[1:], rows, loss=loss, retain=True)
    machine = net.make_machine(plan)
    machine.run(
        Phase.FORWARD | Phase.BACKWARD | Phase.INPUT_GRADIENT,
        rows,
        machine.vectors(net.params, grads=np.zeros_like(net.params)),
        make_data(net.dtype, x, **targets.arguments()),
        machine.results(losses=machine.losses_for(1)),
    )
    of_layer, values = makers(plan, net.graph), [*plan.inputs, *(step.y for step in plan.steps)]
    return [machine.gradient_at(values[of_layer[layer]], rows).copy() for layer in layers]

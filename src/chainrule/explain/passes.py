"""The forward and the backward pass of the network, layer by layer, with nothing fused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.engine.machine import Machine
from chainrule.engine.records import NOTHING, make_data
from chainrule.explain.merge_step import MergeStep
from chainrule.explain.step import Float64, LayerStep
from chainrule.kernels.context import Phase
from chainrule.layers.graph import INPUT
from chainrule.losses import Loss, Targets
from chainrule.models.sequential import Sequential
from chainrule.plan import PlanBuilder, Tensor, make_plan


@dataclass(frozen=True)
class Passes:
    """The results of a forward and a backward pass, as :func:`run_passes` returns them.

    Attributes
    ----------
    loss : float
    steps : list of LayerStep
        The layers with their outputs and the loss's gradients by these.
    input_gradients : list of tuples of arrays
        For each step, the gradient that it returns for each of its inputs.
    d_x : array of shape (rows, size)
        The gradient by the input.
    """

    loss: float
    steps: list[LayerStep]
    input_gradients: list[tuple[Float64, ...]]
    d_x: Float64


def run_passes(net: Sequential, loss: Loss, x: Float64, targets: Targets) -> Passes:
    """Run the forward pass from the input to the loss, and the backward pass."""
    all_values, graph = net.named_values(), net.graph
    steps: list[LayerStep] = []
    values = {INPUT: x}
    for position, node in enumerate(graph.nodes):
        taken = [values[i] for i in node.inputs]
        names = *node.layer.parameters(), *node.layer.buffers()
        own = {name: all_values[f"{node.owner}.{name}"] for name in names}
        step = LayerStep(node, own, *taken) if len(taken) == 1 else MergeStep(node, taken)
        values[position] = step.y.reshape(step.rows, *step.output_shape)
        steps.append(step)
    number, d_outputs = _loss_of([values[i] for i in graph.outputs], loss, targets)
    for position, d_output in zip(graph.outputs, d_outputs, strict=True):
        steps[position].gradient[...] = d_output
    d_x = np.zeros((len(x), x[0].size))
    input_gradients: list[tuple[Float64, ...]] = []
    for step in reversed(steps):
        inputs = step.node.inputs
        terms = tuple(step.backward_input(step.gradient, operand) for operand in range(len(inputs)))
        for i, term in zip(inputs, terms, strict=True):  # summed where several steps take a value
            gradient = d_x if i == INPUT else steps[i].gradient
            gradient += term
        input_gradients.append(terms)
    return Passes(number, steps, input_gradients[::-1], d_x)


def _loss_of(
    outputs: Sequence[Float64], loss: Loss, targets: Targets
) -> tuple[float, list[Float64]]:
    """Return the loss and its gradients by the outputs, from the NumPy twins."""
    tensors = [Tensor(output.shape[1:]) for output in outputs]
    number, gradients = 0.0, []
    for output, tensor, head, target in zip(
        outputs, tensors, loss.heads(tensors), targets.values, strict=True
    ):
        plan = make_plan(
            PlanBuilder(), [tensor], [head], offsets={}, batch=len(output), dtype=output.dtype
        )
        machine = Machine(plan, output.dtype, "numpy")
        losses = machine.losses_for(1)
        given: dict[str, Any] = Targets((target,)).arguments()
        machine.run(
            Phase.FORWARD,
            len(output),
            NOTHING[output.dtype].vectors,
            make_data(output.dtype, np.ascontiguousarray(output), **given),
            machine.results(losses=losses),
        )
        number += float(losses[0, 1])
        gradients.append(machine.rows_at("d_output", len(output)).reshape(len(output), -1))
    return number, gradients

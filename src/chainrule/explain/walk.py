"""The way through the chain and back, layer by layer, with nothing fused."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from chainrule.engine.instructions import Phase
from chainrule.engine.machine import Machine
from chainrule.explain.step import Float64, Step
from chainrule.layers import Identity
from chainrule.losses import Loss
from chainrule.network import Sequential


def walk(net: Sequential, loss: Loss, x: Float64, target: NDArray[Any]) -> tuple[float, list[Step]]:
    """Return the loss, and the layers with their values and with the gradients by these."""
    parameters = net.parameters()
    steps, value = [], x
    for path, layer in net.chain:
        own = {name: parameters[f"{path}.{name}"] for name in layer.parameters()}
        step = Step(path, layer, own, value)
        value = step.y.reshape(step.rows, *step.output_shape)
        steps.append(step)
    number, steps[-1].gradient[...] = _loss_of(steps[-1], loss, target)
    for step, before in zip(steps[:0:-1], steps[-2::-1], strict=True):
        before.gradient[...] = step.carry_back(step.gradient)
    return number, steps


def _loss_of(last: Step, loss: Loss, target: NDArray[Any]) -> tuple[float, Float64]:
    """Return the loss and its gradient by the output, from the NumPy twins."""
    nothing = Sequential(Identity(), dtype="float64", backend="numpy")
    plan = nothing.make_plan(last.output_shape, last.rows, loss=loss)
    machine = Machine(plan, nothing.dtype, "numpy")
    losses = machine.losses_for(1)
    shape = last.rows, *last.output_shape
    given: dict[str, Any] = loss.check_targets(target, [shape], nothing.dtype).arguments()
    machine.run(
        Phase.FORWARD,
        last.rows,
        params=nothing.params,
        inputs=nothing.check_input(last.y.reshape(-1, *last.output_shape), "output"),
        losses=losses,
        **given,
    )
    return float(losses[0, 1]), machine.rows_at("d_output", last.rows).reshape(last.rows, -1)

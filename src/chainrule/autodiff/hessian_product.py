"""The loss's Hessian times a vector, without the Hessian."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.autodiff.machines import backward_phases, blocks, borrowed, seed_inputs
from chainrule.autodiff.mean import BlockMean
from chainrule.autodiff.output_curvature import OutputCurvature
from chainrule.autodiff.plans import tangent_plan
from chainrule.autodiff.repetition import PreparedLoss, prepare, repeat
from chainrule.autodiff.validation import PARAMS, X
from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import Machine
from chainrule.engine.records import NOTHING, Vectors
from chainrule.kernels.context import NOT_FINITE, Phase
from chainrule.losses import Loss, OutputLoss
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import FloatArray, finite_array, ready_array
from chainrule.utils.inputs import parts_like


def hessian_product(
    net: Sequential,
    loss: Loss,
    batch: DataSet,
    params: FloatArray,
    directions: dict[str, Any],
) -> dict[str, Any]:
    """Return the Hessian by what ``directions`` names, times the directions."""
    names = tuple(directions)
    if batch.weights is None:
        given = params, batch.X, batch.targets.y, directions
        found = repeat_hessian_product(net, loss, *given)
        if found is not None:
            return found
    mean, phases = BlockMean(net, batch, names), backward_phases(names)
    for block in blocks(net, batch.rows, loss):
        rows, options = block.stop - block.start, _plan_options(loss, names)
        with borrowed(net, tangent_plan, batch.inputs.shape[1:], rows, **options) as machine:
            if X in directions:
                seed_inputs(machine, directions[X][block])
            order, losses = np.arange(block.start, block.stop), machine.losses_for(1)
            direction, results = directions.get(PARAMS), machine.results(losses=losses)
            vectors = machine.vectors(params, direction=direction)
            machine.run(Phase.FORWARD, order, vectors, batch.record, results)
            # The loss's directional derivative is gradient . d_output; it is differentiated next.
            outputs = len(machine.plan.heads) // 2
            for head in range(outputs):
                gradient = machine.rows_at("d_output", rows, head)
                machine.rows_at("d_output", rows, outputs + head)[...] = gradient
                tangent = machine.rows_at("output", rows, outputs + head)
                weights = None if batch.weights is None else batch.weights[block]
                target = batch.targets.values[head][block]
                OutputCurvature(net, machine, head, tangent)(target, weights, losses[0, 0])
            grads = mean.parameter_buffer()
            vectors = machine.vectors(params, direction=direction, grads=grads)
            machine.run(phases, order, vectors)
            mean.add(block, losses[0], grads, machine.input_gradients(rows))
    if isinstance(loss, OutputLoss):
        shape, options = batch.inputs.shape, _plan_options(loss, names)
        prepare(net, _HessianProduct, shape, (loss, names), tangent_plan, **options)
    return mean.gradients()


def _plan_options(loss: Loss, names: tuple[str, ...]) -> dict[str, Any]:
    by = {"parameters_change": PARAMS in names, "by_x": X in names}
    return {"loss": loss, "backward": True} | by


def repeat_hessian_product(
    net: Sequential,
    loss: Loss,
    params: Any,
    x: Any,
    y: Any,
    directions: dict[str, Any],
) -> dict[str, Any] | None:
    """Return the same for arguments that were not checked; None unless they are prepared for."""
    options = loss, tuple(directions)
    found: dict[str, Any] | None = repeat(
        net, _HessianProduct, x, options, params, x, y, directions
    )
    return found


class _HessianProduct(PreparedLoss):
    """The product for batches of one shape without weights, for loops in Python."""

    def __init__(
        self,
        machine: Machine,
        net: Sequential,
        shape: tuple[Any, ...],
        loss: OutputLoss,
        names: tuple[str, ...],
    ) -> None:
        super().__init__(machine, net, shape, loss, names)
        self._shape, rows = shape, shape[0]
        self._forward = BatchRun(machine.prepare_run(Phase.FORWARD), shape, checks_vectors=True)
        self._backward = BatchRun(machine.prepare_run(backward_phases(names)), (rows,))
        self._d_output, self._d_tangent = (machine.rows_at("d_output", rows, i) for i in (0, 1))
        self._curve = OutputCurvature(net, machine, 0, machine.rows_at("output", rows, 1))
        self._no_change = machine.vectors(net.params).direction
        inputs = len(machine.plan.inputs) if self._by_x else 0
        self._seeds = [machine.rows_at("seed", rows, i) for i in range(inputs)]

    def __call__(
        self, params: Any, x: Any, y: Any, directions: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return the products by name."""
        run, dtype = self._forward, self.machine.dtype
        batch, at = run.ready(x), ready_array(params, self._parameters, dtype)
        if batch is None or at is None:
            return None
        nothing, found = NOTHING[dtype].vector, {}
        grads, along = nothing, self._no_change
        if self._by_x:
            given = parts_like(directions[X], "vector", self._shape)
            for seed, (value, name, shape) in zip(self._seeds, given, strict=True):
                direction = finite_array(value, name, dtype)
                if direction.shape != shape:
                    return None
                seed[...] = direction
        if PARAMS in directions:
            vector = ready_array(directions[PARAMS], at.shape, dtype)
            if vector is None:
                return None
            along, found[PARAMS] = vector, (grads := np.zeros(at.shape, dtype))
        vectors = Vectors(at, along, grads, nothing)
        targets = self._check_target(y)
        if run(vectors, batch, *targets) == NOT_FINITE:
            return None
        self._d_tangent[...] = self._d_output
        (target,) = (values for values in targets if values is not None)
        self._curve(target, None, run.losses.item(0))
        self._backward(vectors)
        if self._by_x:
            found[X] = self.input_gradient()
        return found

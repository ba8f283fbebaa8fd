"""The loss and its gradient, as a function of the parameters and the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.machines import backward_phases, blocks, borrowed
from chainrule.autodiff.mean import BlockMean
from chainrule.autodiff.plans import plain_plan
from chainrule.autodiff.repetition import PreparedLoss, prepare, repeat
from chainrule.autodiff.validation import (
    PARAMS,
    Wrt,
    X,
    check_loss,
    names_of,
    packed,
    parameter_vector,
)
from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import Machine
from chainrule.engine.records import NOTHING, Vectors
from chainrule.kernels.context import Phase
from chainrule.losses import Loss, OutputLoss
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import FloatArray, ready_array


def value_and_grad(
    net: Sequential, loss: Loss, wrt: Wrt = PARAMS
) -> Callable[..., tuple[float, Any]]:
    """Return the function ``(params, x, y) -> (loss, gradient)``.

    The function is pure: it uses the network's layers, but neither reads nor changes its parameters
    and gradients. The same arguments give the same result to the bit, with any number of threads.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    wrt : "params", "x" or a tuple of both
        What to differentiate by.

    Returns
    -------
    function of ``(params, x, y, sample_weight=None)``
        It takes a flat vector like ``net.params``, which is not copied if it is contiguous,
        writable and of the network's dtype; a batch x of shape (n, ...), or a tuple of them for
        :class:`Inputs`; and the targets y. It returns the loss as a float, and the gradient by the
        parameters, of shape (n_params,), or by x, of x's shape or such a tuple; or a tuple of
        gradients, in the order of ``wrt``.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; also when the function is called.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1), dtype="float64")
    >>> evaluate = cr.value_and_grad(net, cr.MSELoss(), wrt=("params", "x"))
    >>> value, (d_params, d_x) = evaluate([1.0, 2.0, 0.5], [[3.0, 1.0]], [[5.0]])
    >>> value, d_params.tolist(), d_x.tolist()
    (0.25, [3.0, 1.0, 1.0], [[1.0, 2.0]])
    """
    check_loss(net, loss)
    names = names_of(wrt)

    def evaluate(
        params: ArrayLike, x: ArrayLike, y: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Any]:
        if sample_weight is None:
            result = repeat(net, _Gradient, x, (loss, names), params, x, y)
            if result is not None:
                return result[0], packed(wrt, result[1])
        vector = parameter_vector(net, params)
        batch = DataSet.checked(net, loss, x, y, sample_weight, ("x", "y"))
        value, gradients = gradient(net, loss, batch, vector, names)
        if isinstance(loss, OutputLoss):
            shape, options = batch.inputs.shape, (loss, names)
            prepare(net, _Gradient, shape, options, plain_plan, loss=loss, retain=False)
        return value, packed(wrt, gradients)

    return evaluate


class _Gradient(PreparedLoss):
    """The loss and its gradient for batches of one shape, for loops in Python."""

    def __init__(
        self,
        machine: Machine,
        net: Sequential,
        shape: tuple[Any, ...],
        loss: OutputLoss,
        names: tuple[str, ...],
    ) -> None:
        super().__init__(machine, net, shape, loss, names)
        self._by_params = PARAMS in names
        run = machine.prepare_run(Phase.FORWARD | backward_phases(names))
        self._run = BatchRun(run, shape, checks_vectors=True)

    def __call__(self, params: Any, x: Any, y: Any) -> tuple[float, dict[str, Any]] | None:
        """Return the loss, and its gradients by name."""
        run, dtype = self._run, self.machine.dtype
        batch, at = run.ready(x), ready_array(params, self._parameters, dtype)
        if batch is None or at is None:
            return None
        gradients: dict[str, Any] = {}
        nothing = NOTHING[dtype].vector
        grads = nothing
        if self._by_params:
            gradients[PARAMS] = grads = np.zeros(self._parameters, dtype)
        vectors = Vectors(at, nothing, grads, nothing)
        if run(vectors, batch, *self._check_target(y)) != 1:
            return None
        if self._by_x:
            gradients[X] = self.input_gradient()
        return run.losses.item(1), gradients


def gradient(
    net: Sequential, loss: Loss, batch: DataSet, params: FloatArray, names: tuple[str, ...]
) -> tuple[float, dict[str, Any]]:
    """Return the loss, and its gradients by name."""
    mean = BlockMean(net, batch, names)
    phases = backward_phases(names)
    options = {"loss": loss, "retain": False}
    for block in blocks(net, batch.rows, loss):
        rows = block.stop - block.start
        with borrowed(net, plain_plan, batch.inputs.shape[1:], rows, **options) as machine:
            losses = machine.losses_for(1)
            grads = mean.parameter_buffer()
            order = rows if block.start == 0 else np.arange(block.start, block.stop)
            vectors = machine.vectors(params, grads=grads)
            results = machine.results(losses=losses)
            if not machine.run(Phase.FORWARD | phases, order, vectors, batch.record, results):
                # The run ends where the loss is not finite; compute the gradient all the same.
                machine.run(phases, order, vectors)
            mean.add(block, losses[0], grads, machine.input_gradients(rows))
    return mean.value, mean.gradients()

"""The gradient of each sample's own loss: all of them, their norms, or their clipped sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.machines import blocks, borrowed
from chainrule.autodiff.plans import plain_plan
from chainrule.autodiff.sample_gradients import SampleGradients
from chainrule.autodiff.validation import check_loss, output_array, parameter_vector
from chainrule.engine.machine import Machine
from chainrule.kernels.context import Phase
from chainrule.losses import Loss
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.utils.arguments import above_zero
from chainrule.utils.arrays import FloatArray

Use = Callable[[Machine, slice, SampleGradients, list[FloatArray]], None]


def per_sample_grad(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    *,
    params: ArrayLike | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return the gradient of each sample's loss by the parameters, one row a sample.

    There is one forward and one backward pass for all samples; a sample's gradient by a weight is
    then an outer product. The mean of the rows is the gradient of the batch; but a loss with class
    weights divides by their sum, and its rows are the gradients of ``weight[label] * loss``.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    x, y : arrays
        A batch of n samples, and its targets.
    params : array of shape (n_params,), optional
        Instead of the network's own.
    out : array of shape (n, n_params), optional
        The array to write into. Allocating a new array of that size takes longer than computing the
        gradients.

    Returns
    -------
    array of shape (n, n_params)

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1), dtype="float64")
    >>> cr.per_sample_grad(net, cr.MSELoss(), [[1.0], [2.0]], [[0.0], [0.0]], params=[1.0, 0.0])
    array([[2., 2.],
           [8., 4.]])
    """
    at, batch = _checked(net, loss, x, y, params)
    result = output_array(out, "out", (batch.rows, at.size), net.dtype)

    def use(_: Machine, block: slice, samples: SampleGradients, __: list[FloatArray]) -> None:
        samples.write(result[block][:, np.newaxis], 0)

    _for_each_block(net, loss, at, batch, use)
    return result


def per_sample_norms(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    *,
    params: ArrayLike | None = None,
) -> FloatArray:
    """Return the Euclidean norm of each row of :func:`per_sample_grad`.

    If each weight is used once, with one row of input for each sample, its gradient's norm is that
    of the input times that of the output's gradient, and no gradient is built. Otherwise, a few
    samples' gradients are built at a time.

    Parameters and errors are those of :func:`per_sample_grad`.

    Returns
    -------
    array of shape (n,)

    References
    ----------
    Goodfellow, *Efficient Per-Example Gradient Computations*, arXiv:1510.01799, 2015.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1), dtype="float64")
    >>> cr.per_sample_norms(net, cr.MSELoss(), [[0.75]], [[0.0]], params=[0.0, 1.0])
    array([2.5])
    """
    at, batch = _checked(net, loss, x, y, params)
    norms = np.empty(batch.rows, net.dtype)

    def use(_: Machine, block: slice, samples: SampleGradients, __: list[FloatArray]) -> None:
        norms[block] = samples.norms()

    _for_each_block(net, loss, at, batch, use)
    return norms


def clipped_grad(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    max_norm: float,
    *,
    params: ArrayLike | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the sum of the samples' gradients, each clipped to a norm, and the norms before.

    It is what differentially private SGD adds its noise to. No sample's gradient is built: after
    the norms are known, each sample's loss gets the weight that clips its gradient, and a second
    backward pass computes the sum.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    x, y : arrays
        A batch of n samples, and its targets.
    max_norm : float
        A sample's gradient that is longer is scaled to this norm; more than 0.
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    gradient : array of shape (n_params,)
        A sum, not a mean.
    norms : array of shape (n,)

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    References
    ----------
    Abadi et al., *Deep Learning with Differential Privacy*, CCS 2016; Lee and Kifer, *Scaling up
    Differentially Private Deep Learning with Fast Per-Example Gradient Clipping*, PoPETs 2021.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1), dtype="float64")
    >>> x, y = [[0.75], [0.0]], [[0.0], [0.0]]
    >>> gradient, norms = cr.clipped_grad(net, cr.MSELoss(), x, y, 1.25, params=[0.0, 1.0])
    >>> gradient.tolist(), norms.tolist()
    ([0.75, 2.25], [2.5, 2.0])
    """
    at, batch = _checked(net, loss, x, y, params)
    max_norm = above_zero(max_norm, "max_norm", net.dtype)
    norms = np.empty(batch.rows, net.dtype)
    total = np.zeros_like(at)

    def use(
        machine: Machine, block: slice, samples: SampleGradients, d_outputs: list[FloatArray]
    ) -> None:
        rows = block.stop - block.start
        norms[block] = samples.norms()
        scale = max_norm / np.maximum(norms[block], max_norm)
        for head, d_output in enumerate(d_outputs):
            by_row = scale.reshape(-1, *[1] * (d_output.ndim - 1))
            np.multiply(d_output, by_row, out=machine.rows_at("d_output", rows, head))
        part = np.zeros_like(total) if block.start else total
        machine.run(Phase.BACKWARD, rows, machine.vectors(at, grads=part))
        if part is not total:
            total[...] += part

    _for_each_block(net, loss, at, batch, use)
    return total, norms


def _checked(
    net: Any, loss: Any, x: ArrayLike, y: Any, params: ArrayLike | None
) -> tuple[FloatArray, DataSet]:
    check_loss(net, loss)
    at = parameter_vector(net, params)
    return at, DataSet.checked(net, loss, x, y, None, ("x", "y"))


def _for_each_block(
    net: Sequential,
    loss: Loss,
    params: FloatArray,
    batch: DataSet,
    use: Use,
) -> None:
    """Run the forward and the backward pass of each block.

    Then call ``use`` with the machine, the block, its samples' gradients, and the gradients by the
    outputs that the backward pass started from.
    """
    net.graph.check_rows_are_independent("The gradient of a row")
    for block in blocks(net, batch.rows, loss):
        rows = block.stop - block.start
        shape = batch.inputs.shape[1:]
        with borrowed(net, plain_plan, shape, rows, loss=loss, retain=True) as machine:
            order, losses = np.arange(block.start, block.stop), machine.losses_for(1)
            vectors, results = machine.vectors(params), machine.results(losses=losses)
            machine.run(Phase.FORWARD, order, vectors, batch.record, results)
            heads = range(len(machine.plan.heads))
            d_outputs = [machine.rows_at("d_output", rows, head) for head in heads]
            for d_output in d_outputs:
                d_output *= float(losses[0, 0])  # as the batch's loss is a mean
            begin_with = [d_output.copy() for d_output in d_outputs]  # they may be added to
            machine.run(Phase.BACKWARD, order, vectors)
            inputs = batch.inputs[block]
            samples = SampleGradients(net, machine, params, inputs, begin_with)
            use(machine, block, samples, begin_with)

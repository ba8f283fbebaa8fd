"""The loss's Hessian, its products with vectors, and the Gauss-Newton and Fisher matrices."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.each_input import second_derivatives
from chainrule.autodiff.hessian_product import hessian_product, repeat_hessian_product
from chainrule.autodiff.machines import blocks, borrowed
from chainrule.autodiff.mean import BlockMean
from chainrule.autodiff.output_curvature import OutputCurvature
from chainrule.autodiff.plans import plain_plan, tangent_plan
from chainrule.autodiff.validation import (
    PARAMS,
    Wrt,
    check_loss,
    directions_of,
    flat_vector,
    names_of,
    packed,
    parameter_vector,
)
from chainrule.kernels.context import Phase
from chainrule.losses import Loss
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.plan import Tensor
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import ArrayTuple, Batch, one_or_tuple, shapes_of

MOST_HESSIAN_ROWS = 4096


def hvp(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    vector: Any,
    wrt: Wrt = PARAMS,
    *,
    sample_weight: ArrayLike | None = None,
    params: ArrayLike | None = None,
) -> Any:
    """Return the loss's Hessian times a vector, without the Hessian.

    Reverse over forward mode: a backward pass through the plan that computes tangents.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    x, y, sample_weight : arrays
        As :func:`value_and_grad`'s function takes them.
    vector : array like what ``wrt`` names, or a tuple of them
    wrt : "params", "x" or a tuple of both
        What the loss is differentiated by, both times.
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    array or tuple of arrays, like ``vector``

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    References
    ----------
    Pearlmutter, *Fast Exact Multiplication by the Hessian*, Neural Computation 6, 1994.

    Examples
    --------
    The square of ``w * 3``, whose second derivative by w is 18:

    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1, bias=False), dtype="float64", seed=0)
    >>> cr.hvp(net, cr.MSELoss(), [[3.0]], [[0.0]], [1.0])
    array([18.])
    """
    check_loss(net, loss)
    if sample_weight is None and isinstance(wrt, str):
        at = net.params if params is None else params
        found = repeat_hessian_product(net, loss, at, x, y, {wrt: vector})
        if found is not None:
            return found[wrt]
    at = parameter_vector(net, params)
    batch = DataSet.checked(net, loss, x, y, sample_weight, ("x", "y"))
    directions = directions_of(net, vector, "vector", wrt, batch.inputs.shape)
    return packed(wrt, hessian_product(net, loss, batch, at, directions))


def hessian(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    wrt: str = PARAMS,
    *,
    sample_weight: ArrayLike | None = None,
    params: ArrayLike | None = None,
) -> Any:
    """Return the matrix of the loss's second derivatives, a Hessian-vector product a column.

    Parameters are those of :func:`hvp`.

    Returns
    -------
    array
        Of shape (n_params, n_params), or for ``wrt="x"`` of x's shape twice over. By several
        inputs, a tuple of tuples: ``result[i][j]`` by the inputs i and j.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or the matrix would have more than 4,096 rows.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1), dtype="float64", seed=0)
    >>> cr.hessian(net, cr.MSELoss(), [[3.0]], [[0.0]])
    array([[18.,  6.],
           [ 6.,  2.]])
    """
    check_loss(net, loss)
    if not isinstance(wrt, str):
        raise ValueError(f'wrt must be "params" or "x", not {wrt!r}.')
    names_of(wrt)
    at = parameter_vector(net, params)
    batch = DataSet.checked(net, loss, x, y, sample_weight, ("x", "y"))
    shapes = [net.params.shape] if wrt == PARAMS else shapes_of(batch.inputs.shape)
    vectors = [np.zeros(shape, net.dtype) for shape in shapes]
    size = sum(map(prod, shapes))
    if size > MOST_HESSIAN_ROWS:
        raise ValueError(
            f"hessian is for up to {MOST_HESSIAN_ROWS} numbers, but wrt={wrt!r} has {size}; hvp "
            "multiplies by it without building it."
        )
    direction = vectors[0] if len(vectors) == 1 else ArrayTuple(tuple(vectors))
    result = np.empty((size, size), net.dtype)
    entries = ((vector.reshape(-1), i) for vector in vectors for i in range(vector.size))
    for row, (entry, i) in zip(result, entries, strict=True):
        entry[i] = 1
        product = hessian_product(net, loss, batch, at, {wrt: direction})[wrt]
        parts = product if isinstance(product, tuple) else (product,)
        np.concatenate([part.reshape(-1) for part in parts], out=row)
        entry[i] = 0
    return second_derivatives(result, (), shapes)


def gauss_newton_vp(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    vector: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    params: ArrayLike | None = None,
) -> FloatArray:
    """Return the generalized Gauss-Newton matrix times a vector: ``J^T H J vector``.

    J is the network's Jacobian by its parameters, and H the loss's Hessian by the output. It is the
    Hessian of the loss with the network linearized, and positive semidefinite if the loss is convex
    in the output, as all of chainrule's are except ``GaussianNLLLoss``.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    x, y, sample_weight : arrays
        As :func:`value_and_grad`'s function takes them.
    vector : array of shape (n_params,)
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    array of shape (n_params,)

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    References
    ----------
    Schraudolph, *Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent*, Neural
    Computation 14, 2002.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1), dtype="float64", seed=0)
    >>> cr.gauss_newton_vp(net, cr.MSELoss(), [[3.0]], [[0.0]], [1.0, 0.0])
    array([18.,  6.])
    """
    check_loss(net, loss)
    at = parameter_vector(net, params)
    batch = DataSet.checked(net, loss, x, y, sample_weight, ("x", "y"))
    return _output_curvature_product(net, loss, batch, at, flat_vector(net, vector, "vector"))


def fisher_vp(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    vector: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    params: ArrayLike | None = None,
) -> FloatArray:
    """Return the Fisher information matrix times a vector.

    The loss of a row is interpreted as a negative log-likelihood: of a normal distribution of
    variance 1/2 for ``MSELoss``, Huber's for ``HuberLoss``, Laplace's for ``L1Loss``, an asymmetric
    Laplace distribution for each quantile of ``QuantileLoss``, the distribution in the name of the
    other losses, or the classes' probabilities. The matrix is the mean over the rows of the
    expected outer product of the gradient with itself, for targets drawn from the network's
    predicted distribution; so there is no y. The mean over several outputs is that of the loss.

    It equals the Gauss-Newton matrix if that does not depend on y, as with ``MSELoss`` and the
    classification losses.

    Parameters, result and errors are those of :func:`gauss_newton_vp`. A target counts by its
    class's weight, or by ``pos_weight``, as so many rows: the squared gradient is that of the loss
    without these, and a row's own weight their mean. Label smoothing changes nothing.

    References
    ----------
    Amari, *Natural Gradient Works Efficiently in Learning*, Neural Computation 10, 1998; Martens,
    *New Insights and Perspectives on the Natural Gradient Method*, JMLR 21, 2020.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 2, bias=False), dtype="float64", seed=0)
    >>> cr.fisher_vp(net, cr.CrossEntropyLoss(), [[1.0]], [4.0, 0.0], params=[0.0, 0.0])
    array([ 1., -1.])
    """
    check_loss(net, loss)
    at = parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    batch = DataSet.checked(net, loss, inputs, _any_targets(net, loss, inputs), sample_weight)
    return _output_curvature_product(
        net, loss, batch, at, flat_vector(net, vector, "vector"), fisher=True
    )


def _output_curvature_product(
    net: Sequential,
    loss: Loss,
    batch: DataSet,
    params: FloatArray,
    vector: FloatArray,
    *,
    fisher: bool = False,
) -> FloatArray:
    """Return ``J^T H J vector``: a forward pass with the tangent, then a backward pass.

    For the Fisher matrix, H is its expected value over the targets.
    """
    net.graph.check_rows_are_independent("fisher_vp" if fisher else "gauss_newton_vp")
    mean = BlockMean(net, batch, (PARAMS,))
    shape = batch.inputs.shape[1:]
    for block in blocks(net, batch.rows, loss):
        rows = block.stop - block.start
        order = np.arange(block.start, block.stop)
        with (
            borrowed(net, tangent_plan, shape, rows, parameters_change=True, by_x=False) as forward,
            borrowed(net, plain_plan, shape, rows, loss=loss, retain=False) as machine,
        ):
            vectors = forward.vectors(params, direction=vector)
            forward.run(Phase.FORWARD, order, vectors, batch.record)
            losses = machine.losses_for(1)
            vectors, results = machine.vectors(params), machine.results(losses=losses)
            machine.run(Phase.FORWARD, order, vectors, batch.record, results)
            outputs = len(machine.plan.heads)
            for head in range(outputs):
                tangent = forward.rows_at("output", rows, outputs + head)
                curve = OutputCurvature(net, machine, head, tangent, fisher)
                weights = None if batch.weights is None else batch.weights[block]
                total = curve(batch.targets.values[head][block], weights, losses[0, 0])
            losses[0, 0] = total
            grads = mean.parameter_buffer()
            machine.run(Phase.BACKWARD, order, machine.vectors(params, grads=grads))
            mean.add(block, losses[0], grads, machine.input_gradients(rows))
    product: FloatArray = mean.gradients()[PARAMS]
    return product


def _any_targets(net: Sequential, loss: Loss, inputs: Batch) -> Any:
    """Return valid targets, for a result that does not depend on them."""
    rows, shapes = len(inputs), net.output_shapes(inputs.shape[1:])
    heads = loss.heads([Tensor(shape) for shape in shapes])
    targets = [
        np.zeros(rows, np.int64) if shape is None else np.zeros((rows, *shape), net.dtype)
        for shape in (head.target_shape for head in heads)
    ]
    return one_or_tuple(targets)

"""The loss's Hessian, its products with vectors, and the Gauss-Newton and Fisher matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.autodiff.machines import blocks, borrowed
from chainrule.autodiff.mean import BlockMean
from chainrule.autodiff.plans import plain_plan, tangent_plan
from chainrule.autodiff.validation import (
    PARAMS,
    Wrt,
    X,
    check_loss,
    directions_of,
    flat_vector,
    names_of,
    one_or_tuple,
    packed,
    parameter_vector,
)
from chainrule.engine.backends import is_compiled
from chainrule.engine.binding import code_of
from chainrule.engine.machine import Machine
from chainrule.kernels.context import Phase
from chainrule.losses import Loss
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.operations.operation import Function, function
from chainrule.plan import Tensor
from chainrule.utils.arrays import FloatArray

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
) -> FloatArray:
    """Return the matrix of the loss's second derivatives, a Hessian-vector product a column.

    Parameters are those of :func:`hvp`.

    Returns
    -------
    array
        Of shape (n_params, n_params), or for ``wrt="x"`` of x's shape twice over.

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
    shape = net.params.shape if wrt == PARAMS else batch.inputs.shape
    vector = np.zeros(shape, net.dtype)
    if vector.size > MOST_HESSIAN_ROWS:
        raise ValueError(
            f"hessian is for up to {MOST_HESSIAN_ROWS} numbers, but wrt={wrt!r} has "
            f"{vector.size}; hvp multiplies by it without building it."
        )
    result = np.empty((vector.size, *shape), net.dtype)
    entries = vector.reshape(-1)
    for i in range(vector.size):
        entries[i] = 1
        result[i] = hessian_product(net, loss, batch, at, {wrt: vector})[wrt]
        entries[i] = 0
    return result.reshape(*shape, *shape)


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


def hessian_product(
    net: Sequential,
    loss: Loss,
    batch: DataSet,
    params: FloatArray,
    directions: dict[str, FloatArray],
) -> dict[str, FloatArray]:
    """Return the Hessian by what ``directions`` names, times the directions."""
    mean = BlockMean(net, batch, tuple(directions))
    options = {
        "loss": loss,
        "parameters_change": PARAMS in directions,
        "by_x": X in directions,
        "backward": True,
    }
    for block in blocks(batch.rows, loss):
        rows = block.stop - block.start
        with borrowed(net, tangent_plan, batch.inputs.shape[1:], rows, **options) as machine:
            if X in directions:
                machine.rows_at("seed", rows)[...] = directions[X][block]
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
                curve_output(net, machine, head, batch, block, losses[0, 0], tangent)
            grads = mean.parameter_buffer()
            phases = Phase.BACKWARD | (Phase.INPUT_GRADIENT if X in directions else 0)
            vectors = machine.vectors(params, direction=direction, grads=grads)
            machine.run(phases, order, vectors)
            mean.add(block, losses[0], grads, machine.rows_at("d_input", rows))
    return mean.gradients()


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
    mean = BlockMean(net, batch, (PARAMS,))
    shape = batch.inputs.shape[1:]
    for block in blocks(batch.rows, loss):
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
                total = curve_output(
                    net, machine, head, batch, block, losses[0, 0], tangent, fisher
                )
            losses[0, 0] = total
            grads = mean.parameter_buffer()
            machine.run(Phase.BACKWARD, order, machine.vectors(params, grads=grads))
            mean.add(block, losses[0], grads, machine.rows_at("d_input", rows))
    return mean.gradients()[PARAMS]


def curve_output(
    net: Sequential,
    machine: Machine,
    number: int,
    batch: DataSet,
    block: slice,
    total: float,
    tangent: FloatArray,
    fisher: bool = False,
) -> float:
    """Replace the loss's gradient by an output by its derivative along the output's tangent.

    Returns the block's weight: ``total``, or what it is on average over the targets.
    """
    head, rows = machine.plan.heads[number], len(tangent)
    loss, factor = head.loss, head.loss_weight
    curvature = None if loss is None else loss.curvature
    row_weight = None if loss is None else loss.row_weight
    if loss is not None and fisher and loss.fisher is not None:
        curvature, information = loss.fisher(head.numbers)
        row_weight = loss.fisher_row_weight
        factor *= information
    if loss is None or curvature is None:
        raise NotImplementedError(
            "the second derivative of a custom loss is not known, only its gradient: it has no "
            "curvature."
        )
    of_row = head.output.shape if loss.of_user else (head.output.size,)
    d_gradient = machine.rows_at("d_output", rows, number).reshape(rows, *of_row)
    given: dict[str, Any] = {
        "output": machine.rows_at("output", rows, number).reshape(rows, *of_row),
        "weight": np.ones(rows, net.dtype)
        if batch.weights is None
        else batch.weights[block].copy(),
        "total": total,
        "direction": tangent.reshape(rows, *of_row),
        "d_gradient": d_gradient,
        **{name: _array_or_number(value, net.dtype) for name, value in head.numbers.items()},
    }
    target = batch.targets.values[number][block].copy()
    if head.takes_labels:
        given["label"] = target
    else:
        shape = head.target_shape if loss.of_user and head.target_shape else (head.target_size,)
        given["target"] = target.reshape(rows, *shape)
    if row_weight is not None:
        _call(row_weight, given, net.backend)
        weight = float(given["weight"].sum(dtype=np.float64))
        if sum(other.loss is not None for other in machine.plan.heads) > 1:  # as the plan has it
            given["weight"] *= total / weight if weight > 0 else 0.0
        else:
            given["total"] = weight
    _call(curvature, given, net.backend)
    if loss.of_user:
        from chainrule.kernels.loss import weigh_gradients  # loads Numba

        given["d_output"] = d_gradient.reshape(rows, -1)
        _call(function(weigh_gradients), given, net.backend)
    if factor != 1.0:
        d_gradient *= factor
    return float(given["total"])


def _call(code: Function, given: Mapping[str, Any], backend: str) -> None:
    called = code_of(code, backend)
    if code.label and code.can_compile and is_compiled(backend):
        from chainrule.kernels.compilation import compiled_for_python  # loads Numba

        called = compiled_for_python(code.code)
    try:
        called(*(given[name] for name in code.names))
    except Exception as error:
        if code.label:
            error.add_note(f"It was raised in {code.label}.")
        raise


def _array_or_number(value: float | tuple[float, ...], dtype: np.dtype) -> Any:
    return np.array(value, dtype) if isinstance(value, tuple) else value


def _any_targets(net: Sequential, loss: Loss, inputs: NDArray[Any]) -> Any:
    """Return valid targets, for a result that does not depend on them."""
    rows, shapes = len(inputs), net.output_shapes(inputs.shape[1:])
    heads = loss.heads([Tensor(shape) for shape in shapes])
    targets = [
        np.zeros(rows, np.int64) if shape is None else np.zeros((rows, *shape), net.dtype)
        for shape in (head.target_shape for head in heads)
    ]
    return one_or_tuple(targets)

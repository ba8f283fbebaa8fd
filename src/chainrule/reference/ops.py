"""The functions of ``chainrule.ops`` in plain NumPy, with the same names and arguments.

What they mean is said there. All are made from the twins, whose formulas stand in the other files.
"""

from math import isfinite, nan, prod, sqrt

import numpy as np

from chainrule.reference import activation, adam, adamw, affine, loss, norm, sgd
from chainrule.reference.rows import weighted_sum


def relu(x, *, out=None, where=True):
    """``max(x, 0)``."""
    return _elementwise(activation.relu, (x,), out, where)


def relu_backward(dy, y, *, out=None, where=True):
    """``dy`` where the output is positive, else 0."""
    return _elementwise(activation.relu_backward, (dy, y), out, where)


def leaky_relu(x, negative_slope=0.01, *, out=None, where=True):
    """``x`` where it is positive, else ``negative_slope * x``."""
    return _elementwise(activation.leaky_relu, (x,), out, where, negative_slope)


def leaky_relu_backward(dy, y, negative_slope=0.01, *, out=None, where=True):
    """``dy`` where the output is positive, else ``negative_slope * dy``."""
    return _elementwise(activation.leaky_relu_backward, (dy, y), out, where, negative_slope)


def tanh(x, *, out=None, where=True):
    """``tanh(x)``."""
    return _elementwise(activation.tanh, (x,), out, where)


def tanh_backward(dy, y, *, out=None, where=True):
    """``dy * (1 - y**2)``."""
    return _elementwise(activation.tanh_backward, (dy, y), out, where)


def sigmoid(x, *, out=None, where=True):
    """``1 / (1 + exp(-x))``."""
    return _elementwise(activation.sigmoid, (x,), out, where)


def sigmoid_backward(dy, y, *, out=None, where=True):
    """``dy * y * (1 - y)``."""
    return _elementwise(activation.sigmoid_backward, (dy, y), out, where)


def softplus(x, *, out=None, where=True):
    """``log(1 + exp(x))``."""
    return _elementwise(activation.softplus, (x,), out, where)


def softplus_backward(dy, y, *, out=None, where=True):
    """``dy * (1 - exp(-y))``."""
    return _elementwise(activation.softplus_backward, (dy, y), out, where)


def elu(x, alpha=1.0, *, out=None, where=True):
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)``."""
    return _elementwise(activation.elu, (x,), out, where, alpha)


def elu_backward(dy, y, alpha=1.0, *, out=None, where=True):
    """``dy`` where the output is positive, else ``dy * (y + alpha)``."""
    return _elementwise(activation.elu_backward, (dy, y), out, where, alpha)


def silu(x, *, out=None, where=True):
    """``x * sigmoid(x)``."""
    return _elementwise(activation.silu, (x,), out, where)


def silu_backward(dy, x, *, out=None, where=True):
    """``dy * (s + x * s * (1 - s))`` with ``s = sigmoid(x)``."""
    return _elementwise(activation.silu_backward, (dy, x), out, where)


def gelu(x, approximate="none", *, out=None, where=True):
    """``x * Phi(x)``, or its approximation by tanh."""
    function = activation.gelu_tanh if approximate == "tanh" else activation.gelu
    return _elementwise(function, (x,), out, where)


def gelu_backward(dy, x, approximate="none", *, out=None, where=True):
    """``dy * (Phi(x) + x * phi(x))``, or the approximation's derivative."""
    is_tanh = approximate == "tanh"
    function = activation.gelu_tanh_backward if is_tanh else activation.gelu_backward
    return _elementwise(function, (dy, x), out, where)


def softmax(x, axis=-1, *, out=None):
    """``exp(x) / sum(exp(x))`` along an axis."""
    return _rowwise(activation.softmax, (x,), axis, out)


def softmax_backward(dy, y, axis=-1, *, out=None):
    """``y * (dy - sum(dy * y))`` along an axis."""
    return _rowwise(activation.softmax_backward, (dy, y), axis, out)


def log_softmax(x, axis=-1, *, out=None):
    """``x - log(sum(exp(x)))`` along an axis."""
    return _rowwise(activation.log_softmax, (x,), axis, out)


def log_softmax_backward(dy, y, axis=-1, *, out=None):
    """``dy - exp(y) * sum(dy)`` along an axis."""
    return _rowwise(activation.log_softmax_backward, (dy, y), axis, out)


def linear(x, w, b=None, *, out=None):
    """``x @ w + b``."""
    return matmul(x, w, b, out=out)


def linear_backward(dy, x, w, *, out=None):
    """``dy @ w.T``, ``x.T @ dy`` and ``sum(dy)``, over all axes but the last."""
    dy, x, w = _floats(dy, x, *(() if w is None else (w,))) + [None] * (w is None)
    rows, inputs = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    dw, db = np.empty((x.shape[-1], dy.shape[-1]), x.dtype), np.empty(dy.shape[-1], x.dtype)
    affine.linear_backward_weight(inputs, rows, 0, False, None, dw)
    affine.linear_backward_bias(rows, False, db)
    dx = None
    if w is not None:
        dx = np.empty(x.shape, x.dtype)
        affine.linear_backward_input(rows, w, False, None, dx.reshape(inputs.shape))
    outs = (None, None, None) if out is None else out
    return tuple(
        None if result is None else np.positive(result, out=array)
        for result, array in zip((dx, dw, db), outs, strict=True)
    )


def matmul(a, b, bias=None, activation=None, *, out=None):
    """``activation(a @ b + bias)``."""
    a, b, *rest = _floats(a, b, *(() if bias is None else (bias,)))
    y = np.matmul(a, b)
    for row in rest:
        y = y + row.reshape(row.shape[-1:])
    if activation is not None:
        y = globals()[activation](y)
    return np.positive(y, out=out)


def mse(output, target, sample_weight=None, *, out=None):
    """Mean of ``(output - target)**2``, and its gradient."""
    return _pointwise(loss.mse, output, target, sample_weight, out)


def huber(output, target, delta=1.0, sample_weight=None, *, out=None):
    """Mean of ``e**2 / 2`` where ``|e| < delta``, else ``delta * (|e| - delta / 2)``."""
    return _pointwise(loss.huber, output, target, sample_weight, out, delta)


def bce_with_logits(output, target, sample_weight=None, *, out=None):
    """Mean of ``-t * log(p) - (1 - t) * log(1 - p)`` with ``p = sigmoid(output)``."""
    return _pointwise(loss.bce_with_logits, output, target, sample_weight, out)


def cross_entropy(output, label, label_smoothing=0.0, sample_weight=None, *, out=None):
    """Mean of ``-sum(q * log(softmax(output)))``, q the smoothed label; and its gradient."""
    (output,) = _floats(output)
    label = np.asarray(label)
    weight = np.ones(label.shape) if sample_weight is None else np.asarray(sample_weight)
    weight = weight.reshape(-1)
    gradient = np.empty((label.size, output.shape[-1]), output.dtype)
    terms = np.empty((label.size, 1), output.dtype)
    loss.cross_entropy(
        output.reshape(gradient.shape),
        label.reshape(-1),
        weight,
        weight.sum(),
        terms,
        gradient,
        label_smoothing,
    )
    return _mean(terms, weight), np.positive(gradient.reshape(output.shape), out=out)


def sgd_update(
    params, grads, velocity=None, *, lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False
):
    """Step against the gradient, or against its running sum."""
    if velocity is None:
        _each(sgd.sgd_update_without_momentum, (params, grads), lr, weight_decay)
    else:
        numbers = lr, momentum, weight_decay, nesterov
        _each(sgd.sgd_update, (params, grads, velocity), *numbers)


def adam_update(
    params,
    grads,
    mean,
    square,
    *,
    step,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
):
    """Step by the gradient's running mean over the root of its running square."""
    numbers = lr, *betas, eps, weight_decay, False, step
    _each(adam.adam_update, (params, grads, mean, square), None, *numbers)


def adamw_update(
    params,
    grads,
    mean,
    square,
    *,
    step,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=1e-2,
):
    """Shrink the weights, then take Adam's step."""
    numbers = lr, *betas, eps, weight_decay, False, step
    _each(adamw.adamw_update, (params, grads, mean, square), None, *numbers)


def clip_grad_norm(grads, max_norm):
    """``g * max_norm / (norm + 1e-6)`` if all together are longer than that; return the norm."""
    arrays = grads if isinstance(grads, list | tuple) else [grads]
    length = sqrt(sum(norm.sum_of_squares(array) for array in arrays))
    share = max_norm / (length + 1e-6) if isfinite(length) else nan
    if not share >= 1:
        for array in arrays:
            array *= share
    return length


def _floats(*values):
    """Return arrays of the dtype that NumPy promotes the values to, if it is a float, else float64.

    >>> [array.dtype.name for array in _floats(np.float32([1]), 2.0)], _floats(1)[0].dtype.name
    (['float32', 'float32'], 'float64')
    """
    # Numbers do not count beside arrays, as in NumPy's own functions.
    arrays = [value if type(value) in (int, float) else np.asarray(value) for value in values]
    dtype = np.result_type(*arrays)
    return [np.asarray(value, dtype if dtype.kind == "f" else float) for value in values]


def _elementwise(function, values, out, where, *numbers):
    arrays = np.broadcast_arrays(*_floats(*values))
    y = np.empty_like(arrays[0])
    function(*arrays, y, *numbers)
    return np.positive(y, out=out, where=where)


def _rowwise(function, values, axis, out):
    arrays = [np.moveaxis(x, axis, -1) for x in np.broadcast_arrays(*_floats(*values))]
    rows = [x.reshape(-1, x.shape[-1]) for x in arrays]
    y = np.empty_like(rows[0])
    function(*rows, y)
    return np.positive(np.moveaxis(y.reshape(arrays[0].shape), -1, axis), out=out)


def _pointwise(function, output, target, weight, out, *numbers):
    output, target = _floats(output, target)
    rows = output.shape[0] if output.ndim else 1
    weight = np.ones(rows) if weight is None else np.asarray(weight)
    matrix = output.reshape(rows, prod(output.shape[1:]))
    gradient, terms = np.empty_like(matrix), np.empty_like(matrix)
    goal = np.broadcast_to(target, output.shape).reshape(matrix.shape)
    function(matrix, goal, weight, weight.sum(), terms, gradient, *numbers)
    return _mean(terms, weight), np.positive(gradient.reshape(output.shape), out=out)


def _mean(terms, weight):
    """Return the loss, the mean of all terms, each with its row's weight."""
    scale = loss.row_scale(weight.sum(), terms.shape[1])
    return float(weighted_sum(terms, weight) * scale)


def _each(function, given, *numbers):
    if isinstance(given[0], list | tuple):
        for arrays in zip(*given, strict=True):
            function(*arrays, *numbers)
    else:
        function(*given, *numbers)

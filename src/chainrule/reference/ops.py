"""The functions of ``chainrule.ops`` in plain NumPy, with the same names and arguments.

What they mean is said there. All are made from the twins, whose formulas stand in the other files.
"""

from collections.abc import Callable
from functools import partial
from inspect import cleandoc
from math import isfinite, nan, prod, sqrt
from typing import Any

import numpy as np

from chainrule.reference import affine, norm, sgd
from chainrule.reference.array_functions import (
    PUBLIC,
    ROWWISE,
    SHAPES,
    WEIGHTED,
    ArrayFunction,
    Choice,
)
from chainrule.reference.loss import row_scale
from chainrule.reference.rows import weighted_sum
from chainrule.reference.weighted_cross_entropy import weigh_classes


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
        y = FUNCTIONS[activation](y)
    return np.positive(y, out=out)


def sgd_update(
    params, grads, velocity=None, *, lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False
):
    """Step against the gradient, or against its running sum."""
    if velocity is None:
        _each(sgd.sgd_update_without_momentum, (params, grads), lr, weight_decay)
    else:
        numbers = lr, momentum, weight_decay, nesterov
        _each(sgd.sgd_update, (params, grads, velocity), *numbers)


def clip_grad_norm(grads, max_norm):
    """``g * max_norm / (norm + 1e-6)`` if all together are longer than that; return the norm."""
    arrays = grads if isinstance(grads, list | tuple) else [grads]
    length = sqrt(sum(norm.sum_of_squares(array) for array in arrays))
    share = max_norm / (length + 1e-6) if isfinite(length) else nan
    if not share >= 1:
        for array in arrays:
            array *= share
    return length


def prelu(x, weight, *, out=None):
    """``x`` where it is positive, else ``weight * x``; a weight for all, or for each column."""
    x, weight = _floats(x, weight)
    return np.positive(np.where(x > 0, x, weight * x), out=out)


def prelu_backward(dy, x, weight, *, out=None):
    """``dy`` or ``weight * dy``, and the sum of ``dy * x`` where x is not positive."""
    dy, x, weight = _floats(dy, x, weight)
    dy, x = np.broadcast_arrays(dy, x)
    columns = np.where(x > 0, 0, dy * x).reshape(-1, x.shape[-1]).sum(axis=0)
    d_weight = columns if weight.size > 1 else columns.sum(keepdims=True)
    results = np.where(x > 0, dy, weight * dy), d_weight.reshape(weight.shape)
    outs = (None, None) if out is None else out
    return tuple(np.positive(one, out=place) for one, place in zip(results, outs, strict=True))


def _each(function, given, *numbers):
    """Call a function with the arrays, or with the first of each list, then the second, ..."""
    if not isinstance(given[0], list | tuple):
        function(*given, *numbers)
        return
    lists = [[None] * len(given[0]) if one is None else one for one in given]
    for arrays in zip(*lists, strict=True):
        function(*arrays, *numbers)


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
    function.twin(*arrays, y, *numbers)
    return np.positive(y, out=out, where=where)


def _rowwise(function, values, axis, out):
    arrays = tuple(np.moveaxis(x, axis, -1) for x in _floats(*values))
    ratio = ROWWISE[function.operation]
    if ratio == 1:
        arrays = np.broadcast_arrays(*arrays)
    *leading, length = arrays[-1].shape
    length = length // ratio if "dy" not in function.arrays else length
    y = np.empty((*leading, length), arrays[0].dtype)
    rows = [array.reshape(prod(leading), array.shape[-1]) for array in (*arrays, y)]
    function.twin(*rows)
    return np.positive(np.moveaxis(rows[-1].reshape(y.shape), -1, axis), out=out)


def _loss(function, given, sample_weight, out, *numbers):
    run = _label_loss if "label" in function.arrays else _target_loss
    return run(function, given, sample_weight, out, numbers)


def _label_loss(function, given, weight, out, numbers):
    (output,), label = _floats(given[0]), np.asarray(given[1]).reshape(-1)
    label = label.astype(np.int64, casting="same_kind")  # an index: booleans would be a mask
    weight = np.ones(label.size) if weight is None else np.array(weight, float).reshape(-1)
    if function.operation == WEIGHTED["cross_entropy"][1]:
        class_weight = np.asarray(numbers[0], output.dtype)
        weigh_classes(label, weight, class_weight)
        numbers = class_weight, *numbers[1:]
    matrix = output.reshape(label.size, output.shape[-1])
    value, gradient = _value_and_gradient(function, matrix, label, weight, 1, numbers)
    return value, np.positive(gradient.reshape(output.shape), out=out)


def _target_loss(function, given, weight, out, numbers):
    output, target = _floats(*given)
    rows, columns = output.shape[0] if output.ndim else 1, prod(output.shape[1:])
    shapes = SHAPES.get(function.name)
    shape = shapes.of_target(output.shape) if shapes else output.shape
    target = np.broadcast_to(target, shape).reshape(rows, prod(shape[1:]))
    weight = np.ones(rows) if weight is None else np.asarray(weight)
    if function.operation == WEIGHTED["bce_with_logits"][1]:
        # A number for each element of the last axis, or one for all.
        pos_weight = np.broadcast_to(numbers[0], output.shape[-1:] or (1,))
        numbers = np.resize(pos_weight, columns), *numbers[1:]
    numbers = [n if isinstance(n, int | float) else np.array(n, output.dtype) for n in numbers]
    width = target.shape[1] if shapes and shapes.terms == "target" else columns
    matrix = output.reshape(rows, columns)
    value, gradient = _value_and_gradient(function, matrix, target, weight, width, numbers)
    return value, np.positive(gradient.reshape(output.shape), out=out)


def _value_and_gradient(function, output, target, weight, width, numbers):
    """Return the loss, whose terms have ``width`` columns, and its gradient."""
    terms, gradient = np.empty((len(output), width), output.dtype), np.empty_like(output)
    total = np.abs(weight).sum()
    function.twin(output, target, weight, total, terms, gradient, *numbers)
    value = float(weighted_sum(terms, weight) * row_scale(total, width))
    return value, gradient


def _update(function, given, *numbers):
    flat = [n for value in numbers for n in (value if isinstance(value, tuple | list) else [value])]
    _each(function.twin, given, *flat)


_RUN: dict[str, Callable[..., Any]] = {
    "elementwise": _elementwise,
    "rowwise": _rowwise,
    "loss": _loss,
    "update": _update,
}


def _made_from(function: ArrayFunction) -> Callable[..., Any]:
    """Return the function on arrays that calls a twin."""
    run: Any = partial(_RUN[function.kind], function)
    if function.choice:
        argument, operations = function.choice
        runs = {key: partial(_RUN[function.kind], function.of(o)) for key, o in operations.items()}
        run = Choice(argument, runs)
    if function.weights:
        run.weighted = partial(_loss, function.of(WEIGHTED[function.name][1]))
    doc = cleandoc(function.twin.__doc__ or "").partition("\n\n")[0]
    return function.define(run, "chainrule.reference", doc)


BY_HAND = (
    *(linear, linear_backward, matmul, prelu, prelu_backward),
    *(sgd_update, clip_grad_norm),
)
FUNCTIONS = {name: _made_from(function) for name, function in PUBLIC.items()}
FUNCTIONS |= {function.__name__: function for function in BY_HAND}

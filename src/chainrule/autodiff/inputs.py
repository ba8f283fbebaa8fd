"""First and second derivatives by the input, also for training on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.machines import blocks, borrowed, return_with, run_backward, take
from chainrule.autodiff.plans import derivatives_plan, elements_of, plain_plan, tangent_plan
from chainrule.autodiff.validation import array_of_shape, parameter_vector, require_one_input
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.models.sequential import Sequential, check_network
from chainrule.operations.operation import Shape
from chainrule.utils.arguments import integer
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import arrays_of, one_or_tuple

Derivative = tuple[int, ...]
TOGETHER = 8  # inputs whose second derivatives one plan computes


def input_gradient(net: Sequential, x: ArrayLike, *, params: ArrayLike | None = None) -> Any:
    """Return the gradient of a network's only output by its input.

    Parameters
    ----------
    net : Sequential
        With one output element for each row; :func:`jacobian` is for several.
    x : array of shape (n, ...)
        A tuple of them for :class:`Inputs`.
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    array of x's shape
        Or a tuple of them, one for each input.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1), dtype="float64")
    >>> cr.input_gradient(net, [[3.0, 1.0]], params=[1.0, 2.0, 0.5])
    array([[1., 2.]])
    """
    check_network(net)
    net.graph.check_rows_are_independent("input_gradient")
    at = parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    shape = inputs.shape[1:]
    outputs = prod(_output_shape(net, shape, "input_gradient"))
    if outputs != 1:
        raise ValueError(
            f"input_gradient is for networks of one output, but this one has {outputs}; "
            "jacobian(net, x, wrt='x') has the derivatives of each."
        )
    results = [np.empty(array.shape, net.dtype) for array in arrays_of(inputs)]
    for block in blocks(net, len(inputs)):
        rows = block.stop - block.start
        with borrowed(net, plain_plan, shape, rows, loss=None, retain=False) as machine:
            order = np.arange(block.start, block.stop)
            machine.run(Phase.FORWARD, order, machine.vectors(at), make_data(net.dtype, inputs))
            machine.rows_at("d_output", rows)[...] = 1
            machine.run(Phase.BACKWARD | Phase.INPUT_GRADIENT, order, machine.vectors(at))
            for result, gradient in zip(results, machine.input_gradients(rows), strict=True):
                result[block] = gradient
    return one_or_tuple(results)


def hessian_x(net: Sequential, x: ArrayLike, *, params: ArrayLike | None = None) -> FloatArray:
    """Return the second derivatives of each output by the inputs.

    For inputs with few elements: it runs a forward pass for each of them, followed by a backward
    pass for each output.

    Parameters
    ----------
    net : Sequential
    x : array of shape (n, ...)
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    array of shape ``(n, *output, *input, *input)``

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1), cr.Tanh(), dtype="float64")
    >>> cr.hessian_x(net, [[0.0]], params=[1.0, 0.0]).shape
    (1, 1, 1, 1)
    """
    check_network(net)
    net.graph.check_rows_are_independent("hessian_x")
    require_one_input(net, "hessian_x")
    at = parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    shape = inputs.shape[1:]
    output_shape = _output_shape(net, shape, "hessian_x")
    result = np.empty((len(inputs), prod(output_shape), prod(shape), prod(shape)), net.dtype)
    options = {"parameters_change": False, "by_x": True, "backward": True, "retain": True}
    for block in blocks(net, len(inputs)):
        rows = block.stop - block.start
        with borrowed(net, tangent_plan, shape, rows, **options) as machine:
            seed = machine.rows_at("seed", rows).reshape(rows, -1)
            d_outputs = [
                machine.rows_at("d_output", rows, head).reshape(rows, -1) for head in (0, 1)
            ]
            order = np.arange(block.start, block.stop)
            for i in range(seed.shape[1]):
                seed[...] = 0
                seed[:, i] = 1
                machine.run(Phase.FORWARD, order, machine.vectors(at), make_data(net.dtype, inputs))
                for output in range(prod(output_shape)):
                    for d_output in d_outputs:
                        d_output[...] = 0
                    d_outputs[1][:, output] = 1
                    machine.run(Phase.BACKWARD | Phase.INPUT_GRADIENT, order, machine.vectors(at))
                    result[block, output, i] = machine.rows_at("d_input", rows).reshape(rows, -1)
    return result.reshape(len(inputs), *output_shape, *shape, *shape)


def laplacian(net: Sequential, x: ArrayLike, *, params: ArrayLike | None = None) -> FloatArray:
    """Return the Laplacian of each output: the sum of its unmixed second derivatives.

    It is computed in forward over forward mode, for a few inputs at a time.

    Parameters
    ----------
    net : Sequential
    x : array of shape (n, ...)
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    array of shape ``(n, *output)``

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    The second derivative of softplus is ``p * (1 - p)``, with the sigmoid p, for each input:

    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1), cr.Softplus(), dtype="float64")
    >>> cr.laplacian(net, [[0.0, 0.0]], params=[1.0, -1.0, 0.0])
    array([[0.5]])
    """
    check_network(net)
    net.graph.check_rows_are_independent("laplacian")
    require_one_input(net, "laplacian")
    at = parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    shape = inputs.shape[1:]
    result = np.zeros((len(inputs), *_output_shape(net, shape, "laplacian")), net.dtype)
    numbers = range(prod(shape))
    groups = [numbers[begin : begin + TOGETHER] for begin in numbers[::TOGETHER]]
    for block in blocks(net, len(inputs)):
        rows, order = block.stop - block.start, np.arange(block.start, block.stop)
        for group in groups:
            options = {"derivatives": tuple((i, i) for i in group), "backward": False}
            with borrowed(net, derivatives_plan, shape, rows, **options) as machine:
                _write_seeds(machine, rows, list(group))
                machine.run(Phase.FORWARD, order, machine.vectors(at), make_data(net.dtype, inputs))
                for head in range(len(group)):
                    result[block] += machine.rows_at("output", rows, head)
    return result


def input_derivatives(
    net: Sequential,
    x: ArrayLike,
    derivatives: Sequence[Derivative],
    *,
    params: ArrayLike | None = None,
) -> tuple[list[FloatArray], Callable[[Sequence[ArrayLike]], tuple[FloatArray, FloatArray]]]:
    """Return derivatives of the output by chosen inputs, and their pullback.

    The pullback trains a network on a differential equation: from the gradients of a loss by the
    derivatives, it computes the loss's gradient by the parameters.

    Parameters
    ----------
    net : Sequential
    x : array of shape (n, ...)
    derivatives : list of tuples of int
        The indices of the inputs, in a row of x, by which the output is differentiated: ``()`` is
        the output itself, ``(0,)`` its derivative by the first input, ``(0, 1)`` the mixed second
        derivative by the first two. At most two indices.
    params : array of shape (n_params,), optional
        Instead of the network's own; it must not be changed before the last call of the pullback.

    Returns
    -------
    values : list of arrays of shape ``(n, *output)``
        One for each of the derivatives.
    pullback : function of a list of arrays of that shape, or None for zeros
        It takes the loss's gradient by each of the values. It returns the gradient by the
        parameters, of shape (n_params,), and the gradient by x.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 16), cr.Tanh(), cr.Linear(16, 1), seed=0)
    >>> t = np.linspace(0, 1, 20)[:, None]
    >>> (u, d2u_dt2), pullback = cr.input_derivatives(net, t, [(), (0, 0)])
    >>> residual = d2u_dt2 + u
    >>> gradient = 2 * residual / residual.size
    >>> d_params, _ = pullback([gradient, gradient])
    >>> d_params.shape
    (49,)
    """
    check_network(net)
    net.graph.check_rows_are_independent("input_derivatives")
    require_one_input(net, "input_derivatives")
    at = net.params.copy() if params is None else parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    rows, shape = len(inputs), inputs.shape[1:]
    _output_shape(net, shape, "input_derivatives")
    chosen = _checked_derivatives(derivatives, prod(shape))
    key, machine = take(net, derivatives_plan, shape, rows, derivatives=chosen, backward=True)
    _write_seeds(machine, rows, elements_of(chosen))
    machine.run(Phase.FORWARD, rows, machine.vectors(at), make_data(net.dtype, inputs))
    values = machine.outputs(rows)

    def pullback(gradients: Sequence[ArrayLike]) -> tuple[FloatArray, FloatArray]:
        if not isinstance(gradients, list | tuple) or len(gradients) != len(chosen):
            raise ValueError(f"gradients must be a list of {len(chosen)}, one for each derivative.")
        checked = [
            0.0
            if gradient is None
            else array_of_shape(gradient, f"gradients[{i}]", values[i].shape, net.dtype)
            for i, gradient in enumerate(gradients)
        ]
        return run_backward(machine, rows, at, checked)

    return_with(pullback, net, key, machine)
    return values, pullback


def _output_shape(net: Sequential, shape: Shape, function: str) -> Shape:
    """Return the shape of a row's output; ValueError if the network ends in a Branch."""
    shapes = net.output_shapes(shape)
    if len(shapes) > 1:
        raise ValueError(
            f"{function} is for networks of one output, but this one has {len(shapes)}, in a "
            "Branch; jacobian(net, x, wrt='x') has the derivatives of each."
        )
    return shapes[0]


def _write_seeds(machine: Machine, rows: int, elements: list[int]) -> None:
    """Set each seed to the unit vector of one element of x."""
    for seed, element in enumerate(elements):
        direction = machine.rows_at("seed", rows, seed).reshape(rows, -1)
        direction[...] = 0
        direction[:, element] = 1


def _checked_derivatives(
    derivatives: Sequence[Derivative], elements: int
) -> tuple[Derivative, ...]:
    """Return each derivative with its indices sorted; an error if one is wrong or given twice."""
    if not isinstance(derivatives, list | tuple) or not derivatives:
        raise ValueError(
            f"derivatives must be a list of tuples such as [(), (0,), (0, 0)], not {derivatives!r}."
        )
    chosen = []
    for derivative in derivatives:
        if not isinstance(derivative, tuple) or len(derivative) > 2:
            raise ValueError(
                f"derivatives must hold tuples of no more than two numbers, not {derivative!r}."
            )
        numbers = [integer(number, "a derivative's number", least=0) for number in derivative]
        if any(number >= elements for number in numbers):
            raise ValueError(
                f"derivatives has {derivative}, but a row of x has {elements} elements "
                f"(numbers 0 to {elements - 1})."
            )
        chosen.append(tuple(sorted(numbers)))
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"derivatives must hold each of them once, not {derivatives!r}.")
    return tuple(chosen)

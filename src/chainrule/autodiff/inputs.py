"""First and second derivatives by the input, also for training on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.each_input import columns_of, element_of, second_derivatives
from chainrule.autodiff.machines import blocks, borrowed, return_with, run_backward, take
from chainrule.autodiff.plans import derivatives_plan, elements_of, plain_plan, tangent_plan
from chainrule.autodiff.validation import array_of_shape, parameter_vector
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


def hessian_x(net: Sequential, x: ArrayLike, *, params: ArrayLike | None = None) -> Any:
    """Return the second derivatives of each output by the inputs.

    For inputs with few elements: it runs a forward pass for each of them, followed by a backward
    pass for each output.

    Parameters
    ----------
    net : Sequential
    x : array of shape (n, ...)
        A tuple of them for :class:`Inputs`.
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    array of shape ``(n, *output, *input, *input)``
        By several inputs, a tuple of tuples: ``result[i][j]``, by the inputs i and j, has the shape
        ``(n, *output, *input_i, *input_j)``.

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
    at = parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    shape = inputs.shape[1:]
    output_shape, of_each = _output_shape(net, shape, "hessian_x"), net.graph.input_shapes(shape)
    columns, outputs, data = columns_of(of_each), prod(output_shape), make_data(net.dtype, inputs)
    elements = columns[-1].stop
    result = np.empty((len(inputs), outputs, elements, elements), net.dtype)
    options = {"parameters_change": False, "by_x": True, "backward": True, "retain": True}
    for block in blocks(net, len(inputs)):
        rows = block.stop - block.start
        with borrowed(net, tangent_plan, shape, rows, **options) as machine:
            seeds = machine.matrices("seed", rows, range(len(of_each)))
            d_outputs = machine.matrices("d_output", rows, range(2))
            d_inputs = machine.matrices("d_input", rows, range(len(of_each)))
            order, vectors = np.arange(block.start, block.stop), machine.vectors(at)
            for i in range(elements):
                for seed in seeds:
                    seed[...] = 0
                number, element = element_of(i, of_each)
                seeds[number][:, element] = 1
                machine.run(Phase.FORWARD, order, vectors, data)
                for output in range(outputs):
                    for d_output in d_outputs:
                        d_output[...] = 0
                    d_outputs[1][:, output] = 1
                    machine.run(Phase.BACKWARD | Phase.INPUT_GRADIENT, order, vectors)
                    np.concatenate(d_inputs, axis=1, out=result[block, output, i])
    return second_derivatives(result, (len(inputs), *output_shape), of_each)


def laplacian(net: Sequential, x: ArrayLike, *, params: ArrayLike | None = None) -> Any:
    """Return the Laplacian of each output: the sum of its unmixed second derivatives.

    It is computed in forward over forward mode, for a few inputs at a time.

    Parameters
    ----------
    net : Sequential
    x : array of shape (n, ...)
        A tuple of them for :class:`Inputs`.
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    array of shape ``(n, *output)``
        By several inputs, such as time and place, a tuple of them: the sums over the elements of
        each input.

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
    at = parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    shape = inputs.shape[1:]
    output_shape, of_each = _output_shape(net, shape, "laplacian"), net.graph.input_shapes(shape)
    results = [np.zeros((len(inputs), *output_shape), net.dtype) for _ in of_each]
    numbers = range(columns_of(of_each)[-1].stop)
    groups = [numbers[begin : begin + TOGETHER] for begin in numbers[::TOGETHER]]
    for block in blocks(net, len(inputs)):
        rows, order = block.stop - block.start, np.arange(block.start, block.stop)
        for group in groups:
            options = {"derivatives": tuple((i, i) for i in group), "backward": False}
            with borrowed(net, derivatives_plan, shape, rows, **options) as machine:
                _write_seeds(machine, rows, list(group), of_each)
                machine.run(Phase.FORWARD, order, machine.vectors(at), make_data(net.dtype, inputs))
                for head, i in enumerate(group):
                    result = results[element_of(i, of_each)[0]]
                    result[block] += machine.rows_at("output", rows, head)
    return one_or_tuple(results)


def input_derivatives(
    net: Sequential,
    x: ArrayLike,
    derivatives: Sequence[Derivative],
    *,
    params: ArrayLike | None = None,
) -> tuple[list[FloatArray], Callable[[Sequence[ArrayLike]], tuple[FloatArray, Any]]]:
    """Return derivatives of the output by chosen inputs, and their pullback.

    The pullback trains a network on a differential equation: from the gradients of a loss by the
    derivatives, it computes the loss's gradient by the parameters.

    Parameters
    ----------
    net : Sequential
    x : array of shape (n, ...)
        A tuple of them for :class:`Inputs`.
    derivatives : list of tuples of int
        The indices of the inputs, in a row of x, by which the output is differentiated: ``()`` is
        the output itself, ``(0,)`` its derivative by the first input, ``(0, 1)`` the mixed second
        derivative by the first two. At most two indices. For a tuple of arrays, they are counted
        on from each array's row to the next one's: for two arrays of one column, 0 and 1.
    params : array of shape (n_params,), optional
        Instead of the network's own; it must not be changed before the last call of the pullback.

    Returns
    -------
    values : list of arrays of shape ``(n, *output)``
        One for each of the derivatives.
    pullback : function of a list of arrays of that shape, or None for zeros
        It takes the loss's gradient by each of the values. It returns the gradient by the
        parameters, of shape (n_params,), and the gradient by x, which is a tuple for a tuple.

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
    at = net.params.copy() if params is None else parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    rows, shape = len(inputs), inputs.shape[1:]
    _output_shape(net, shape, "input_derivatives")
    of_each = net.graph.input_shapes(shape)
    chosen = _checked_derivatives(derivatives, columns_of(of_each)[-1].stop)
    key, machine = take(net, derivatives_plan, shape, rows, derivatives=chosen, backward=True)
    _write_seeds(machine, rows, elements_of(chosen), of_each)
    machine.run(Phase.FORWARD, rows, machine.vectors(at), make_data(net.dtype, inputs))
    values = machine.outputs(rows)

    def pullback(gradients: Sequence[ArrayLike]) -> tuple[FloatArray, Any]:
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


def _write_seeds(machine: Machine, rows: int, elements: list[int], inputs: Sequence[Shape]) -> None:
    """Set each seed to the unit vector of one element of its input."""
    directions = machine.matrices("seed", rows, range(len(elements)))
    for direction, number in zip(directions, elements, strict=True):
        direction[...] = 0
        direction[:, element_of(number, inputs)[1]] = 1


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

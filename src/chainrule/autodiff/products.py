"""Vector-Jacobian and Jacobian-vector products of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.machines import (
    blocks,
    borrowed,
    return_with,
    run_backward,
    seed_inputs,
    take,
)
from chainrule.autodiff.plans import plain_plan, tangent_plan
from chainrule.autodiff.validation import (
    PARAMS,
    Wrt,
    X,
    directions_of,
    parameter_vector,
)
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.models.sequential import Sequential, check_network
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import one_or_tuple

Pullback = Callable[[Any], tuple[FloatArray, FloatArray]]


def vjp(net: Sequential, x: ArrayLike, *, params: ArrayLike | None = None) -> tuple[Any, Pullback]:
    """Return the output, and its pullback: the function that runs the backward pass.

    Reverse mode: the pullback multiplies ``d_output`` by the Jacobian. The network is not changed.

    Parameters
    ----------
    net : Sequential
    x : array of shape (n, ...)
        A tuple of them for :class:`Inputs`; gradients by x and tangents are such tuples, too.
    params : array of shape (n_params,), optional
        Instead of the network's own; it must not be changed before the last call of the pullback.

    Returns
    -------
    output : array of shape (n, ...)
        Or a tuple of them, one for each head, if the network ends in a :class:`Branch`.
    pullback : function of an array of the output's shape, or of a tuple of them
        It returns the gradient by the parameters, of shape (n_params,), and the gradient by x. It
        may be called any number of times.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1), dtype="float64")
    >>> output, pullback = cr.vjp(net, [[3.0, 1.0]], params=[1.0, 2.0, 0.5])
    >>> d_params, d_x = pullback([[1.0]])
    >>> output.tolist(), d_params.tolist(), d_x.tolist()
    ([[5.5]], [3.0, 1.0, 1.0], [[1.0, 2.0]])
    """
    check_network(net)
    vector = net.params.copy() if params is None else parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    rows = len(inputs)
    key, machine = take(net, plain_plan, inputs.shape[1:], rows, loss=None, retain=True)
    machine.run(Phase.FORWARD, rows, machine.vectors(vector), make_data(net.dtype, inputs))
    shapes = machine.plan.output_shapes
    outputs = machine.outputs(rows)

    def pullback(d_output: Any) -> tuple[FloatArray, FloatArray]:
        gradients = net.check_gradients(d_output, rows, shapes, "d_output")
        return run_backward(machine, rows, vector, gradients)

    return_with(pullback, net, key, machine)
    return one_or_tuple(outputs), pullback


def jvp(
    net: Sequential,
    x: ArrayLike,
    tangent: Any,
    wrt: Wrt = PARAMS,
    *,
    params: ArrayLike | None = None,
) -> tuple[Any, Any]:
    """Return the output and its directional derivative.

    Forward mode: the Jacobian times ``tangent``, in one forward pass that computes each value and
    its tangent.

    Parameters
    ----------
    net : Sequential
    x : array of shape (n, ...)
        Or a tuple of them, as for :func:`vjp`.
    tangent : array like what ``wrt`` names, or a tuple of them
        The direction in which parameters, x or both change.
    wrt : "params", "x" or a tuple of both
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    output, d_output : arrays of shape (n, ...)
        Or tuples of them, one for each head, if the network ends in a :class:`Branch`.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1), cr.Tanh(), dtype="float64")
    >>> output, d_output = cr.jvp(net, [[0.0]], [[1.0]], wrt="x", params=[2.0, 0.0])
    >>> output.tolist(), d_output.tolist()
    ([[0.0]], [[2.0]])
    """
    check_network(net)
    vector = parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    directions = directions_of(net, tangent, "tangent", wrt, inputs.shape)
    shapes = net.output_shapes(inputs.shape[1:])
    outputs = [np.empty((len(inputs), *shape), net.dtype) for shape in 2 * shapes]
    options = {"parameters_change": PARAMS in directions, "by_x": X in directions}
    for block in blocks(net, len(inputs)):
        rows = block.stop - block.start
        with borrowed(net, tangent_plan, inputs.shape[1:], rows, **options) as machine:
            if X in directions:
                seed_inputs(machine, directions[X][block])
            machine.run(
                Phase.FORWARD,
                np.arange(block.start, block.stop),
                machine.vectors(vector, direction=directions.get(PARAMS)),
                make_data(net.dtype, inputs),
            )
            for head, output in enumerate(outputs):
                output[block] = machine.rows_at("output", rows, head)
    return one_or_tuple(outputs[: len(shapes)]), one_or_tuple(outputs[len(shapes) :])

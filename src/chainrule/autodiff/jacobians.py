"""The derivatives of each output of each row."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import ArrayLike

from chainrule.arrays import FloatArray
from chainrule.autodiff.door import PARAMS, X, check_network, names_of, parameter_vector
from chainrule.autodiff.machines import blocks, borrowed
from chainrule.autodiff.plans import plain_plan, tangent_plan
from chainrule.autodiff.samples import write_sample_gradients
from chainrule.engine.instructions import Phase
from chainrule.network import Sequential


def jacobian(
    net: Sequential, x: ArrayLike, wrt: str = PARAMS, *, params: ArrayLike | None = None
) -> FloatArray:
    """Return the derivatives of every output by every parameter, or by every input.

    By the input, whatever takes less: a walk forward with a tangent for each input, or one back
    for each output. By the parameters, of which there are many, one back for each output.

    Parameters
    ----------
    net : Sequential
    x : array of shape (n, ...)
    wrt : "params" or "x"
    params : array of shape (n_params,), optional
        Instead of the network's own.

    Returns
    -------
    array
        Of shape ``(n, *output, n_params)``, or for ``wrt="x"`` ``(n, *output, *input)``,
        as each row's output depends on its own input only.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1), dtype="float64")
    >>> cr.jacobian(net, [[3.0, 1.0]], wrt="x", params=[1.0, 2.0, 0.5])
    array([[[1., 2.]]])
    >>> cr.jacobian(net, [[3.0, 1.0]], params=[1.0, 2.0, 0.5])
    array([[[3., 1., 1.]]])
    """
    check_network(net)
    if not isinstance(wrt, str):
        raise ValueError(f'wrt must be "params" or "x", not {wrt!r}.')
    names_of(wrt)
    vector = parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    rows, shape = len(inputs), inputs.shape[1:]
    output_shape = net.output_shape(shape)
    of_each = shape if wrt == X else vector.shape
    result = np.empty((rows, prod(output_shape), prod(of_each)), net.dtype)
    for block in blocks(rows):
        if wrt == PARAMS:
            _back_to_parameters(net, inputs[block], vector, result[block])
        elif prod(shape) <= prod(output_shape):
            _forward(net, inputs[block], vector, result[block])
        else:
            _back_to_input(net, inputs[block], vector, result[block])
    return result.reshape(rows, *output_shape, *of_each)


def _forward(net: Sequential, inputs: FloatArray, params: FloatArray, result: FloatArray) -> None:
    """Let one input after the other move."""
    rows = len(inputs)
    options = {"moving": False, "by_x": True, "keep": True}
    with borrowed(net, tangent_plan, inputs.shape[1:], rows, **options) as machine:
        seed = machine.rows_at("seed", rows).reshape(rows, -1)
        begin = 0
        for i in range(seed.shape[1]):
            seed[...] = 0
            seed[:, i] = 1
            machine.run(Phase.FORWARD, rows, params=params, inputs=inputs, begin_step=begin)
            result[:, :, i] = machine.rows_at("output", rows, 1).reshape(rows, -1)
            # The values stay as they are; only the tangents, which come after them, change.
            begin = len(net.lower(inputs.shape[1:])[0].instructions)


def _back_to_input(
    net: Sequential, inputs: FloatArray, params: FloatArray, result: FloatArray
) -> None:
    """Walk back from one output after the other."""
    rows = len(inputs)
    with borrowed(net, plain_plan, inputs.shape[1:], rows, loss=None, keep=True) as machine:
        machine.run(Phase.FORWARD, rows, params=params, inputs=inputs)
        d_output = machine.rows_at("d_output", rows).reshape(rows, -1)
        for i in range(d_output.shape[1]):
            d_output[...] = 0
            d_output[:, i] = 1
            machine.run(Phase.BACKWARD | Phase.INPUT_GRADIENT, rows, params=params)
            result[:, i] = machine.rows_at("d_input", rows).reshape(rows, -1)


def _back_to_parameters(
    net: Sequential, inputs: FloatArray, params: FloatArray, result: FloatArray
) -> None:
    """Walk back from one output after the other, and take each row's gradient apart."""
    rows = len(inputs)
    with borrowed(net, plain_plan, inputs.shape[1:], rows, loss=None, keep=True) as machine:
        machine.run(Phase.FORWARD, rows, params=params, inputs=inputs)
        d_output = machine.rows_at("d_output", rows).reshape(rows, -1)
        for i in range(d_output.shape[1]):
            d_output[...] = 0
            d_output[:, i] = 1
            machine.run(Phase.BACKWARD, rows, params=params)
            write_sample_gradients(net, machine, rows, result, i)

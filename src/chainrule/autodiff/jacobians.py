"""The derivatives of each output of each row."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.autodiff.machines import blocks, borrowed
from chainrule.autodiff.plans import plain_plan, tangent_plan
from chainrule.autodiff.sample_gradients import SampleGradients
from chainrule.autodiff.validation import (
    PARAMS,
    X,
    names_of,
    one_or_tuple,
    parameter_vector,
)
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.models.sequential import Sequential, check_network
from chainrule.utils.arrays import FloatArray


def jacobian(
    net: Sequential, x: ArrayLike, wrt: str = PARAMS, *, params: ArrayLike | None = None
) -> Any:
    """Return the derivatives of every output by every parameter, or by every input.

    By the input, it runs a forward pass with a tangent for each input, or a backward pass for each
    output, whichever is less work; with a custom layer, always backward passes. By the parameters,
    it runs a backward pass for each output.

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
        as each row's output depends on its own input only; a tuple of them, one for each head, if
        the network ends in a :class:`Branch`.

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
    shapes = net.output_shapes(shape)
    of_each = shape if wrt == X else vector.shape
    results = [np.empty((rows, prod(s), prod(of_each)), net.dtype) for s in shapes]
    steps = net.lower(shape)[0].steps if wrt == X else []
    is_forward_mode = prod(shape) <= sum(map(prod, shapes)) and not any(
        s.operation.tangent is None for s in steps
    )
    for block in blocks(rows):
        parts = [result[block] for result in results]
        if wrt == PARAMS:
            _back_to_parameters(net, inputs[block], vector, parts)
        elif is_forward_mode:
            _forward(net, inputs[block], vector, parts, len(steps))
        else:
            _back_to_input(net, inputs[block], vector, parts)
    return one_or_tuple(
        [r.reshape(rows, *s, *of_each) for r, s in zip(results, shapes, strict=True)]
    )


def _forward(
    net: Sequential,
    inputs: NDArray[Any],
    params: FloatArray,
    results: list[FloatArray],
    steps: int,
) -> None:
    """Fill in the columns of the Jacobians, input by input; ``steps`` are those of the network."""
    rows, shape = len(inputs), inputs.shape[1:]
    options = {"parameters_change": False, "by_x": True, "retain": True}
    with borrowed(net, tangent_plan, shape, rows, **options) as machine:
        vectors, data = machine.vectors(params), make_data(net.dtype, inputs)
        seed = machine.rows_at("seed", rows).reshape(rows, -1)
        begin = 0
        for i in range(seed.shape[1]):
            seed[...] = 0
            seed[:, i] = 1
            machine.run(Phase.FORWARD, rows, vectors, data, first_step=begin)
            for head, result in enumerate(results, len(results)):
                result[:, :, i] = machine.rows_at("output", rows, head).reshape(rows, -1)
            begin = steps  # later runs compute only the tangents, whose steps follow the network's


def _back_to_input(
    net: Sequential, inputs: NDArray[Any], params: FloatArray, results: list[FloatArray]
) -> None:
    """Run a backward pass from each output in turn."""
    rows = len(inputs)
    for machine, head, i, _ in _backward_passes(net, inputs, params, Phase.INPUT_GRADIENT):
        results[head][:, i] = machine.rows_at("d_input", rows).reshape(rows, -1)


def _back_to_parameters(
    net: Sequential, inputs: NDArray[Any], params: FloatArray, results: list[FloatArray]
) -> None:
    """Run a backward pass from each output in turn, and compute each row's gradient."""
    for machine, head, i, d_outputs in _backward_passes(net, inputs, params, 0):
        SampleGradients(net, machine, params, inputs, d_outputs).write(results[head], i)


def _backward_passes(
    net: Sequential, inputs: NDArray[Any], params: FloatArray, phases: int
) -> Iterator[tuple[Machine, int, int, list[FloatArray]]]:
    """Run a backward pass from each element of each output.

    Yield the machine, the output, the element and the gradients by the outputs: unit vectors.
    """
    rows = len(inputs)
    with borrowed(net, plain_plan, inputs.shape[1:], rows, loss=None, retain=True) as machine:
        vectors = machine.vectors(params)
        machine.run(Phase.FORWARD, rows, vectors, make_data(net.dtype, inputs))
        d_outputs = [np.zeros((rows, *shape), net.dtype) for shape in machine.plan.output_shapes]
        for head, d_output in enumerate(d_outputs):
            columns = d_output.reshape(rows, -1)
            for i in range(columns.shape[1]):
                columns[:, i] = 1
                machine.start_back_with(d_outputs, rows)
                machine.run(Phase.BACKWARD | phases, rows, vectors)
                yield machine, head, i, d_outputs
                columns[:, i] = 0

"""The derivatives of each output of each row."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.each_input import columns_of, first_derivatives
from chainrule.autodiff.machines import backward_phases, blocks, borrowed
from chainrule.autodiff.plans import plain_plan, tangent_plan
from chainrule.autodiff.repetition import Prepared, prepare, repeat
from chainrule.autodiff.sample_gradients import SampleGradients
from chainrule.autodiff.validation import (
    PARAMS,
    X,
    names_of,
    parameter_vector,
)
from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import Machine
from chainrule.engine.records import Vectors, make_data
from chainrule.kernels.context import NOT_FINITE, Phase
from chainrule.models.sequential import Sequential, check_network
from chainrule.utils.arrays import FloatArray, ready_array
from chainrule.utils.inputs import Batch, arrays_of, one_or_tuple


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
        the network ends in a :class:`Branch`. By the inputs of :class:`Inputs`, each of them is a
        tuple with an array for each input.

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
    net.graph.check_rows_are_independent("jacobian")
    if not isinstance(wrt, str):
        raise ValueError(f'wrt must be "params" or "x", not {wrt!r}.')
    names_of(wrt)
    at = net.params if params is None else params
    for kind in (_ForwardMode, _BackwardMode):
        found = repeat(net, kind, x, (wrt,), at, x)
        if found is not None:
            return found
    vector = parameter_vector(net, params)
    inputs = net.check_input(x, "x")
    rows, shape = len(inputs), inputs.shape[1:]
    shapes = net.output_shapes(shape)
    of_each = list(net.graph.input_shapes(shape)) if wrt == X else [vector.shape]
    columns = sum(map(prod, of_each))
    results = [np.empty((rows, prod(s), columns), net.dtype) for s in shapes]
    steps = net.lower(shape)[0].steps if wrt == X else []
    is_forward_mode = columns <= sum(map(prod, shapes)) and not any(
        s.operation.tangent is None for s in steps
    )
    for block in blocks(net, rows):
        parts = [result[block] for result in results]
        if wrt == PARAMS:
            _back_to_parameters(net, inputs[block], vector, parts)
        elif is_forward_mode:
            _forward(net, inputs[block], vector, parts, len(steps))
        else:
            _back_to_input(net, inputs[block], vector, parts)
    if is_forward_mode and wrt == X:
        options = {"parameters_change": False, "by_x": True, "retain": True}
        prepare(net, _ForwardMode, inputs.shape, (wrt,), tangent_plan, **options)
    elif wrt == X or rows == 1:
        prepare(net, _BackwardMode, inputs.shape, (wrt,), plain_plan, loss=None, retain=True)
    return one_or_tuple(
        [first_derivatives(r, (rows, *s), of_each) for r, s in zip(results, shapes, strict=True)]
    )


class _Prepared(Prepared):
    """Jacobians for batches of one shape, for loops in Python.

    Parameters
    ----------
    machine : Machine
    net : Sequential
    shape : of the batch.
    wrt : "params" or "x"
    """

    def __init__(self, machine: Machine, net: Sequential, shape: tuple[Any, ...], wrt: str) -> None:
        super().__init__(machine)
        rows, self._parameters = shape[0], net.params.shape
        inputs = net.graph.input_shapes(shape[1:])
        self._of_each = list(inputs) if wrt == X else [net.params.shape]
        columns = sum(map(prod, self._of_each))
        self._forward = BatchRun(machine.prepare_run(Phase.FORWARD), shape, checks_vectors=True)
        outputs = net.output_shapes(shape[1:])
        self._shapes = [(rows, *of_row) for of_row in outputs]
        self._matrices = [(rows, prod(of_row), columns) for of_row in outputs]

    def __call__(self, params: Any, x: Any) -> Any:
        """Return the Jacobian, or a tuple of them."""
        dtype = self.machine.dtype
        batch, at = self._forward.ready(x), ready_array(params, self._parameters, dtype)
        if batch is None or at is None:
            return None
        results = [np.zeros(shape, dtype) for shape in self._matrices]
        if not self._fill(self.machine.vectors(at), batch, results):
            return None
        return one_or_tuple(
            [
                first_derivatives(r, s, self._of_each)
                for r, s in zip(results, self._shapes, strict=True)
            ]
        )

    def _fill(self, vectors: Vectors, x: Any, results: list[FloatArray]) -> bool:
        """Fill in the matrices of shape (rows, output, wrt); False if x is not finite."""
        raise NotImplementedError


class _ForwardMode(_Prepared):
    """By the input, with a forward pass for each of its elements."""

    def __init__(self, machine: Machine, net: Sequential, shape: tuple[int, ...], wrt: str) -> None:
        super().__init__(machine, net, shape, wrt)
        steps = len(net.lower(shape[1:])[0].steps)
        rows, inputs, heads = shape[0], len(self._of_each), len(self._shapes)
        tangents = machine.prepare_run(Phase.PREDICT, first_step=steps)
        self._tangents = BatchRun(tangents, (rows,))
        self._seeds = machine.matrices("seed", rows, range(inputs))
        self._columns = [seed[:, i] for seed in self._seeds for i in range(seed.shape[1])]
        self._outputs = machine.matrices("output", rows, range(heads, 2 * heads))

    def _fill(self, vectors: Vectors, x: Any, results: list[FloatArray]) -> bool:
        for seed in self._seeds:
            seed[...] = 0
        for i, column in enumerate(self._columns):
            column[...] = 1
            if i > 0:
                self._tangents(vectors)
            elif self._forward(vectors, x) == NOT_FINITE:
                return False
            for result, output in zip(results, self._outputs, strict=True):
                result[:, :, i] = output
            column[...] = 0  # after the output was read, which may be the same memory
        return True


class _BackwardMode(_Prepared):
    """By the input, or by the parameters for one row, with a backward pass for each output."""

    def __init__(self, machine: Machine, net: Sequential, shape: tuple[int, ...], wrt: str) -> None:
        super().__init__(machine, net, shape, wrt)
        rows = shape[0]
        self._by_x = wrt == X
        self._backward = BatchRun(machine.prepare_run(backward_phases((wrt,))), (rows,))
        self._d_outputs = machine.matrices("d_output", rows, range(len(self._shapes)))
        self._unit_vectors = [np.eye(d.shape[1], dtype=machine.dtype) for d in self._d_outputs]
        inputs = range(len(self._of_each) if self._by_x else 0)
        d_inputs = machine.matrices("d_input", rows, inputs)
        columns = columns_of(self._of_each)[: len(inputs)]
        self._d_inputs = list(zip(columns, d_inputs, strict=True))

    def _fill(self, vectors: Vectors, x: Any, results: list[FloatArray]) -> bool:
        if self._forward(vectors, x) == NOT_FINITE:
            return False
        for result, d_output, units in zip(
            results, self._d_outputs, self._unit_vectors, strict=True
        ):
            for i, unit_vector in enumerate(units):
                for other in self._d_outputs:
                    other[...] = 0
                d_output[...] = unit_vector
                if self._by_x:
                    self._backward(vectors)
                    for columns, d_input in self._d_inputs:
                        result[:, i, columns] = d_input
                else:
                    params, direction, _, average = vectors
                    self._backward(Vectors(params, direction, result[0, i], average))
        return True


def _forward(
    net: Sequential,
    inputs: Batch,
    params: FloatArray,
    results: list[FloatArray],
    steps: int,
) -> None:
    """Fill in the columns of the Jacobians, input by input; ``steps`` are those of the network."""
    rows, shape = len(inputs), inputs.shape[1:]
    options = {"parameters_change": False, "by_x": True, "retain": True}
    with borrowed(net, tangent_plan, shape, rows, **options) as machine:
        vectors, data = machine.vectors(params), make_data(net.dtype, inputs)
        seeds = machine.matrices("seed", rows, range(len(arrays_of(inputs))))
        columns = [seed[:, i] for seed in seeds for i in range(seed.shape[1])]
        for seed in seeds:
            seed[...] = 0
        begin = 0
        for i, column in enumerate(columns):
            column[...] = 1
            machine.run(Phase.FORWARD, rows, vectors, data, first_step=begin)
            for head, result in enumerate(results, len(results)):
                result[:, :, i] = machine.rows_at("output", rows, head).reshape(rows, -1)
            column[...] = 0  # after the output was read, which may be the same memory
            begin = steps  # later runs compute only the tangents, whose steps follow the network's


def _back_to_input(
    net: Sequential, inputs: Batch, params: FloatArray, results: list[FloatArray]
) -> None:
    """Run a backward pass from each output in turn."""
    rows = len(inputs)
    for machine, head, i, _ in _backward_passes(net, inputs, params, Phase.INPUT_GRADIENT):
        gradients = [gradient.reshape(rows, -1) for gradient in machine.input_gradients(rows)]
        np.concatenate(gradients, axis=1, out=results[head][:, i])


def _back_to_parameters(
    net: Sequential, inputs: Batch, params: FloatArray, results: list[FloatArray]
) -> None:
    """Run a backward pass from each output in turn, and compute each row's gradient."""
    for machine, head, i, d_outputs in _backward_passes(net, inputs, params, 0):
        SampleGradients(net, machine, params, inputs, d_outputs).write(results[head], i)


def _backward_passes(
    net: Sequential, inputs: Batch, params: FloatArray, phases: int
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

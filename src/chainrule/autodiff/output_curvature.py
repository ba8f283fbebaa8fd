"""The second derivative of a loss by an output, times a direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.backends import is_compiled
from chainrule.engine.binding import code_of
from chainrule.engine.machine import Machine
from chainrule.models.sequential import Sequential
from chainrule.operations.operation import Function, function
from chainrule.utils.arrays import FloatArray


class OutputCurvature:
    """Replaces a loss's gradient by an output by its derivative along the output's tangent.

    Parameters
    ----------
    net : Sequential
    machine : Machine
        It has run forward.
    number : int
        The output's, and the loss's.
    tangent : array
        The output's, with as many rows as the batch.
    fisher : bool
        Whether to take the expected value over the targets instead, for the Fisher matrix.

    Raises
    ------
    NotImplementedError
        If the loss is a custom one.
    """

    def __init__(
        self,
        net: Sequential,
        machine: Machine,
        number: int,
        tangent: FloatArray,
        fisher: bool = False,
    ) -> None:
        head, rows = machine.plan.heads[number], len(tangent)
        loss = head.loss
        curvature = None if loss is None else loss.curvature
        self._row_weight = None if loss is None else loss.row_weight
        self._factor = head.loss_weight
        if loss is not None and fisher and loss.fisher is not None:
            curvature, information = loss.fisher(head.numbers)
            self._row_weight = loss.fisher_row_weight
            self._factor *= information
        if loss is None or curvature is None:
            raise NotImplementedError(
                "the second derivative of a custom loss is not known, only its gradient: it has no "
                "curvature."
            )
        self._backend, self._curvature, self._of_user = net.backend, curvature, loss.of_user
        self._losses = sum(other.loss is not None for other in machine.plan.heads)
        of_row = head.output.shape if loss.of_user else (head.output.size,)
        self._d_gradient = machine.rows_at("d_output", rows, number).reshape(rows, *of_row)
        self._ones = np.ones(rows, net.dtype)
        target_shape = head.target_shape if loss.of_user and head.target_shape else None
        self._target = "label" if head.takes_labels else "target"
        self._target_shape = (
            (rows,) if head.takes_labels else (rows, *(target_shape or (head.target_size,)))
        )
        self._given: dict[str, Any] = {
            "output": machine.rows_at("output", rows, number).reshape(rows, *of_row),
            "direction": tangent.reshape(rows, *of_row),
            "d_gradient": self._d_gradient,
            "d_output": self._d_gradient.reshape(rows, -1),
            **{name: _array_or_number(value, net.dtype) for name, value in head.numbers.items()},
        }

    def __call__(self, target: NDArray[Any], weights: FloatArray | None, total: float) -> float:
        """Do it, with the batch's targets, the weights of its rows, and their sum.

        Returns the batch's weight: ``total``, or what it is on average over the targets.
        """
        given = self._given | {
            self._target: target.copy().reshape(self._target_shape),
            "weight": self._ones if weights is None else weights.copy(),
            "total": total,
        }
        if self._row_weight is not None:
            given["weight"] = given["weight"].copy()
            _call(self._row_weight, given, self._backend)
            weight = float(np.abs(given["weight"]).sum(dtype=np.float64))
            if self._losses > 1:  # as the plan has it
                given["weight"] *= total / weight if weight > 0 else 0.0
            else:
                given["total"] = weight
        _call(self._curvature, given, self._backend)
        if self._of_user:
            from chainrule.kernels.loss import weigh_gradients  # loads Numba

            _call(function(weigh_gradients), given, self._backend)
        if self._factor != 1.0:
            self._d_gradient *= self._factor
        return float(given["total"])


def _call(code: Function, given: dict[str, Any], backend: str) -> None:
    called = code_of(code, backend)
    if code.label and code.can_compile and is_compiled(backend):
        from chainrule.kernels.compilation import compiled_for_python  # loads Numba

        called = compiled_for_python(code.code)
    try:
        called(*[given[name] for name in code.names])
    except Exception as error:
        if code.label:
            error.add_note(f"It was raised in {code.label}.")
        raise


def _array_or_number(value: float | tuple[float, ...], dtype: np.dtype) -> Any:
    return np.array(value, dtype) if isinstance(value, tuple) else value

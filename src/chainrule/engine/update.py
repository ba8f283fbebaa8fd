"""An optimizer's step as a program: clipping, the rule, and the moving average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.kernels import context
from chainrule.kernels.blocks import NORM_BLOCK
from chainrule.kernels.context import Flag
from chainrule.operations.operation import find, function
from chainrule.operations.update import UpdateOperation
from chainrule.plan.argument import Argument, number, partition, whole, word
from chainrule.plan.call import Call, call_with
from chainrule.plan.plan import table_of


class Run(NamedTuple):
    """Neighbouring parameters with one weight decay: from ``begin`` to ``end``."""

    begin: int
    end: int
    weight_decay: float


class UpdateOptions(NamedTuple):
    """Options of a step besides the optimizer's rule; a limit of 0 means none."""

    clip_norm: float = 0.0
    clip_value: float = 0.0
    average_decay: float | None = None


class UpdateProgram:
    """The calls of a step.

    Parameters
    ----------
    size : the number of parameters.
    dtype : of the parameters.
    options : UpdateOptions
    rule : the name of the optimizer's operation; "" for none.
    numbers : its hyperparameters, without the learning rate.
    runs : of all parameters.
    """

    def __init__(
        self,
        size: int,
        dtype: np.dtype,
        options: UpdateOptions,
        rule: str = "",
        numbers: Mapping[str, float] | None = None,
        runs: Sequence[Run] = (),
    ) -> None:
        self.size, self._item = size, dtype.itemsize
        self.clips_norm = options.clip_norm > 0
        program = self._clipping(options)
        for run in runs:
            program.append(self._update(find(rule), run, numbers or {}))
        if options.average_decay is not None:
            program.append(self._average(options.average_decay))
        self.program = tuple(program)
        self.table: NDArray[np.int64] = table_of(self.program, {})

    def _partition(self, base: int, run: Run | None = None, row: int = 0) -> Argument:
        """Return a thread's partition of a vector over all parameters, or of a run of it."""
        begin, end = (0, self.size) if run is None else run[:2]
        return partition(base, begin, end - begin, (1,), place=row * self.size * self._item)

    def _clipping(self, options: UpdateOptions) -> list[Call]:
        from chainrule.kernels.clip import (  # loads Numba
            clip_to_norm,
            clip_to_value,
            sum_squares_of_partition,
        )

        calls, grads = [], self._partition(context.GRADS)
        if options.clip_value > 0:
            limit = number(float(options.clip_value))
            calls.append(Call(function(clip_to_value), (grads, limit)))
        if options.clip_norm > 0:
            squares = whole(context.SQUARES, 0, (-(-self.size // NORM_BLOCK),), "f8")
            arguments = (
                whole(context.GRADS, 0, (self.size,)),
                squares,
                word(context.THREAD),
                word(context.THREADS),
            )
            calls.append(Call(function(sum_squares_of_partition), arguments, Flag.BARRIER))
            limit = number(float(options.clip_norm))
            calls.append(Call(function(clip_to_norm), (grads, squares, limit), Flag.BARRIER))
        return calls

    def _update(self, rule: UpdateOperation, run: Run, numbers: Mapping[str, float]) -> Call:
        given = {
            "params": self._partition(context.PARAMS, run),
            "grads": self._partition(context.GRADS, run),
            "lr": word(context.LR, "f8"),
            "step": word(context.STEP),
            "weight_decay": number(float(run.weight_decay)),
        }
        given |= {name: number(value) for name, value in numbers.items()}
        given |= {name: whole(context.STATE, 0, (0,)) for name in rule.state}
        kept = rule.state_with(numbers)
        given |= {name: self._partition(context.STATE, run, i) for i, name in enumerate(kept)}
        return call_with(rule.update, given, rule.name)

    def _average(self, decay: float) -> Call:
        from chainrule.kernels.update import average_update  # loads Numba

        arguments = (
            self._partition(context.PARAMS),
            self._partition(context.AVERAGE),
            number(float(decay)),
        )
        return Call(function(average_update), arguments)

"""An optimizer's step as a program: clipping, the rule, and the moving average."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.kernels import context
from chainrule.kernels.argument import Rows
from chainrule.kernels.blocks import NORM_BLOCK
from chainrule.kernels.context import Flag
from chainrule.operations.operation import find, function
from chainrule.operations.update import UpdateOperation
from chainrule.plan.argument import (
    Argument,
    number,
    partition,
    partition_start,
    rows_of,
    whole,
    word,
)
from chainrule.plan.call import Call, call_with
from chainrule.plan.plan import table_of
from chainrule.plan.tables import Table


class Run(NamedTuple):
    """Neighbouring parameters with the same numbers: from ``begin`` to ``end``."""

    begin: int
    end: int
    weight_decay: float
    lr_factor: float = 1.0


class UpdateOptions(NamedTuple):
    """Options of a step besides the optimizer's rule; a limit of 0 means none.

    Attributes
    ----------
    tables : the parameters of which a batch takes some rows, as the plan has them.
    """

    clip_norm: float = 0.0
    clip_value: float = 0.0
    average_decay: float | None = None
    tables: tuple[Table, ...] = ()


class UpdateProgram:
    """The calls of a step.

    Parameters
    ----------
    size : the number of parameters.
    dtype : of the parameters.
    options : UpdateOptions
    rule : the name of the optimizer's operation; "" for none.
    numbers : its hyperparameters, without the learning rate.
    runs : of all parameters that are trained.
    frozen : begin and end of what is not trained, and has no part in the gradient's norm.

    Attributes
    ----------
    updates_rows : whether there are tables of which only the rows that the batch takes are updated:
        their gradients must be 0 before a batch, and are again after the step.
    """

    def __init__(
        self,
        size: int,
        dtype: np.dtype,
        options: UpdateOptions,
        rule: str = "",
        numbers: Mapping[str, float] | None = None,
        runs: Sequence[Run] = (),
        frozen: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.size, self._item = size, dtype.itemsize
        self.clips_norm = options.clip_norm > 0
        program = self._clipping(options, frozen)
        tables = _tables_by_rows(rule, runs, numbers or {}, options)
        self.updates_rows = bool(tables)
        for run in runs:
            own = [table for table in tables if run.begin <= table.begin < run.end]
            for part in _without(run, own):
                program += self._update(find(rule), part, numbers or {})
            for table in own:
                program += self._update_rows(find(rule), run, table)
        if options.average_decay is not None:
            program.append(self._average(options.average_decay))
        self.program = tuple(program)
        places: dict[Hashable, int] = {at: at for table in options.tables for at in table.places}
        self.table: NDArray[np.int64] = table_of(self.program, places)

    def _partition(self, base: int, run: tuple[int, int] | None = None, row: int = 0) -> Argument:
        """Return a thread's partition of a vector over all parameters, or of a run of it."""
        begin, end = (0, self.size) if run is None else run
        return partition(base, begin, end - begin, (1,), place=row * self.size * self._item)

    def _clipping(self, options: UpdateOptions, frozen: Sequence[tuple[int, int]]) -> list[Call]:
        from chainrule.kernels.clip import (  # loads Numba
            clip_to_norm,
            clip_to_value,
            sum_squares_of_partition,
        )
        from chainrule.kernels.update import fill_zeros

        calls, grads = [], self._partition(context.GRADS)
        if options.clip_value > 0:
            limit = number(float(options.clip_value))
            calls.append(Call(function(clip_to_value), (grads, limit)))
        if options.clip_norm > 0:
            for run in frozen:
                calls.append(Call(function(fill_zeros), (self._partition(context.GRADS, run),)))
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

    def _rate(self, run: Run) -> tuple[list[Call], int]:
        """Return the calls that compute the learning rate of a run, and its word."""
        if run.lr_factor == 1.0:
            return [], context.LR
        from chainrule.kernels.update import scale_lr  # loads Numba

        scaled = whole(context.SELF, 8 * context.SCALED_LR, (1,), "f8")
        arguments = word(context.LR, "f8"), number(float(run.lr_factor)), scaled
        return [Call(function(scale_lr), arguments)], context.SCALED_LR

    def _update_rows(self, rule: UpdateOperation, run: Run, table: Table) -> list[Call]:
        """Return the calls that update the rows of a table that the batch takes."""
        assert rule.of_rows is not None
        calls, lr = self._rate(run)
        place = table.begin, table.rows, (1, table.columns)
        given = {
            "params": partition(context.PARAMS, *place),
            "grads": partition(context.GRADS, *place),
            "begin": partition_start(*place),
            "lr": word(lr, "f8"),
        }
        for at, shape in zip(table.places, table.shapes, strict=True):
            given["rows"] = rows_of(context.ARENA, at, shape, self._item, ndim=1, rows=Rows.BATCH)
            calls.append(call_with(rule.of_rows, given, rule.name))
        return calls

    def _update(self, rule: UpdateOperation, run: Run, numbers: Mapping[str, float]) -> list[Call]:
        calls, lr = self._rate(run)
        place = run[:2]
        given = {
            "params": self._partition(context.PARAMS, place),
            "grads": self._partition(context.GRADS, place),
            "lr": word(lr, "f8"),
            "step": word(context.STEP),
            "weight_decay": number(float(run.weight_decay)),
        }
        given |= {name: number(value) for name, value in numbers.items()}
        given |= {name: whole(context.STATE, 0, (0,)) for name in rule.state}
        kept = rule.state_with(numbers)
        given |= {name: self._partition(context.STATE, place, i) for i, name in enumerate(kept)}
        return [*calls, call_with(rule.update, given, rule.name)]

    def _average(self, decay: float) -> Call:
        from chainrule.kernels.update import average_update  # loads Numba

        arguments = (
            self._partition(context.PARAMS),
            self._partition(context.AVERAGE),
            number(float(decay)),
        )
        return Call(function(average_update), arguments)


def _tables_by_rows(
    name: str, runs: Sequence[Run], numbers: Mapping[str, float], options: UpdateOptions
) -> Sequence[Table]:
    """Return the tables of which only the rows that the batch takes need be updated: all or none.

    A backward pass that finds the gradients of some of them cleared finds all of them so.
    """
    if not options.tables or options.clip_norm or options.clip_value:
        return ()
    rule: UpdateOperation = find(name)
    if rule.of_rows is None or any(numbers[number] != 0 for number in rule.of_rows_without):
        return ()
    decaying = [run for run in runs if run.weight_decay != 0]
    if any(run.begin <= table.begin < run.end for run in decaying for table in options.tables):
        return ()
    return options.tables


def _without(run: Run, tables: Sequence[Table]) -> list[Run]:
    """Return what is left of a run without tables, which are in the order of the parameters."""
    parts, begin = [], run.begin
    for table in tables:
        parts.append(run._replace(begin=begin, end=table.begin))
        begin = table.end
    parts.append(run._replace(begin=begin))
    return [part for part in parts if part.begin < part.end]

"""The column to predict: classes or numbers, and rows without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chainrule.cli.tables.cells import Numbers, is_missing, read_numbers
from chainrule.cli.tables.columns import Category, Date, Number, note_groups
from chainrule.cli.tables.encoding import CLASSIFICATION, REGRESSION, rows_without
from chainrule.cli.tables.fitting import Rows, category_names, kind_of
from chainrule.cli.tables.overrides import Override
from chainrule.cli.tables.reading import RawTable
from chainrule.cli.tables.scaling import is_constant, moments
from chainrule.utils.wording import plural

MOST_CLASSES = 20  # whole numbers of at most so many distinct values are classes by default

Target = Number | Category
TASKS = {CLASSIFICATION: Category.kind, REGRESSION: Number.kind}


def choose_target(
    table: RawTable, name: str, task: str | None = None, override: Override | None = None
) -> tuple[Target, list[int]]:
    """Return the target's column, not fitted, and the rows without a target.

    Text, or few whole numbers, are classes, unless the user decides.

    Raises
    ------
    ValueError
        If there is no such column, or it holds dates.
    """
    cells = table.column(name)
    found = kind_of(table, name)
    wanted = override.kind if override else None
    if task and wanted not in (None, TASKS[task]):
        raise ValueError(f"--columns {name}={wanted} contradicts --task {task}.")
    kind = wanted or (TASKS[task] if task else found)
    if kind == Date.kind:
        raise ValueError(
            f"{table.path}: the target {name!r} holds dates (such as {cells[0]!r}); replace them "
            "by numbers, or choose another target"
        )
    if Number.kind not in (kind, found):
        target = Category(name, wanted is not None)
        return target, rows_without(table, target)
    numbers = read_numbers(cells, table.decimal or ".")
    values = numbers.values[~np.isnan(numbers.values)]
    if kind == Number.kind:
        if not values.size:
            raise table.error(0, name, f"a regression needs a number, but it is {cells[0]!r}")
        if wanted is None and task is None and _are_classes(values, len(cells)):
            kind = Category.kind
    if kind == Category.kind:
        target = Category(name, wanted is not None)
        without = [row for row, cell in enumerate(cells) if is_missing(cell, target.forced)]
        return target, without if target.forced else sorted({*without, *numbers.odd})
    number = Number(name, wanted is not None, unit=numbers.unit, decimal=numbers.decimal)
    return number, rows_without(table, number)


def _are_classes(values: Numbers, rows: int) -> bool:
    different = np.unique(values)
    whole = bool((different == np.round(different)).all())
    return whole and len(different) <= min(MOST_CLASSES, rows / 2)


def keep_targets(table: RawTable, target: Target, without: list[int], drop: bool) -> RawTable:
    """Return the table without the rows that have no target; ValueError unless ``drop``."""
    if not without:
        return table
    if drop:
        kept = table.without(without)
        where = table.places(target.name, without)
        kept.notes.append(f"{plural(len(without), 'row')} without a target left out ({where}).")
        return kept
    row = without[0]
    cell = table.column(target.name)[row]
    if not cell:
        what, remedy = "the target is missing", ""
    elif is_missing(cell):
        what = f"the target is missing: {cell!r}"
        is_class = isinstance(target, Category)
        remedy = f"; --columns {target.name}=category makes {cell!r} a class" if is_class else ""
    else:
        what, remedy = f"{cell!r} is no number, as others are", ""
    more = f", as in {plural(len(without) - 1, 'other row')}" if len(without) > 1 else ""
    raise table.error(
        row, target.name, f"{what}{more}; --drop-missing-target leaves such rows out{remedy}"
    )


def fit_classes(table: RawTable, target: Category) -> Category:
    """Return the target with the classes of the whole table; ValueError if they are none."""
    cells = table.column(target.name)
    classes = category_names(cells, target.forced)
    if not 2 <= len(classes) <= len(cells) / 2:
        raise ValueError(
            f"{table.path}: the target {target.name!r} has {plural(len(classes), 'value')} in "
            f"{plural(len(cells), 'row')}; classes are expected to be two or more, of several "
            "rows."
        )
    return replace(target, categories=classes)


def fit_target(table: RawTable, target: Target, rows: Rows) -> Target:
    """Return the target fitted to these rows, with the classes of the whole table.

    Raises
    ------
    ValueError
        If there is nothing to learn: one class, or as many as rows, or one number.
    """
    if isinstance(target, Category):
        return fit_classes(table, target)
    cells = table.column(target.name)
    numbers = read_numbers(cells, table.decimal or target.decimal, target.unit)
    note_groups(table, target.name, numbers.grouped)
    values = numbers.values[rows]
    if is_constant(values):
        raise ValueError(
            f"{table.path}: the target {target.name!r} is {values[0]:.6g} in all training rows; "
            "there is nothing to learn."
        )
    mean, scale = moments(values)
    return replace(target, mean=mean, scale=scale)

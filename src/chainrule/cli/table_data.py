"""The options of ``train`` for a table, and its rows as data to train on."""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console

from chainrule.cli import tables
from chainrule.cli.command import Report
from chainrule.cli.network import Data, split

OPTIONS = ("target", "task", "columns", "drop", "drop_missing_target", "impute")


def add_table_options(command: argparse.ArgumentParser) -> None:
    """Add the options that :func:`read_table_data` takes."""
    command.add_argument("--target", metavar="COLUMN", help="what to predict in it")
    command.add_argument(
        "--task",
        choices=(tables.CLASSIFICATION, tables.REGRESSION),
        help="(default: text and few whole numbers are classes)",
    )
    command.add_argument(
        "--columns",
        action="append",
        metavar="NAME=KIND",
        help="read a column as number, category or date; as date:mdy or date:dmy where day and "
        "month are not clear; as date:time,month by parts (time, year, month, day, weekday, hour)",
    )
    command.add_argument("--drop", action="append", metavar="COLUMN", help="leave it out")
    command.add_argument(
        "--drop-missing-target",
        action="store_true",
        default=None,
        help="leave out rows without a target",
    )
    command.add_argument(
        "--impute",
        action=argparse.BooleanOptionalAction,
        help="fill missing cells: numbers and dates with the median, categories with one of their "
        "own (default: --impute)",
    )


def check_no_table_options(options: argparse.Namespace) -> None:
    """Raise ValueError if an option for a table is given without one."""
    if any(getattr(options, name) is not None for name in OPTIONS):
        *names, last = (f"--{name.replace('_', '-')}" for name in OPTIONS)
        raise ValueError(
            f"{', '.join(names)} and {last} are for a table: "
            "chainrule train FILE.csv --target COLUMN"
        )


def read_table_data(options: argparse.Namespace, console: Console) -> tuple[Data, Report]:
    """Return a table's data, and for --json how it was read, which is also printed."""
    if options.data is not None:
        raise ValueError(f"--data is for a training without a table, but there is {options.table}.")
    if options.table.suffix.lower() == ".npz":
        raise ValueError(
            f"{options.table} holds arrays, no table: chainrule train --data {options.table}"
        )
    table = tables.read_table(options.table)
    if options.target is None:
        raise ValueError(
            f"--target must name the column of {options.table} to predict; its columns are "
            f"{', '.join(table.columns)}."
        )
    overrides = tables.parse_overrides(options.columns or (), table)
    target, without = tables.choose_target(
        table, options.target, options.task, overrides.pop(options.target, None)
    )
    table = tables.keep_targets(table, target, without, bool(options.drop_missing_target))
    classes = None
    if isinstance(target, tables.Category):
        classes = tables.fit_classes(table, target).encode_numbers(table)
    test, validation, training = split(len(table.lines), options.seed, classes)
    target = tables.fit_target(table, target, training)
    readings = tables.choose_columns(
        table,
        target,
        training,
        drop=options.drop or (),
        impute=options.impute is not False,
        overrides=overrides,
    )
    about: Report = {
        "columns": [
            {"name": reading.name, "read_as": reading.read_as, "note": reading.note}
            for reading in readings
        ],
        "notes": list(table.notes),
    }
    for note in table.notes:
        console.print(note)
    shown, rest = tables.describe(readings, target)
    console.print(shown)
    if rest:
        console.print(rest)
    encoding = tables.Encoding(
        tuple(reading.column for reading in readings if reading.column), target
    )
    X, y = encoding.encode(table), encoding.encode_target(table)
    return Data(X, y, np.array(encoding.classes), test, validation, training, encoding), about

"""``chainrule predict``: predictions of a model of ``chainrule train`` for the rows of a table."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.cli import table_model
from chainrule.cli.command import Report, add_command, check_writable
from chainrule.cli.tables import CLASSIFICATION, read_table
from chainrule.utils.files import write_whole
from chainrule.utils.terminal import printable


def add(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands,
        "predict",
        _run,
        "Predict for the rows of a table, by a model of `chainrule train`.",
        "  chainrule predict model.safetensors new.csv --out predicted.csv\n"
        "  chainrule predict model.safetensors new.csv --probabilities | head",
    )
    command.add_argument("model", type=Path, help="what `chainrule train --out` wrote")
    command.add_argument("table", type=Path, help="a .csv file with the same columns, in any order")
    command.add_argument("--out", type=Path, metavar="FILE", help="write there, not to stdout")
    command.add_argument(
        "--probabilities", action="store_true", help="one column for each class, of a classifier"
    )


def _run(options: argparse.Namespace) -> Report:
    check_writable(options.out, options.model, options.table)
    net, encoding = table_model.load(options.model)
    if options.probabilities and encoding.task != CLASSIFICATION:
        raise ValueError("--probabilities is for classifiers; this model predicts numbers.")
    table = read_table(options.table)
    X = encoding.encode(table)
    for note in table.notes:
        print(printable(note), file=sys.stderr)
    output = net.predict(X)
    for row in np.flatnonzero(~np.isfinite(output).all(axis=1))[:1]:
        raise ValueError(
            f"{table.path}, line {table.lines[row]}: the network's output is not finite."
        )
    predicted = encoding.decode(output)
    report = {"target": encoding.target.name, "predictions": predicted, "notes": table.notes}
    header, rows = [encoding.target.name], [[value] for value in predicted]
    if options.probabilities:
        exponentials = np.exp(output - output.max(axis=1, keepdims=True), dtype=float)
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        header, rows = encoding.outputs, probabilities.tolist()
        report |= {"classes": list(encoding.classes), "probabilities": rows}
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    if options.out is not None:
        write_whole(options.out, text.getvalue().encode())
    elif not options.json:
        if sys.stdout.isatty():
            sys.stdout.write(printable(text.getvalue()))
        else:  # it is data
            _print_exactly(text.getvalue())
    return report


def _print_exactly(text: str) -> None:
    """Print; ValueError if a character would be another one there, as is best for messages only."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"Standard output is {sys.stdout.encoding}, which has no {text[error.start]!a}; write "
            "to a file with --out, or set PYTHONIOENCODING=utf-8."
        ) from None
    sys.stdout.write(text)

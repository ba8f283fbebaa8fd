"""``chainrule predict``: predictions of a model of ``chainrule train`` for a table or images."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.cli import saved_model
from chainrule.cli.array_encoding import ArrayEncoding
from chainrule.cli.command import Report, add_command, check_writable
from chainrule.cli.tables import CLASSIFICATION, read_table
from chainrule.models.errors import ModelFileError
from chainrule.utils.files import write_whole
from chainrule.utils.terminal import printable


def add(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands,
        "predict",
        _run,
        "Predict for the rows of a table, or for images, by a model of `chainrule train`.",
        "  chainrule predict model.safetensors new.csv --out predicted.csv\n"
        "  chainrule predict model.safetensors new.csv --probabilities | head\n"
        "  chainrule predict model.safetensors images.npz",
    )
    command.add_argument("model", type=Path, help="what `chainrule train --out` wrote")
    command.add_argument(
        "data",
        type=Path,
        help="a .csv file with the same columns, in any order; or for a model of `chainrule train "
        "--data`, an .npz file with images",
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="write there, not to stdout")
    command.add_argument(
        "--probabilities", action="store_true", help="one column for each class, of a classifier"
    )


def _run(options: argparse.Namespace) -> Report:
    check_writable(options.out, options.model, options.data)
    net, encoding = saved_model.load(options.model)
    if encoding is None:
        raise ModelFileError(f"{options.model} is no model of chainrule train.")
    if options.probabilities and encoding.task != CLASSIFICATION:
        raise ValueError("--probabilities is for classifiers; this model predicts numbers.")
    encoding.check_file(options.data, options.model)
    rows_in_file: Sequence[int]
    if isinstance(encoding, ArrayEncoding):
        X, notes = encoding.encode(options.data)
        what, rows_in_file = "row", range(1, len(X) + 1)
    else:
        table = read_table(options.data)
        X, notes = encoding.encode(table), table.notes
        what, rows_in_file = "line", table.lines
    for note in notes:
        print(printable(note), file=sys.stderr)
    output = net.predict(X)
    for row in np.flatnonzero(~np.isfinite(output).all(axis=1))[:1]:
        raise ValueError(
            f"{options.data}, {what} {rows_in_file[row]}: the network's output is not finite."
        )
    predicted = encoding.decode(output)
    target = encoding.target_name
    report = {"target": target, "predictions": predicted, "notes": notes}
    header, rows = [target], [[value] for value in predicted]
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

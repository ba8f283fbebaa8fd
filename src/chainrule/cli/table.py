"""``chainrule train FILE --target NAME`` and ``chainrule predict``: the user's own table."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import chainrule as cr
from chainrule import tables
from chainrule.errors import ModelFileError
from chainrule.files import write_whole

KEY = "table"  # of the model's metadata


def add_predict(commands: Any) -> None:
    """Add the command's options."""
    predict = commands.add_parser(
        "predict",
        help="predict for the rows of a table, by a model of `train`",
        epilog="example: chainrule predict model.safetensors new.csv --out predicted.csv",
    )
    predict.add_argument("model", type=Path, help="what `chainrule train --out` wrote")
    predict.add_argument("table", type=Path, help="a .csv file with the same columns, in any order")
    predict.add_argument("--out", type=Path, metavar="FILE", help="write there, not to stdout")
    predict.add_argument(
        "--probabilities", action="store_true", help="one column for each class, of a classifier"
    )
    predict.set_defaults(command=run_predict)


def run_predict(options: argparse.Namespace) -> int:
    """Predict each row of a table."""
    net = cr.load(options.model)
    try:
        encoding = tables.Encoding.from_json(cr.load_metadata(options.model).get(KEY))
    except ValueError as error:
        raise ModelFileError(f"{options.model} is no model of a table: {error}.") from None
    if options.probabilities and encoding.task != tables.CLASSIFICATION:
        raise ValueError("--probabilities is for classifiers; this model predicts numbers.")
    output = net.predict(encoding.encode(tables.read_table(options.table)))
    target = encoding.target
    expected = max(1, len(target.categories))
    if output.ndim != 2 or output.shape[1] != expected:
        raise ModelFileError(f"{options.model} should have {expected} outputs, one each class.")
    header, rows = [target.name], []
    if options.probabilities:
        header = [f"{target.name}={name}" for name in target.categories]
        odds = np.exp(output - output.max(axis=1, keepdims=True), dtype=float)
        rows = [[f"{p:.6g}" for p in row] for row in odds / odds.sum(axis=1, keepdims=True)]
    elif encoding.task == tables.CLASSIFICATION:
        rows = [[target.categories[i]] for i in output.argmax(axis=1)]
    else:
        rows = [[f"{v:.7g}"] for v in output[:, 0].astype(float) * target.scale + target.mean]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    if options.out is None:
        sys.stdout.write(text.getvalue())
    else:
        write_whole(options.out, text.getvalue().encode())
    return 0


def print_regression(console: Console, target: tables.Column, output: Any, y: Any) -> None:
    """Show R2 and the mean absolute error, beside those of the training rows' mean."""
    error = np.abs(output - y).mean() * target.scale
    naive = np.abs(y).mean() * target.scale
    r2 = 1 - np.square(output - y).sum() / np.square(y - y.mean()).sum()
    console.print(
        f"Test: R2 {r2:.3f}, mean absolute error {error:.4g}, of {len(y)} rows "
        f"(always the mean: {naive:.4g}).",
        highlight=False,
    )

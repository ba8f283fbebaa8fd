"""``chainrule train``: a network for a table, for a file of labelled rows, or for the digits."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median_low
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import chainrule as cr
from chainrule.cli import saved_model
from chainrule.cli.array_encoding import ArrayEncoding
from chainrule.cli.command import Report, add_command, check_writable, make_console
from chainrule.cli.description import describe
from chainrule.cli.network import (
    LR,
    Data,
    Labels,
    add_data_and_network,
    build_network,
    fit_network,
    read_data,
)
from chainrule.cli.table_data import add_table_options, check_no_table_options, read_table_data
from chainrule.cli.tables import Encoding, Number
from chainrule.engine.backends import BACKENDS
from chainrule.losses import Loss
from chainrule.training.callbacks import EarlyStopping
from chainrule.utils.interruption import uninterrupted
from chainrule.utils.wording import plural

EPOCHS = 60
FOR_TABLE = {"epochs": 200, "lr": 2e-3}  # chosen by measurements: docs/decisions/0017-tables.md
PATIENCE = 15  # epochs without a better validation loss, on a table
MOST_CLASSES_SHOWN = 20  # in the confusion table


def add(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands,
        "train",
        _run,
        "Train a network, and test it on a fifth of the data, which is not trained on.\n\n"
        "The data is a table of numbers, categories and dates, one column of which is to be\n"
        "predicted; without a table, handwritten digits, or the file given by --data.",
        "  chainrule train\n"
        "  chainrule train houses.csv --target price --out model.safetensors\n"
        "  chainrule train flowers.csv --target species --drop id --columns zip=category",
    )
    command.add_argument("table", type=Path, nargs="?", help="a .csv file with a header")
    add_table_options(command)
    add_data_and_network(
        command, hidden=(64, 32), activation="relu", epochs=EPOCHS, for_table=FOR_TABLE
    )
    command.add_argument(
        "--backend", choices=BACKENDS, default="numba", help="what computes (default: %(default)s)"
    )
    command.add_argument(
        "--out", "--save", type=Path, metavar="FILE", help="keep the network (.safetensors)"
    )


def _run(options: argparse.Namespace) -> Report:
    check_writable(options.out, options.table, options.data)
    defaults = {"epochs": EPOCHS, "lr": LR} if options.table is None else FOR_TABLE
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    console = make_console()
    if options.table is None:
        check_no_table_options(options)
        data = read_data(options)
        about: Report = {"classes": data.classes.tolist(), "notes": list(data.notes)}
    else:
        data, about = read_table_data(options, console)
    if options.out is not None:
        saved_model.check_saving(data.encoding)
    loss: Loss = cr.CrossEntropyLoss(label_smoothing=0.1 if data.table is None else 0.0)
    if not len(data.classes):
        loss = cr.MSELoss()
    patience = None if data.table is None else PATIENCE
    callbacks = [] if patience is None else [EarlyStopping(patience=patience)]
    net = build_network(options, data, options.backend)
    for line in describe(options, data, loss, patience):
        console.print(line)
    console.print(str(net.summary(data.X.shape[1:])), soft_wrap=True)
    history = _fit_and_save(options, console, net, data, loss, callbacks)
    if history.interrupted:
        console.print("Interrupted; testing what was trained so far.")
    report: Report = {
        "rows": {kind: len(getattr(data, kind)) for kind in ("training", "validation", "test")},
        "parameters": int(net.params.size),
        "epochs": len(history.loss),
        "validation_loss": min(history.validation_loss, default=None),
    }
    report |= {"target": data.encoding.target_name, "task": data.encoding.task} | about
    report |= _test(console, net, data)
    if history.seconds:
        # The median epoch, of two the faster one: the first also loads or compiles the engine.
        steps = len(history.batch_loss) / len(history.loss)
        a_step = report["seconds_per_step"] = median_low(history.seconds) / steps
        console.print(f"Time: {a_step * 1e6:.1f} us a step in the median epoch.")
    some = data.training[:16]
    report["gradient_error"] = _check_gradients(console, net, loss, data.X[some], data.y[some])
    if options.out is not None:
        report["model"] = str(options.out)
    return report | {"interrupted": history.interrupted}


def _fit_and_save(
    options: argparse.Namespace,
    console: Console,
    net: cr.Sequential,
    data: Data,
    loss: Loss,
    callbacks: Sequence[cr.Callback],
) -> cr.History:
    """Train, and save the network at once, before it is tested; also if fit was interrupted.

    A network without a training step is not saved, so that it does not replace a trained one.
    """
    first = net.values.copy()

    def save() -> None:
        if options.out is not None:
            with uninterrupted():
                _save(options.out, net, data.encoding)
            console.print(f"Saved: {options.out}")

    try:
        history = fit_network(options, net, data, loss, callbacks)
        if history.interrupted and not history.batch_loss:
            raise KeyboardInterrupt
        save()
    except KeyboardInterrupt:  # at any moment, as by a second Ctrl-C
        if not np.array_equal(net.values, first):
            save()
        raise
    except cr.NonFiniteError as error:
        # EarlyStopping has restored the best parameters, if an epoch was finished.
        if callbacks and error.history is not None and error.history.validation_loss:
            save()
        raise
    return history


def _save(path: Path, net: cr.Sequential, encoding: Encoding | ArrayEncoding) -> None:
    """Save the model; in a temporary folder if the disk is full or the folder no longer exists."""
    try:
        saved_model.save(path, net, encoding)
    except OSError as error:
        elsewhere = Path(mkdtemp(prefix="chainrule-")) / path.name
        saved_model.save(elsewhere, net, encoding)
        raise OSError(f"{error}; the trained model is in {elsewhere}") from None


def _test(console: Console, net: cr.Sequential, data: Data) -> Report:
    """Print the network's accuracy or error on the test rows, beside that of a constant."""
    output, y = net.predict(data.X[data.test]), data.y[data.test]
    if not len(data.classes):
        return _test_numbers(console, data, output, y)
    accuracy = cr.metrics.accuracy(y, output)
    most = np.bincount(data.y[data.training]).argmax()
    always = float(np.mean(y == most))
    _print_confusion(console, data.classes, cr.metrics.confusion_matrix(y, output))
    console.print(
        f"Test accuracy: {accuracy:.2%} of {plural(len(y), 'row')}.\n"
        f"Always {str(data.classes[most])!r}: {always:.2%}.",
    )
    return {"test": {"accuracy": accuracy, "always_most_frequent": always}}


def _test_numbers(console: Console, data: Data, output: Any, y: NDArray[Any]) -> Report:
    assert data.table is not None
    assert isinstance(data.table.target, Number)
    scale = data.table.target.scale
    error = cr.metrics.mean_absolute_error(y, output) * scale
    always = float(np.abs(y).mean()) * scale  # standardized, the training rows' mean is 0
    r2 = cr.metrics.r2_score(y, output) if len(y) > 1 and np.ptp(y) > 0 else None
    shown = "" if r2 is None else f"R2 {r2:.3f}, "
    console.print(
        f"Test: {shown}mean absolute error {error:.4g}, of {plural(len(y), 'row')}.\n"
        f"Always the mean: {always:.4g}.",
    )
    return {"test": {"r2": r2, "mean_absolute_error": error, "always_mean": always}}


def _print_confusion(console: Console, classes: NDArray[Any], matrix: Labels) -> None:
    if len(classes) > MOST_CLASSES_SHOWN:
        console.print(f"{len(classes)} classes: too many for a confusion table.")
        return
    table = Table()
    for name in ("", *map(str, classes)):
        table.add_column(name, justify="right")
    for label, row in zip(classes, matrix, strict=True):
        table.add_row(str(label), *(str(count) if count else "." for count in row))
    console.print("Confusion: rows are labels, columns predictions.")
    console.print(table)


def _check_gradients(
    console: Console, net: cr.Sequential, loss: Loss, x: NDArray[Any], y: NDArray[Any]
) -> float:
    try:
        report = cr.gradcheck(net, loss, x, y)
    except cr.GradientMismatch as mismatch:
        console.print(str(mismatch))
        raise ValueError("the gradient check failed") from None
    checked = sum(parameter.checked for parameter in report.parameters)
    console.print(
        f"Gradient check: passed, {checked} entries, worst relative error {report.error:.1e}.",
    )
    return float(report.error)

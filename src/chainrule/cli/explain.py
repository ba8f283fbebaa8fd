"""``chainrule explain``: the chain rule on a new network, or on a saved one and its data."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import chainrule as cr
from chainrule.cli import saved_model, tables
from chainrule.cli.array_encoding import ArrayEncoding
from chainrule.cli.command import Report, add_command, check_writable, make_console
from chainrule.cli.network import (
    Data,
    add_data_and_network,
    build_network,
    fit_network,
    read_data,
)
from chainrule.cli.tables import Encoding
from chainrule.explain import Chain
from chainrule.explain import Path as ChainPath
from chainrule.losses import Loss
from chainrule.models.errors import ModelFileError
from chainrule.utils.arguments import integer
from chainrule.utils.arrays import FloatArray
from chainrule.utils.wording import plural

PAGE = Path("chain.html")  # if no other is named
INFLUENCE_ROWS = 64
ROWS_OF_IMAGES = 8
MOST_INPUTS = 20  # that are shown of a table


def add(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands,
        "explain",
        _run,
        "Show the chain rule at work.\n\n"
        "Explain a model of `chainrule train` on a table with its columns, or on images; or train\n"
        "a network on handwritten digits, or on the file given by --data, explain it, and write\n"
        f"a page to explore, {PAGE}.",
        "  chainrule explain\n"
        "  chainrule explain model.safetensors houses.csv --parameter W1\n"
        "  chainrule explain --rows 2 --html digits.html --open",
        _name_page,
    )
    command.add_argument("model", type=Path, nargs="?", help="a saved network, not a new one")
    command.add_argument(
        "table",
        type=Path,
        nargs="?",
        help="for a model of a table, a .csv file with its columns; for one of images, an .npz "
        "file with images and labels",
    )
    add_data_and_network(command, hidden=(16,), activation="tanh", epochs=10)
    command.add_argument(
        "--rows",
        type=int,
        help=f"how many to explain (default: 1, on the page up to {INFLUENCE_ROWS})",
    )
    command.add_argument(
        "--parameter", metavar="NAME", help="such as W1, 0.bias or x (default: the first)"
    )
    command.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help=f"write a page to explore (default: {PAGE}, if there is no model or --open is given)",
    )
    command.add_argument("--open", action="store_true", help="show the page in a browser")


def _name_page(options: argparse.Namespace) -> None:
    """Choose the page's file if there is to be one, and none is named."""
    if options.html is None and (options.model is None or options.open):
        options.html = PAGE
        _check_replaceable(PAGE)


def _run(options: argparse.Namespace) -> Report:
    check_writable(options.html, options.model, options.table, options.data)
    rows = 1 if options.rows is None else integer(options.rows, "--rows", least=1)
    console = make_console()
    if options.model is None:
        return _explain_new(options, rows, console)
    if None not in (options.table, options.data):
        raise ValueError(f"--data is for a new network, but there is {options.table}.")
    source = options.table or options.data
    net, encoding = saved_model.load(options.model)
    if encoding is None:  # a network that was saved in Python
        if options.table is not None:
            raise ModelFileError(
                f"{options.model} is no model of chainrule train; with --data {options.table}, the "
                "network is given the file's numbers."
            )
        return _explain_data(options, console, net, _read_data(options, rows), rows)
    if source is not None:
        encoding.check_file(source, options.model)
        if isinstance(encoding, Encoding):
            return _explain_table(options, rows, console, net, encoding, source)
        return _explain_arrays(options, rows, console, net, encoding, source)
    kind = "csv"
    if isinstance(encoding, ArrayEncoding):
        digits, kind = read_data(options), "npz"
        if digits.encoding == encoding:
            _check_rows(rows, len(digits.test), "the data", "test row")
            return _explain_data(options, console, net, digits, rows)
    raise ValueError(
        f"{options.model} is a model of {encoding.about}: chainrule explain {options.model} "
        f"FILE.{kind}"
    )


def _explain_new(options: argparse.Namespace, rows: int, console: Console) -> Report:
    """Train a network on the digits or the file of --data, and explain it."""
    data = _read_data(options, rows)
    net = build_network(options, data)
    for note in data.notes:
        console.print(note)
    console.print(str(net.summary(data.X.shape[1:])), soft_wrap=True)
    interrupted = fit_network(options, net, data, cr.CrossEntropyLoss()).interrupted
    return _explain_data(options, console, net, data, rows) | {"interrupted": interrupted}


def _read_data(options: argparse.Namespace, rows: int) -> Data:
    """Return the digits, or the data of --data, once it is checked that it has enough test rows."""
    data = read_data(options)
    _check_rows(rows, len(data.test), "the data", "test row")
    return data


def _explain_data(
    options: argparse.Namespace, console: Console, net: cr.Sequential, data: Data, rows: int
) -> Report:
    """Explain test rows, and some that the network was trained on."""
    if options.model is not None:
        console.print(str(net.summary(data.X.shape[1:])), soft_wrap=True)
    some, batch = data.test[:rows], data.training[: _most_rows(data.X)]
    report = _explain_rows(
        options, console, net, (data.X[some], data.y[some]), (data.X[batch], data.y[batch])
    )
    return report | {"notes": list(data.notes)}


def _explain_arrays(
    options: argparse.Namespace,
    rows: int,
    console: Console,
    net: cr.Sequential,
    encoding: ArrayEncoding,
    source: Path,
) -> Report:
    """Explain the first images or rows of a file."""
    X, y, notes = encoding.encode_labelled(source)
    _check_rows(rows, len(X), str(source), "row")
    for note in notes:
        console.print(note)
    console.print(str(net.summary(encoding.input_shape)), soft_wrap=True)
    most = _most_rows(X)
    some, batch = (X[:rows], y[:rows]), (X[:most], y[:most])
    report = _explain_rows(options, console, net, some, batch)
    predicted = encoding.decode(net.predict(X[:rows]))
    for row, (value, label) in enumerate(zip(predicted, y, strict=False), 1):
        console.print(f"Row {row}: label is {encoding.classes[label]}, predicted {value}.")
    return report | {"target": encoding.target_name, "predictions": predicted, "notes": notes}


def _most_rows(X: NDArray[Any]) -> int:
    """Return how many rows the influence and the page are computed from, with all their places."""
    return ROWS_OF_IMAGES if X.ndim > 2 else INFLUENCE_ROWS


def _explain_rows(
    options: argparse.Namespace,
    console: Console,
    net: cr.Sequential,
    some: tuple[NDArray[Any], NDArray[Any]],
    batch: tuple[NDArray[Any], NDArray[Any]],
) -> Report:
    """Explain a classifier on ``some`` rows, and on a ``batch``."""
    loss = cr.CrossEntropyLoss()
    chain, few = cr.explain(net, loss, *some), cr.explain(net, loss, *batch)
    return _show(options, console, chain, few, few if options.rows is None else chain)


def _check_rows(rows: int, there: int, where: str, what: str) -> None:
    if rows > there:
        raise ValueError(f"--rows is {rows}, but {where} has only {plural(there, what)}.")


def _check_replaceable(path: Path) -> None:
    """Raise ValueError if the file, which nobody named, is anything but an older page."""
    from chainrule.explain.html import is_page  # importlib.resources loads slowly

    if path.is_file() and not is_page(path):
        raise ValueError(
            f"{path} exists and is no page of chainrule explain; name another file: --html FILE"
        )


def _explain_table(
    options: argparse.Namespace,
    rows: int,
    console: Console,
    net: cr.Sequential,
    encoding: Encoding,
    source: Path,
) -> Report:
    console.print(str(net.summary()))
    table = tables.read_table(source)
    X, y = encoding.encode(table), encoding.encode_target(table)
    for note in table.notes:
        console.print(note)
    _check_rows(rows, len(X), str(source), "row")
    loss: Loss = cr.CrossEntropyLoss() if encoding.classes else cr.MSELoss()
    names = encoding.inputs
    chain = cr.explain(net, loss, X[:rows], y[:rows], feature_names=names)
    few = cr.explain(net, loss, X[:INFLUENCE_ROWS], y[:INFLUENCE_ROWS], feature_names=names)
    report = _show(options, console, chain, few, few if options.rows is None else chain)
    gradients = chain.gradients["x"]
    console.print(f"\nWhat moves the loss of line {table.lines[0]}, by its columns\n", style="bold")
    console.print(_inputs_table(names, X[0], gradients[0]))
    predicted = encoding.decode(net.predict(X[:rows]))
    for line, value, cell in zip(
        table.lines, predicted, table.column(encoding.target.name), strict=False
    ):
        console.print(f"Line {line}: {encoding.target.name} is {cell}, predicted {value}.")
    return report | {
        "target": encoding.target.name,
        "predictions": predicted,
        "input_gradients": encoding.by_column(gradients.T),
        "notes": table.notes,
    }


def _show(
    options: argparse.Namespace, console: Console, chain: Chain, batch: Chain, page: Chain
) -> Report:
    """Print the chain rule for one parameter, and the influence of all links on more rows.

    ``page`` is what the page shows.
    """

    def show(heading: str, part: object) -> None:
        console.print(f"\n{heading}\n", style="bold")
        console.print(str(part), soft_wrap=True)

    if options.parameter is None and not chain.symbols:
        raise ValueError("The network has no parameters to explain.")
    path = chain.path(options.parameter or next(iter(chain.symbols)))
    if options.html is not None:  # first, since the rest takes a while and may be interrupted
        page.to_html(options.html)
    name, influence = path.name, batch.influence()
    show("The chain", chain)
    show("One parameter's factors", path)
    show("One fraction", chain.compress(name))
    if name != "x":
        show("One weight's paths to the loss", _trace_of_largest(chain, path))
    show("Why from the loss backward", chain.order())
    show(f"What each layer passes on, for {plural(batch.rows, 'row')}", influence)
    if options.html is not None:
        console.print(f"\nA page to explore: {options.html.absolute()}", soft_wrap=True)
    if options.open and not webbrowser.open(options.html.absolute().as_uri()):
        console.print("There is no browser to show it.")
    return {
        "rows": chain.rows,
        "loss": chain.loss,
        "parameter": name,
        "equation": path.equation,
        "gradient": path.gradient.tolist(),
        "links": [
            {"symbol": link.symbol, "signal": link.forward, "gradient": link.backward}
            for link in influence.links
        ],
        "diagnosis": [finding.text for finding in influence.findings],
        "page": None if options.html is None else str(options.html),
    }


def _inputs_table(names: list[str], x: FloatArray, gradient: FloatArray) -> Table:
    """Return the inputs with the largest derivatives of the loss."""
    table = Table("input", "x, as the network sees it", "dL/dx")
    for i in np.argsort(-np.abs(gradient), kind="stable")[:MOST_INPUTS]:
        table.add_row(names[i], f"{x[i]:.4g}", f"{gradient[i]:+.3g}")
    return table


def _trace_of_largest(chain: Chain, path: ChainPath) -> object:
    """Return the paths of the entry with the largest gradient, or why there are none."""
    sizes = np.abs(path.gradient)
    largest = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    try:
        return chain.trace(path.name, [int(i) for i in largest])
    except ValueError:  # a Jacobian is too large
        return (
            "There are too many to follow: the layers behind it have too large Jacobians. "
            "--parameter names one of a later layer."
        )

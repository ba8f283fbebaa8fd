"""``chainrule explain``: the chain rule on a new network, or on a saved one and its table."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import chainrule as cr
from chainrule.cli import table_model, tables
from chainrule.cli.command import Report, add_command, check_writable, make_console
from chainrule.cli.network import add_data_and_network, build_network, fit_network, read_data
from chainrule.explain import Chain
from chainrule.explain import Path as ChainPath
from chainrule.losses import Loss
from chainrule.models.saving import load_with_metadata
from chainrule.utils.arguments import integer
from chainrule.utils.arrays import FloatArray
from chainrule.utils.wording import plural

PAGE = Path("chain.html")  # if no other is named
INFLUENCE_ROWS = 64
ROWS_OF_IMAGES = 8  # on a page, which computes all of their places
MOST_INPUTS = 20  # that are shown of a table


def add(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands,
        "explain",
        _run,
        "Show the chain rule at work.\n\n"
        "Explain a model of `chainrule train` on a table with its columns; or train a network\n"
        "on handwritten digits, or on the file given by --data, explain it, and write a page\n"
        f"to explore, {PAGE}.",
        "  chainrule explain\n"
        "  chainrule explain model.safetensors houses.csv --parameter W1\n"
        "  chainrule explain --rows 2 --html digits.html --open",
        _name_page,
    )
    command.add_argument("model", type=Path, nargs="?", help="a saved network, not a new one")
    command.add_argument(
        "table", type=Path, nargs="?", help="a .csv file with its columns, if it is of a table"
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
    if options.table is not None:
        return _explain_table(options, rows, console)
    data = read_data(options)
    if rows > len(data.test):
        raise ValueError(
            f"--rows is {rows}, but the data has only {plural(len(data.test), 'test row')}."
        )
    loss, interrupted = cr.CrossEntropyLoss(), False
    if options.model is None:
        net = build_network(options, data)
        console.print(str(net.summary(data.X.shape[1:])), soft_wrap=True)
        interrupted = fit_network(options, net, data, loss).interrupted
    else:
        net, metadata = load_with_metadata(options.model)
        if table_model.KEY in metadata:
            raise ValueError(
                f"{options.model} is a model of a table: chainrule explain {options.model} FILE.csv"
            )
        console.print(str(net.summary()))
    some, batch = data.test[:rows], data.training[:INFLUENCE_ROWS]
    chain = cr.explain(net, loss, data.X[some], data.y[some])
    few = cr.explain(net, loss, data.X[batch], data.y[batch])
    page = few if options.rows is None else chain
    if options.rows is None and data.X.ndim > 2:
        page = cr.explain(net, loss, data.X[batch[:ROWS_OF_IMAGES]], data.y[batch[:ROWS_OF_IMAGES]])
    return _show(options, console, chain, few, page) | {"interrupted": interrupted}


def _check_replaceable(path: Path) -> None:
    """Raise ValueError if the file, which nobody named, is anything but an older page."""
    from chainrule.explain.html import is_page  # importlib.resources loads slowly

    if path.is_file() and not is_page(path):
        raise ValueError(
            f"{path} exists and is no page of chainrule explain; name another file: --html FILE"
        )


def _explain_table(options: argparse.Namespace, rows: int, console: Console) -> Report:
    net, encoding = table_model.load(options.model)
    console.print(str(net.summary()))
    table = tables.read_table(options.table)
    X, y = encoding.encode(table), encoding.encode_target(table)
    for note in table.notes:
        console.print(note)
    if rows > len(X):
        raise ValueError(f"--rows is {rows}, but {options.table} has only {plural(len(X), 'row')}.")
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
    """Return the paths of the entry with the largest gradient, or the error of ``trace``."""
    sizes = np.abs(path.gradient)
    largest = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    try:
        return chain.trace(path.name, [int(i) for i in largest])
    except ValueError as error:  # a Jacobian is too large
        return error

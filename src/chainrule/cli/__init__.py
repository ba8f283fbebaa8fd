"""The command line: ``chainrule train``, ``predict``, ``explain`` and ``info``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import chainrule as cr
from chainrule import datasets, tables
from chainrule.arguments import integer
from chainrule.arrays import FloatArray
from chainrule.callbacks import EarlyStopping
from chainrule.cli.table import KEY, add_predict, print_regression
from chainrule.engine.backends import BACKENDS
from chainrule.explain import Chain
from chainrule.explain import Path as ChainPath
from chainrule.layers.layer import Layer
from chainrule.losses import Loss

Labels = NDArray[np.int64]

ACTIVATIONS = {
    "relu": cr.ReLU,
    "leaky_relu": cr.LeakyReLU,
    "tanh": cr.Tanh,
    "sigmoid": cr.Sigmoid,
    "gelu": cr.GELU,
    "silu": cr.SiLU,
    "softplus": cr.Softplus,
    "elu": cr.ELU,
}
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1
INFLUENCE_ROWS = 64
PATIENCE = 15  # epochs without a better validation loss, on a table
MOST_CLASSES_SHOWN = 20  # in the confusion table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 2 wrong input, 130 interrupted."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        done = command(options)
        sys.stdout.flush()
        return done
    except KeyboardInterrupt:
        print("chainrule: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, cr.NonFiniteError) as error:
        print(f"chainrule: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chainrule", description="Train neural networks by backpropagation, on NumPy arrays."
    )
    parser.add_argument("--version", action="version", version=f"chainrule {cr.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser(
        "train",
        help="train a classifier and test it",
        description="Train a classifier on handwritten digits, or on a file of your own; "
        "then test it on a fifth of the data that it has not seen.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_data_and_network(train, hidden=(64, 32), activation="relu", epochs=60)
    train.add_argument("table", type=Path, nargs="?", help="a .csv file with a header")
    train.add_argument("--target", metavar="COLUMN", help="what to predict in it")
    train.add_argument(
        "--task",
        choices=(tables.CLASSIFICATION, tables.REGRESSION),
        help="(default: by the target)",
    )
    train.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="leave it out")
    train.add_argument(
        "--impute", action="store_true", help="fill empty cells: median, or most frequent category"
    )
    train.add_argument("--backend", choices=BACKENDS, default="numba", help="what computes")
    train.add_argument(
        "--save", "--out", type=Path, metavar="FILE", help="keep the network (.safetensors)"
    )
    train.set_defaults(command=_train)

    add_predict(commands)

    explain = commands.add_parser(
        "explain",
        help="show the chain rule at work",
        description="Show the chain rule at work on a network: one that is trained for it on "
        "handwritten digits or on a file of your own, or a saved one.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_data_and_network(explain, hidden=(16,), activation="tanh", epochs=10)
    explain.add_argument(
        "--model", type=Path, metavar="FILE", help="a saved network, not a new one"
    )
    explain.add_argument("--rows", type=int, default=1, help="test rows to explain")
    explain.add_argument(
        "--parameter", metavar="NAME", help="such as W1 or 0.bias (default: first)"
    )
    explain.add_argument("--html", type=Path, metavar="FILE", help="write a page to explore, too")
    explain.set_defaults(command=_explain, backend="numba")

    info = commands.add_parser("info", help="show versions, CPU, threads and cache")
    info.set_defaults(command=_info)
    return parser


def _add_data_and_network(
    command: argparse.ArgumentParser, *, hidden: tuple[int, ...], activation: str, epochs: int
) -> None:
    command.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help=".npz with images and labels, or .csv with the label last (default: built-in digits)",
    )
    command.add_argument("--hidden", type=_sizes, default=hidden, help="sizes of hidden layers")
    command.add_argument(
        "--activation", choices=ACTIVATIONS, default=activation, help="between layers"
    )
    command.add_argument("--epochs", type=int, default=epochs, help="how often each row is seen")
    command.add_argument("--batch-size", type=int, default=32, help="rows a step")
    command.add_argument("--lr", type=float, default=5e-3, help="learning rate")
    command.add_argument("--seed", type=int, default=0, help="of split, parameters and order")


def _sizes(text: str) -> tuple[int, ...]:
    """Parse ``"64,32"``; an empty text is no hidden layer."""
    try:
        sizes = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        sizes = (0,)
    if any(size < 1 for size in sizes):
        raise argparse.ArgumentTypeError(f"expected sizes such as 64,32, not {text!r}")
    return sizes


@dataclass(frozen=True)
class _Data:
    """Rows and their classes' numbers, and which rows are for what."""

    X: FloatArray
    y: NDArray[Any]
    classes: NDArray[Any]
    test: Labels
    validation: Labels
    training: Labels


def _read(options: argparse.Namespace) -> _Data:
    X, labels = datasets.load_digits() if options.data is None else datasets.load(options.data)
    classes, y = _classes(labels)
    test, validation, training = _split(len(X), integer(options.seed, "seed", least=0))
    if X.min() < 0 or X.max() > 1:  # no pixels: columns of a table may differ by any factor
        X = _standardized(X, training)
    return _Data(X, y, classes, test, validation, training)


def _fit_network(
    options: argparse.Namespace,
    data: _Data,
    loss: Loss,
    outputs: int,
    console: Console,
    callbacks: Sequence[cr.Callback] = (),
) -> tuple[cr.Sequential, cr.History]:
    layers: list[Layer] = []
    inputs = data.X.shape[1]
    for size in options.hidden:
        layers += [cr.Linear(inputs, size), ACTIVATIONS[options.activation]()]
        inputs = size
    net = cr.Sequential(
        *layers, cr.Linear(inputs, outputs), seed=options.seed, backend=options.backend
    )
    console.print(str(net.summary()), highlight=False)
    history = cr.fit(
        net,
        data.X[data.training],
        data.y[data.training],
        loss=loss,
        optimizer=cr.AdamW(lr=options.lr, weight_decay=0.1),
        epochs=options.epochs,
        batch_size=min(options.batch_size, len(data.training)),
        seed=options.seed,
        validation=(data.X[data.validation], data.y[data.validation]),
        callbacks=callbacks,
    )
    return net, history


def _train(options: argparse.Namespace) -> int:
    if options.table is not None:
        return _train_on_table(options)
    if options.target is not None:
        raise ValueError("--target needs a table: chainrule train FILE.csv --target COLUMN")
    console = Console()
    data = _read(options)
    loss = cr.CrossEntropyLoss(label_smoothing=0.1)
    net, history = _fit_network(options, data, loss, len(data.classes), console)
    if history.interrupted:
        console.print("Interrupted; testing what was trained so far.")

    output, y = net.predict(data.X[data.test]), data.y[data.test]
    _print_confusion(console, data.classes, cr.metrics.confusion_matrix(output, y))
    _print_result(console, history, cr.metrics.accuracy(output, y), len(y))
    some = data.training[:16]
    _print_gradient_check(console, net, loss, data.X[some], data.y[some])
    if options.save is not None:
        net.save(options.save)
        console.print(f"Saved: {options.save}", highlight=False)
    return 130 if history.interrupted else 0


def _train_on_table(options: argparse.Namespace) -> int:
    if options.target is None:
        raise ValueError(f"--target must name the column of {options.table} to predict.")
    console = Console(stderr=True)
    table = tables.read_table(options.table)
    test, validation, training = _split(len(table.lines), integer(options.seed, "seed", least=0))
    encoding = tables.fit_encoding(
        table,
        options.target,
        training,
        task=options.task,
        drop=options.drop,
        impute=options.impute,
    )
    X, y = encoding.encode(table), encoding.encode_target(table)
    names = np.array(encoding.target.categories)
    data = _Data(X, y, names, test, validation, training)
    loss: Loss = cr.CrossEntropyLoss() if names.size else cr.MSELoss()
    net, history = _fit_network(
        options, data, loss, max(1, names.size), console, [EarlyStopping(patience=PATIENCE)]
    )
    console = Console()
    output, expected = net.predict(X[test]), y[test]
    if names.size:
        _print_confusion(console, names, cr.metrics.confusion_matrix(output, expected))
        _print_result(console, history, cr.metrics.accuracy(output, expected), len(test))
        most = np.bincount(y[training]).argmax()
        console.print(
            f"Always {str(names[most])!r}: {np.mean(expected == most):.2%}.",
            highlight=False,
            markup=False,
        )
    else:
        print_regression(console, encoding.target, output, expected)
    some = training[:16]
    _print_gradient_check(console, net, loss, X[some], y[some])
    if options.save is not None:
        net.save(options.save, metadata={KEY: encoding.to_json()})
        console.print(f"Saved: {options.save}", highlight=False)
    return 130 if history.interrupted else 0


def _explain(options: argparse.Namespace) -> int:
    console = Console()
    data = _read(options)
    rows = integer(options.rows, "--rows", least=1)
    if rows > len(data.test):
        raise ValueError(f"--rows is {rows}, but there are only {len(data.test)} test rows.")
    if options.html is not None and not options.html.resolve().parent.is_dir():
        raise ValueError(f"There is no folder for {options.html}.")
    loss = cr.CrossEntropyLoss()
    interrupted = False
    if options.model is None:
        net, history = _fit_network(options, data, loss, len(data.classes), console)
        interrupted = history.interrupted
    else:
        net = cr.load(options.model)
        console.print(str(net.summary()), highlight=False)

    def show(heading: str, part: object) -> None:
        console.print(f"\n{heading}\n", style="bold", highlight=False)
        console.print(str(part), highlight=False, markup=False, soft_wrap=True)

    chain = cr.explain(net, loss, data.X[data.test[:rows]], data.y[data.test[:rows]])
    if options.parameter is None and not chain.symbols:
        raise ValueError("The network has no parameters to explain.")
    name = chain.find(options.parameter or next(iter(chain.symbols)))
    path = chain.path(name)
    batch = data.training[:INFLUENCE_ROWS]
    show("The chain", chain)
    show("One parameter's factors", path)
    show("One fraction", chain.compress(name))
    if name != "x":
        show("One weight's paths to the loss", _trace_of_largest(chain, path))
    show("Why from the loss backward", chain.order())
    influence = cr.explain(net, loss, data.X[batch], data.y[batch]).influence()
    show(f"What each layer passes on, for {len(batch)} rows", influence)
    if options.html is not None:
        chain.to_html(options.html)
        console.print(f"\nA page to explore: {options.html}", highlight=False)
    return 130 if interrupted else 0


def _trace_of_largest(chain: Chain, path: ChainPath) -> object:
    """Return the paths of the entry with the largest gradient, or why they cannot be followed."""
    sizes = np.abs(path.gradient)
    largest = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    try:
        return chain.trace(path.name, [int(i) for i in largest])
    except ValueError as error:  # a Jacobian is too large
        return error


def _classes(labels: Labels) -> tuple[Labels, Labels]:
    """Return the different labels, and for each row the number of its label among them."""
    classes, y = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"All labels are {classes[0]}; a classifier needs two classes or more.")
    if len(classes) > len(labels) / 2:
        raise ValueError(
            f"There are {len(classes)} different labels in {len(labels)} rows; classes are "
            "expected to have several rows each."
        )
    return classes, y


def _split(rows: int, seed: int) -> tuple[Labels, Labels, Labels]:
    """Return the rows for test, validation and training, drawn at random."""
    order = np.random.default_rng(seed).permutation(rows)
    test = round(rows * TEST_SHARE)
    validation = test + round(rows * VALIDATION_SHARE)
    if test == 0 or validation in (test, rows):
        raise ValueError(f"The data has only {rows} rows; a test needs at least 10.")
    return order[:test], order[test:validation], order[validation:]


def _standardized(X: FloatArray, rows: Labels) -> FloatArray:
    """Return X with every column of mean 0 and deviation 1 in these rows, as far as it varies."""
    seen = X[rows].astype(float)
    constant = np.ptp(seen, axis=0) == 0
    result: FloatArray = (X - seen.mean(axis=0)) / np.where(constant, 1, seen.std(axis=0))
    return result


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


def _print_result(console: Console, history: cr.History, accuracy: float, rows: int) -> None:
    if history.seconds:
        # The median epoch: the first one also loads or compiles the engine.
        steps = len(history.batch_loss) / len(history.loss)
        a_step = float(np.median(history.seconds)) / steps
        console.print(f"Time: {a_step * 1e6:.1f} us a step in the median epoch.", highlight=False)
    console.print(f"Test accuracy: {accuracy:.2%} of {rows} rows.", highlight=False)


def _print_gradient_check(
    console: Console, net: cr.Sequential, loss: Loss, x: FloatArray, y: FloatArray
) -> None:
    try:
        report = cr.gradcheck(net, loss, x, y)
    except cr.GradientMismatch as mismatch:
        console.print(str(mismatch), highlight=False)
        raise ValueError("the gradient check failed") from None
    checked = sum(parameter.checked for parameter in report.parameters)
    console.print(
        f"Gradient check: passed, {checked} entries, worst relative error {report.error:.1e}.",
        highlight=False,
    )


def _info(options: argparse.Namespace) -> int:
    import llvmlite.binding as llvm

    from chainrule.kernels.cache import cache_folder
    from chainrule.kernels.vectors import VECTOR_BYTES

    features = llvm.get_host_cpu_features()
    telling = ("avx2", "fma", "avx512f", "avx512bf16", "amx-bf16", "neon", "sve")
    folder = cache_folder()
    entries = len(list(folder.glob("*.nbc"))) if folder else 0
    rows = {
        "chainrule": cr.__version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "llvmlite")},
        "CPU": llvm.get_host_cpu_name(),
        "features": ", ".join(name for name in telling if features.get(name)),
        "vector": f"{VECTOR_BYTES} bytes",
        "cores": str(os.cpu_count()),
        "threads": f"up to {cr.get_num_threads()}",
        "threading layer": "none of Numba's: threads of our own",
        "cache folder": str(folder) if folder else "none: nowhere to keep compiled code",
        "cache entries": str(entries),
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table, highlight=False)
    return 0

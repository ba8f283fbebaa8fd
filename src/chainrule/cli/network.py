"""Common parts of ``train`` and ``explain``: data, its split, and a network fitted to it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule import datasets
from chainrule.cli import arrays, images
from chainrule.cli.array_encoding import ArrayEncoding, size_of_largest
from chainrule.cli.tables import Encoding
from chainrule.layers.activation import Elementwise
from chainrule.layers.layer import Layer
from chainrule.losses import Loss
from chainrule.utils.arguments import integer
from chainrule.utils.wording import plural

Labels = NDArray[np.int64]

LAYERS = [getattr(cr, name) for name in cr.layers.__all__]
ACTIVATIONS = {layer.operation: layer for layer in LAYERS if issubclass(layer, Elementwise)}
LR = 5e-3
TEST_FRACTION, VALIDATION_FRACTION = 0.2, 0.1


def add_data_and_network(
    command: argparse.ArgumentParser,
    *,
    hidden: tuple[int, ...],
    activation: str,
    epochs: int,
    for_table: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Add the options that :func:`read_data` and :func:`fit_network` take.

    Options in ``for_table`` have another default for tables, so their value is None if not given.
    """
    command.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help=".npz with the arrays images and labels, x_train and y_train, or X and y; or .csv "
        "with the label last (default: built-in digits)",
    )
    command.add_argument(
        "--hidden",
        type=_sizes,
        default=hidden,
        metavar="SIZES",
        help=f"sizes of hidden layers (default: {','.join(map(str, hidden))})",
    )
    command.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        default=activation,
        metavar="NAME",
        help=f"between layers: {', '.join(ACTIVATIONS)} (default: %(default)s)",
    )
    numbers: tuple[tuple[str, type, float, str], ...] = (
        ("epochs", int, epochs, "largest number of epochs"),
        ("batch-size", int, 32, "rows in a step, or all if there are fewer"),
        ("lr", float, LR, "learning rate"),
        ("weight-decay", float, 0.1, "of AdamW"),
        ("seed", int, 0, "of the split, the parameters and the shuffling"),
    )
    for name, kind, default, about in numbers:
        also = f", for a table {for_table[name]}" if name in for_table else ""
        command.add_argument(
            f"--{name}",
            type=kind,
            default=None if also else default,
            help=f"{about} (default: {default}{also})",
        )


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
class Data:
    """Inputs, targets, and the split of the rows.

    Attributes
    ----------
    X : array of shape (n, features), or of images
    y : array of shape (n, ...)
    classes : array
        Empty for a regression.
    test, validation, training : arrays of row numbers
    encoding : Encoding or ArrayEncoding
        Of a table, or of arrays.
    scaling : sequence of Layer
        What the network begins with.
    notes : sequence of str
        What was changed, or is unusual.
    """

    X: NDArray[Any]
    y: NDArray[Any]
    classes: NDArray[Any]
    test: Labels
    validation: Labels
    training: Labels
    encoding: Encoding | ArrayEncoding
    scaling: Sequence[Layer] = ()
    notes: Sequence[str] = ()

    @property
    def table(self) -> Encoding | None:
        """The encoding, if it is of a table."""
        return self.encoding if isinstance(self.encoding, Encoding) else None

    @property
    def are_images(self) -> bool:
        """Whether X holds images, not rows."""
        return self.X.ndim > 2


def read_data(options: argparse.Namespace) -> Data:
    """Return the digits, or the data from the file of --data."""
    X, labels, notes = _digits() if options.data is None else _read(options.data)
    classes, y = _classes(labels)
    test, validation, training = split(len(X), options.seed, y)
    seen = X[training]
    encoding = ArrayEncoding(X.shape[1:], tuple(classes.tolist()), size_of_largest(seen))
    scaling = arrays.scaling_layers(seen)
    return Data(X, y, classes, test, validation, training, encoding, scaling, notes)


def _digits() -> tuple[NDArray[Any], NDArray[Any], list[str]]:
    return *datasets.load_digits(), []


def _read(path: Path) -> tuple[NDArray[Any], NDArray[Any], list[str]]:
    """Return X, the labels, and notes about a file; errors say how to read any table."""
    try:
        rows, labels = arrays.read(path)
    except ValueError as error:
        if path.suffix != ".csv":
            raise
        raise ValueError(
            f"{error} With --data, all cells are numbers; chainrule train {path} --target COLUMN "
            "reads any table."
        ) from None
    X, notes = arrays.arrange(rows)
    return X, arrays.labels_of(labels), notes


def split(rows: int, seed: int, classes: Labels | None = None) -> tuple[Labels, Labels, Labels]:
    """Return the rows for test, validation and training, drawn at random.

    With the ``classes`` of the rows, each part has of each class what is in proportion; a class of
    one row is trained on.
    """
    order = np.random.default_rng(integer(seed, "seed", least=0)).permutation(rows)
    test = round(rows * TEST_FRACTION)
    validation = test + round(rows * VALIDATION_FRACTION)
    if test == 0 or validation in (test, rows):
        raise ValueError(f"The data has only {plural(rows, 'row')}; a test needs at least 10.")
    if classes is not None:
        order = order[_spread(classes[order])]
    return order[:test], order[test:validation], order[validation:]


def _spread(classes: Labels) -> Labels:
    """Return an order of rows any part of which has each class in proportion."""
    counts = np.bincount(classes)
    number = np.empty(len(classes), np.int64)  # of a row in its class
    number[np.argsort(classes, kind="stable")] = np.concatenate([*map(np.arange, counts)])
    return np.argsort((number + 0.5) / counts[classes], kind="stable")


def build_network(options: argparse.Namespace, data: Data, backend: str = "numba") -> cr.Sequential:
    """Return a new network as the options describe it."""
    activation = ACTIVATIONS[options.activation]
    layers: list[Layer] = [*data.scaling]
    inputs = data.X.shape[1]
    if data.are_images:
        convolutions, inputs = images.convolutions(data.X.shape[1:], activation)
        layers += convolutions
    for size in options.hidden:
        layers += [cr.Linear(inputs, size), activation()]
        inputs = size
    outputs = max(1, len(data.classes))
    layers.append(cr.Linear(inputs, outputs))
    net = cr.Sequential(*layers, seed=options.seed, backend=backend)
    if data.are_images:
        return net
    # Columns that are 0 in all training rows train no weights. These would stay random, and act on
    # other rows later.
    unused = arrays.unused_columns(data.X[data.training], layers)
    net.parameters()[f"{len(data.scaling)}.weight"][unused] = 0
    return net


def make_optimizer(options: argparse.Namespace) -> cr.Optimizer:
    """Return a new optimizer as the options describe it."""
    return cr.AdamW(lr=options.lr, weight_decay=options.weight_decay)


def fit_network(
    options: argparse.Namespace,
    net: cr.Sequential,
    data: Data,
    loss: Loss,
    callbacks: Sequence[cr.Callback] = (),
) -> cr.History:
    """Train a network with these options."""
    return cr.fit(
        net,
        data.X[data.training],
        data.y[data.training],
        loss=loss,
        optimizer=make_optimizer(options),
        epochs=options.epochs,
        batch_size=min(options.batch_size, len(data.training)),
        seed=options.seed,
        validation=(data.X[data.validation], data.y[data.validation]),
        callbacks=callbacks,
        interrupt="stop",
    )


def _classes(labels: NDArray[Any]) -> tuple[NDArray[Any], Labels]:
    """Return the distinct labels, and for each row the index of its label among them."""
    classes, y = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"All labels are {classes[0]}; a classifier needs two classes or more.")
    if len(classes) > len(labels) / 2:
        raise ValueError(
            f"There are {len(classes)} different labels in {len(labels)} rows; classes are "
            "expected to have several rows each."
        )
    return classes, y

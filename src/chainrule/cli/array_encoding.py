"""How the arrays of a file become a network's inputs, and its outputs labels."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli import arrays
from chainrule.cli.tables import CLASSIFICATION
from chainrule.datasets.npz import FileArray, read_images
from chainrule.datasets.readers import load_rows
from chainrule.layers.shapes import shape_text

Label = int | str

OTHER_SCALE = 10  # so many times larger, numbers are of another scale


@dataclass(frozen=True)
class ArrayEncoding:
    """The shape of an image or a row, and the classes that the network tells apart.

    The numbers are taken as they are: the network itself scales them.

    Attributes
    ----------
    input_shape : tuple of int
        Without the batch.
    classes : tuple of int or str
        The labels, in the order of the network's outputs.
    largest : float
        The largest size of a number in the training rows.
    """

    input_shape: tuple[int, ...]
    classes: tuple[Label, ...]
    largest: float
    task = CLASSIFICATION
    target_name = "label"

    @property
    def about(self) -> str:
        """What it is of, for messages."""
        return "images" if len(self.input_shape) > 1 else "rows of numbers"

    @property
    def outputs(self) -> list[str]:
        """The names of the network's outputs."""
        return [str(label) for label in self.classes]

    def check_file(self, path: Path, model: Path) -> None:
        """Raise ValueError if a model of this encoding takes another kind of file."""
        if path.suffix.lower() != ".npz" and len(self.input_shape) > 1:
            raise ValueError(f"{model} is a model of images; it takes an .npz file, not {path}.")

    def encode(self, path: Path) -> tuple[NDArray[Any], list[str]]:
        """Return X from a file, and notes about it. The file needs no labels."""
        if path.suffix.lower() == ".csv":
            return self._arranged(FileArray("rows", load_rows(path, *self.input_shape), path))
        return self._arranged(read_images(path))

    def encode_labelled(self, path: Path) -> tuple[NDArray[Any], NDArray[np.int64], list[str]]:
        """Return X, y, the numbers of the labels' classes, and notes about it."""
        rows, labels = arrays.read(path)
        places = {label: place for place, label in enumerate(self.classes)}
        y = [places.get(label, -1) for label in arrays.labels_of(labels).tolist()]
        if -1 in y:
            row = y.index(-1)
            raise ValueError(
                f"{labels.name}[{row}] in {path} is {labels.array[row]}, which is no class of the "
                f"model; these are {', '.join(self.outputs)}."
            )
        X, notes = self._arranged(rows)
        return X, np.array(y), notes

    def _arranged(self, rows: FileArray) -> tuple[NDArray[Any], list[str]]:
        X, notes = arrays.arrange(rows)
        if X.shape[1:] != self.input_shape:
            raise rows.wrong_shape(f"{shape_text(self.input_shape)} for this model")
        largest = size_of_largest(X)
        is_other = not self.largest / OTHER_SCALE <= largest <= self.largest * OTHER_SCALE
        # Columns of few rows may be small by chance, and images may be black.
        if is_other and largest > 0 and len(self.input_shape) > 1:
            notes = [
                *notes,
                f"Numbers in {rows.path} are at most {largest:.6g} in size, but those of the "
                f"training were at most {self.largest:.6g}: if they were scaled in another way, "
                "predictions are wrong.",
            ]
        return X, notes

    def decode(self, output: NDArray[Any]) -> list[Label]:
        """Return each row's class."""
        return [self.classes[i] for i in output.argmax(axis=1)]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for :meth:`from_json`."""
        return {
            "shape": list(self.input_shape),
            "classes": list(self.classes),
            "largest": self.largest,
        }

    @classmethod
    def from_json(cls, value: Any) -> ArrayEncoding:
        """Return the encoding from the result of :meth:`to_json`; ValueError if it is wrong."""
        try:
            shape, classes = tuple(value["shape"]), tuple(value["classes"])
            largest = value["largest"]
        except (KeyError, TypeError):
            raise ValueError("it does not describe arrays") from None
        are_sizes = all(type(size) is int and size > 0 for size in shape)
        kinds = {type(label) for label in classes}
        if not (
            shape
            and are_sizes
            and len(classes) > 1
            and kinds in ({int}, {str})
            and len(set(classes)) == len(classes)
            and type(largest) in (int, float)
            and isfinite(largest)
            and largest >= 0
        ):
            raise ValueError("it does not describe arrays and their classes")
        return cls(shape, classes, float(largest))


def size_of_largest(X: NDArray[Any]) -> float:
    """Return the largest absolute value."""
    return max(float(X.max()), -float(X.min()))

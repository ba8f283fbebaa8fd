"""How the arrays of an ``.npz`` file become a network's inputs, and its outputs labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli import images
from chainrule.cli.tables import CLASSIFICATION
from chainrule.datasets.npz import Named, read_images
from chainrule.layers.shapes import shape_text

Label = int | str


@dataclass(frozen=True)
class ArrayEncoding:
    """The shape of an image or a row, and the classes that the network tells apart.

    The numbers are taken as they are: the network itself scales them.
    """

    input_shape: tuple[int, ...]
    classes: tuple[Label, ...]
    task = CLASSIFICATION
    about_inputs = "images or rows"  # for errors
    target = "label"

    @property
    def outputs(self) -> list[str]:
        """The names of the network's outputs."""
        return [str(label) for label in self.classes]

    def encode(self, path: Path) -> tuple[NDArray[Any], str]:
        """Return X from a file, and what was changed. An ``.npz`` file needs no labels."""
        is_table = path.suffix.lower() == ".csv"
        return self._arranged(images.read(path)[0] if is_table else read_images(path))

    def encode_labelled(self, path: Path) -> tuple[NDArray[Any], NDArray[np.int64], str]:
        """Return X, y, the numbers of the labels' classes, and what was changed."""
        rows, labels = images.read(path)
        places = {label: place for place, label in enumerate(self.classes)}
        y = [places.get(label, -1) for label in check_labels(labels).tolist()]
        if -1 in y:
            row = y.index(-1)
            raise ValueError(
                f"{labels.name}[{row}] in {path} is {labels.array[row]}, which is no class of the "
                f"model; these are {', '.join(self.outputs)}."
            )
        X, note = self._arranged(rows)
        return X, np.array(y), note

    def _arranged(self, rows: Named) -> tuple[NDArray[Any], str]:
        X, note = images.arrange(rows)
        if X.shape[1:] != self.input_shape:
            raise rows.wrong_shape(f"{shape_text(self.input_shape)} for this model")
        return X, note

    def decode(self, output: NDArray[Any]) -> list[Label]:
        """Return each row's class."""
        return [self.classes[i] for i in output.argmax(axis=1)]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for :meth:`from_json`."""
        return {"shape": list(self.input_shape), "classes": list(self.classes)}

    @classmethod
    def from_json(cls, value: Any) -> ArrayEncoding:
        """Return the encoding from the result of :meth:`to_json`; ValueError if it is wrong."""
        try:
            shape, classes = tuple(value["shape"]), tuple(value["classes"])
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
        ):
            raise ValueError("it does not describe arrays and their classes")
        return cls(shape, classes)


def check_labels(labels: Named) -> NDArray[Any]:
    """Return labels that are integers or text; TypeError if they are something else."""
    dtype = labels.array.dtype
    if dtype.kind == "U":
        return labels.array
    if dtype.kind not in "biu" or not np.can_cast(dtype, np.int64):
        raise labels.wrong_dtype("text, or integers that fit into int64")
    return labels.array.astype(np.int64)

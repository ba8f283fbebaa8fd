"""Arrays in ``.npz`` files: images and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.utils.arrays import finite_array
from chainrule.utils.files import check_path

PathOrName = str | PathLike[str]

# The names of images and labels; the second ones are those of Keras, who calls new images x_test.
NAMES = ("images", "labels"), ("x_train", "y_train"), ("X", "y")
NAMES_OF_IMAGES = ("images",), ("x_test",), ("x_train",), ("X",)


class FileArray(NamedTuple):
    """An array of a file, with its name and its file for errors."""

    name: str
    array: NDArray[Any]
    path: PathOrName
    holds_labels: bool = False

    def wrong_dtype(self, expected: str) -> TypeError:
        """Return the error for an array of another dtype than was ``expected``, with a remedy."""
        return TypeError(
            f"{self.name} in {self.path} must be {expected}, but their dtype is "
            f"{self.array.dtype}.{self._hint_on_dtype()}"
        )

    def wrong_shape(self, expected: str) -> ValueError:
        """Return the error for an array of another shape than was ``expected``, with a remedy."""
        return ValueError(
            f"{self.name} in {self.path} must have shape {expected}, but their shape is "
            f"{self.array.shape}.{self._hint_on_axes()}"
        )

    def check_finite(self, dtype: np.dtype) -> None:
        """Raise ValueError if there is NaN or infinity, also after conversion to ``dtype``."""
        try:
            finite_array(self.array, self.name, dtype)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None

    def _hint_on_dtype(self) -> str:
        kind = self.array.dtype.kind
        if self.holds_labels:
            if kind in "fu":
                return f" {self.name}.astype(int) makes integers of whole numbers."
            numbers = f" np.unique({self.name}, return_inverse=True)[1] numbers them."
            return numbers if kind in "US" else ""
        if kind in "iu":
            return f" {self.name}.astype(np.uint8) makes pixels of whole numbers from 0 to 255."
        return f" {self.name}.astype(np.float32) makes numbers of them." if kind == "b" else ""

    def _hint_on_axes(self) -> str:
        shape = self.array.shape
        if not self.holds_labels or len(shape) != 2:
            return ""
        if shape[1] == 1:
            return f" {self.name}.ravel() has one axis."
        return (
            f" With a column for each class, {self.name}.argmax(axis=1) has the classes' numbers."
        )


def read_labelled(path: PathOrName) -> tuple[FileArray, FileArray]:
    """Return a file's images, of shape (n, ...), and its labels, of shape (n,), as they are there.

    Raises
    ------
    ValueError
        If it is no ``.npz`` file, or an array is missing, or has another shape.
    OSError
        If it cannot be read.
    """
    images, labels = _read(path, NAMES)
    _check_images(images)
    labels = labels._replace(holds_labels=True)
    if labels.array.shape != images.array.shape[:1]:
        raise labels.wrong_shape(f"({len(images.array)},), one label an image")
    return images, labels


def read_images(path: PathOrName) -> FileArray:
    """Return a file's images as :func:`read_labelled` does; the file needs no labels."""
    (images,) = _read(path, NAMES_OF_IMAGES)
    _check_images(images)
    return images


def _check_images(images: FileArray) -> None:
    if images.array.ndim < 2 or images.array.size == 0:
        raise images.wrong_shape("(n, ...), none of it 0")


def _read(path: PathOrName, alternatives: Sequence[tuple[str, ...]]) -> list[FileArray]:
    """Return the arrays of the first names all of which are in the file."""
    expected, *others = (" and ".join(names) for names in alternatives)
    check_path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(6)
            file.seek(0)
            if start.startswith(b"\x93NUMPY"):
                raise ValueError("it holds one array only, as np.save writes")
            if not start.startswith(b"PK"):
                raise ValueError("it is no zip archive, as np.savez writes")
            content = np.load(file, allow_pickle=False)
            for names in alternatives:
                if all(name in content for name in names):
                    return [FileArray(name, _array(content, name), path) for name in names]
            missing = " and ".join(name for name in alternatives[0] if name not in content)
            found = ", ".join(content) or "none"
            given = ", ".join(f"{name}={name}" for name in alternatives[0])
            raise ValueError(
                f"{missing} missing among its arrays ({found}); np.savez('labelled.npz', {given}) "
                f"writes such a file ({', or '.join(others)} are read, too)"
            )
    except Exception as error:  # decoders of damaged files raise many types
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise
        arrays = "arrays" if len(alternatives[0]) > 1 else "array"
        raise ValueError(
            f"{path} must be an .npz file with the {arrays} {expected}: {error}."
        ) from None


def _array(content: np.lib.npyio.NpzFile, name: str) -> NDArray[Any]:
    try:
        return content[name]
    except ValueError as error:
        if not str(error).startswith("Object arrays"):
            raise
        raise ValueError(
            f"{name} holds Python objects, which are not read; np.array({name}.tolist()) makes "
            "numbers or texts of them"
        ) from None

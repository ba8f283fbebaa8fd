"""Readers: the digits that come with chainrule, and files of labelled images or rows."""

import csv
import gzip
from array import array
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from chainrule.utils.arguments import flag
from chainrule.utils.arrays import real_array
from chainrule.utils.files import check_path

PathOrName = str | PathLike[str]
Dataset = tuple[NDArray[np.float32], NDArray[np.int64]]

NAMES = ("images", "labels"), ("x_train", "y_train")  # of arrays in files; the latter are Keras'
LARGEST_LABEL = 2**53  # up to here float64 holds every whole number


def load(path: PathOrName) -> Dataset:
    """Read a data set from a file, by its suffix: ``.npz`` or ``.csv``.

    Parameters
    ----------
    path : str or path
        Read by :func:`load_images` if it ends in ``.npz``, by :func:`load_table` if in ``.csv``.

    Returns
    -------
    X : float32 array of shape (n, features)
    y : int64 array of shape (n,)

    Raises
    ------
    ValueError
        If the suffix is another, or the content is not as expected.
    OSError
        If there is no such file, or it cannot be read.
    """
    suffix = Path(check_path(path)).suffix.lower()
    if suffix not in _READERS:
        raise ValueError(f"path must end in {' or '.join(_READERS)}, but it is {str(path)!r}.")
    return _READERS[suffix](path)


def load_digits() -> Dataset:
    """Return 1,797 images of handwritten digits, 8x8 pixels each.

    They are the test set of "Optical Recognition of Handwritten Digits" [1]_, and come with
    chainrule: nothing is downloaded.

    Returns
    -------
    X : float32 array of shape (1797, 64)
        The images row by row, from 0 (white) to 1 (black).
    y : int64 array of shape (1797,)
        The digits, 0 to 9.

    References
    ----------
    .. [1] E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998,
       https://doi.org/10.24432/C50P49, CC BY 4.0.

    Examples
    --------
    >>> X, y = load_digits()
    >>> X.shape, y.shape
    ((1797, 64), (1797,))
    >>> y[:10]
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    >>> for row in X[1].reshape(8, 8):
    ...     print("".join("-+#"[round(2 * pixel)] for pixel in row))
    ---##+--
    ---+#+--
    ---##+--
    -+###---
    ---##---
    ---##+--
    ---##+--
    ---+#+--
    """
    from importlib.resources import files  # loads slowly

    packed = files("chainrule.datasets").joinpath("data", "digits.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode("ascii").splitlines()
    table = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    return table[:, :-1] / np.float32(16), table[:, -1].astype(np.int64)


def load_images(path: PathOrName, *, flatten: bool = True) -> Dataset:
    """Read labelled images from an ``.npz`` file, as ``np.savez`` writes it.

    Parameters
    ----------
    path : str or path
        The file, with two arrays: ``images`` of shape ``(n, ...)``, uint8 or floating, and
        ``labels`` of shape ``(n,)``, integers or booleans. They may also be called ``x_train`` and
        ``y_train``, as in the ``mnist.npz`` of Keras. Other arrays are ignored, and nothing is
        unpickled.
    flatten : bool
        Whether each image is made a vector. Else images of shape ``(height, width)`` get an axis
        for their one channel, as convolutions expect it; axes of other images stay as they are.

    Returns
    -------
    X : float32 array of shape (n, features), or (n, height, width, channels)
        The images. uint8 is divided by 255; other values stay as they are.
    y : int64 array of shape (n,)

    Raises
    ------
    ValueError
        If it is not an ``.npz`` file, or an array is missing, has a wrong shape, or is not finite.
    TypeError
        If an array has a wrong dtype.
    OSError
        If there is no such file, or it cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "two.npz")
    >>> np.savez(path, images=np.full((2, 28, 28), 255, np.uint8), labels=[7, 3])
    >>> X, y = load_images(path)
    >>> X.shape, X.max(), y
    ((2, 784), np.float32(1.0), array([7, 3]))
    >>> load_images(path, flatten=False)[0].shape
    (2, 28, 28, 1)
    """
    flatten = flag(flatten, "flatten")
    (name, images), (name_of_labels, labels) = _read_npz(path, NAMES).items()
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise TypeError(
            f"{name} in {path} must be uint8 or floating, but their dtype is {images.dtype}."
            f"{_hint_on_pixels(images, name)}"
        )
    if images.ndim < 2 or images.size == 0:
        raise ValueError(
            f"{name} in {path} must have shape (n, ...), none of it 0, "
            f"but their shape is {images.shape}."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{name_of_labels} in {path} must have shape ({len(images)},), one label an image, "
            f"but their shape is {labels.shape}.{_hint_on_axes(labels, name_of_labels)}"
        )
    if labels.dtype.kind not in "biu" or not np.can_cast(labels.dtype, np.int64):
        raise TypeError(
            f"{name_of_labels} in {path} must be integers that fit into int64, "
            f"but their dtype is {labels.dtype}.{_hint_on_dtype(labels, name_of_labels)}"
        )
    if flatten:
        images = images.reshape(len(images), -1)
    elif images.ndim == 3:
        images = images[..., np.newaxis]
    X = real_array(images, name, np.dtype(np.float32)).copy()
    if images.dtype == np.uint8:
        X /= 255
    return X, labels.astype(np.int64)


def _hint_on_pixels(images: NDArray[Any], name: str) -> str:
    """Return what makes an array one of pixels, as a sentence behind a message."""
    if images.dtype.kind in "iu":
        return f" {name}.astype(np.uint8) makes pixels of whole numbers from 0 to 255."
    if images.dtype.kind == "b":
        return f" {name}.astype(np.float32) makes numbers of them."
    return ""


def _hint_on_axes(labels: NDArray[Any], name: str) -> str:
    """Return what leaves one axis of labels, as a sentence behind a message."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        return f" {name}.ravel() has one axis."
    if labels.ndim == 2:
        return f" With a column for each class, {name}.argmax(axis=1) has the classes' numbers."
    return ""


def _hint_on_dtype(labels: NDArray[Any], name: str) -> str:
    """Return what makes integers of labels, as a sentence behind a message."""
    if labels.dtype.kind in "fu":
        return f" {name}.astype(int) makes integers of whole numbers."
    if labels.dtype.kind in "US":
        return f" np.unique({name}, return_inverse=True)[1] numbers them."
    return ""


def load_table(path: PathOrName) -> Dataset:
    r"""Read a table of numbers from a ``.csv`` file; the last column holds the labels.

    Parameters
    ----------
    path : str or path
        The file: UTF-8, cells separated by commas, one row a line. A first row without any number
        is treated as a header and left out, and so are empty lines.

    Returns
    -------
    X : float32 array of shape (n, columns - 1)
    y : int64 array of shape (n,)

    Raises
    ------
    ValueError
        If a cell is not a finite number, a label is not a whole number, rows differ in length, or
        there are none.
    OSError
        If there is no such file, or it cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "xor.csv")
    >>> _ = path.write_text("a,b,label\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n")
    >>> X, y = load_table(path)
    >>> X.shape, y
    ((4, 2), array([0, 1, 1, 0]))
    """
    values = array("d")  # 8 bytes a cell, a list would take 32
    lines = array("q")
    columns = 0
    for line, cells in read_rows(path):
        if columns == 0:
            columns = len(cells)
            if columns < 2:
                raise ValueError(
                    f"{path}, line {line}: expected at least two cells separated by commas, "
                    f"features and a label, but it is {cells[0]!r}."
                )
            if not any(map(_is_number, cells)):
                continue
        if len(cells) != columns:
            raise ValueError(
                f"{path}, line {line}: expected {columns} cells as in the rows before, "
                f"but it has {len(cells)}."
            )
        try:
            values.extend(map(float, cells))
        except ValueError:
            column = next(i for i, cell in enumerate(cells) if not _is_number(cell))
            _refuse(path, line, column, "a number", repr(cells[column]))
        lines.append(line)
    if not lines:
        raise ValueError(f"{path} must have at least one row of numbers, but it has none.")

    table = np.frombuffer(values).reshape(-1, columns)
    with np.errstate(over="ignore"):
        X = table[:, :-1].astype(np.float32)
    if not np.isfinite(X).all():
        row, column = np.argwhere(~np.isfinite(X))[0]
        _refuse(path, lines[row], column, "a finite float32 number", str(table[row, column]))
    y = table[:, -1]
    whole = (np.abs(y) <= LARGEST_LABEL) & (y == np.round(y))
    if not whole.all():
        row = int(np.argmin(whole))
        _refuse(path, lines[row], columns - 1, "a whole number, the label", str(y[row]))
    return X, y.astype(np.int64)


_READERS = {".npz": load_images, ".csv": load_table}


def _read_npz(path: PathOrName, alternatives: Sequence[tuple[str, ...]]) -> dict[str, NDArray[Any]]:
    """Return the arrays of the first names all of which are in the file."""
    expected = " and ".join(alternatives[0])
    check_path(path)
    try:
        with open(path, "rb") as file:
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array only, as np.save writes")
            for names in alternatives:
                if all(name in content for name in names):
                    return {name: _array(content, name) for name in names}
            missing = " and ".join(name for name in alternatives[0] if name not in content)
            found = ", ".join(content) or "none"
            given = ", ".join(f"{name}={name}" for name in alternatives[0])
            raise ValueError(
                f"{missing} missing among its arrays ({found}); np.savez({str(path)!r}, {given}) "
                "writes such a file"
            )
    except Exception as error:  # decoders of damaged files raise many types
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise
        raise ValueError(
            f"{path} must be an .npz file with the arrays {expected}: {error}."
        ) from None


def _array(content: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    try:
        return content[name]
    except ValueError as error:
        if not str(error).startswith("Object arrays"):
            raise
        raise ValueError(
            f"{name} holds Python objects, which are not read; np.array({name}.tolist()) makes "
            "numbers or texts of them"
        ) from None


def read_rows(
    path: PathOrName, separator: str = ",", encoding: str = "utf-8-sig"
) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of its line, counted from 1, and the cells of each row."""
    with open(check_path(path), newline="", encoding=encoding) as file:
        reader = csv.reader(file, delimiter=separator, skipinitialspace=True)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path}, after line {reader.line_num}: expected UTF-8 text in rows of cells "
                f"separated by {separator!r}, but reading failed: {error}."
            ) from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _refuse(path: PathOrName, line: int, column: int, expected: str, came: str) -> NoReturn:
    raise ValueError(
        f"{path}, line {line}, column {column + 1}: expected {expected}, but it is {came}."
    )

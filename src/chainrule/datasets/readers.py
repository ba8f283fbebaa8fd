"""Readers: the digits that come with chainrule, and files of labelled images or rows."""

import csv
import gzip
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from chainrule.datasets.npz import PathOrName, read_labelled
from chainrule.utils.arguments import flag
from chainrule.utils.files import check_path

Dataset = tuple[NDArray[np.float32], NDArray[np.int64]]

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
        ``y_train``, as in the ``mnist.npz`` of Keras, or ``X`` and ``y``. Other arrays are ignored,
        and nothing is unpickled.
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
    images, labels = read_labelled(path)
    if images.array.dtype != np.uint8 and images.array.dtype.kind != "f":
        raise images.wrong_dtype("uint8 or floating")
    if labels.array.dtype.kind not in "biu" or not np.can_cast(labels.array.dtype, np.int64):
        raise labels.wrong_dtype("integers that fit into int64")
    pixels = images.array
    if flatten:
        pixels = pixels.reshape(len(pixels), -1)
    elif pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    images.check_finite(np.dtype(np.float32))
    X = pixels.astype(np.float32, order="C")
    if pixels.dtype == np.uint8:
        X /= 255
    return X, labels.array.astype(np.int64)


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
    table, lines = _read_numbers(path)
    X = _finite(path, table[:, :-1], lines)
    y = table[:, -1]
    whole = (np.abs(y) <= LARGEST_LABEL) & (y == np.round(y))
    if not whole.all():
        row = int(np.argmin(whole))
        _refuse(path, lines[row], X.shape[1], "a whole number, the label", str(y[row]))
    return X, y.astype(np.int64)


def load_rows(path: PathOrName, features: int) -> NDArray[np.float32]:
    """Read a table as :func:`load_table` does, whose labels are ignored, or are not there.

    Raises
    ------
    ValueError
        Also if there are neither ``features`` columns nor one more.
    """
    table, lines = _read_numbers(path)
    columns = table.shape[1]
    if columns not in (features, features + 1):
        raise ValueError(
            f"{path} must have {features} columns, or one more with labels, but it has {columns}."
        )
    return _finite(path, table[:, :features], lines)


def _read_numbers(path: PathOrName) -> tuple[NDArray[np.float64], Sequence[int]]:
    """Return the cells of a table without its header, and the number of each row's line."""
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
    return np.frombuffer(values).reshape(-1, columns), lines


def _finite(
    path: PathOrName, numbers: NDArray[np.float64], lines: Sequence[int]
) -> NDArray[np.float32]:
    """Return numbers as float32; ValueError if one is not finite there."""
    with np.errstate(over="ignore"):
        X = numbers.astype(np.float32)
    if not np.isfinite(X).all():
        row, column = np.argwhere(~np.isfinite(X))[0]
        _refuse(path, lines[row], column, "a finite float32 number", str(numbers[row, column]))
    return X


_READERS = {".npz": load_images, ".csv": load_table}


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

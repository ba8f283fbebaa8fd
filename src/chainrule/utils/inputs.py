"""The arrays of a network with several inputs, which most code handles like one array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from chainrule.utils.arguments import shortened
from chainrule.utils.arrays import batch_array
from chainrule.utils.columns import column_names, different_shapes
from chainrule.utils.wording import plural


@dataclass(frozen=True, eq=False)
class ArrayTuple:
    """Arrays with the same number of rows, one for each input.

    Its ``shape`` is the number of rows, followed by the shape of a row of each array. So what is
    behind the number of rows describes a row, as it does for one array.

    Examples
    --------
    >>> batch = ArrayTuple((np.zeros((5, 8, 8)), np.zeros((5, 3))))
    >>> batch.shape, len(batch), batch[:2].shape
    ((5, (8, 8), (3,)), 5, (2, (8, 8), (3,)))
    """

    arrays: tuple[NDArray[Any], ...]

    @cached_property
    def shape(self) -> tuple[Any, ...]:
        """The number of rows, and the shapes of a row of each array."""
        return len(self), *(array.shape[1:] for array in self.arrays)

    @property
    def size(self) -> int:
        """How many numbers there are in all arrays."""
        return sum(array.size for array in self.arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, rows: Any) -> ArrayTuple:
        return ArrayTuple(tuple(array[rows] for array in self.arrays))

    def view(self) -> ArrayTuple:
        """Return views of all arrays."""
        return ArrayTuple(tuple(array.view() for array in self.arrays))

    def copy(self) -> ArrayTuple:
        """Return copies of all arrays."""
        return ArrayTuple(tuple(array.copy() for array in self.arrays))

    def astype(self, dtype: DTypeLike, order: Literal["K", "C"] = "K") -> ArrayTuple:
        """Return copies of all arrays in another dtype."""
        return ArrayTuple(tuple(array.astype(dtype, order=order) for array in self.arrays))


Batch = NDArray[Any] | ArrayTuple


def shape_of(value: Any) -> tuple[Any, ...] | None:
    """Return the shape of an array, or that of an :class:`ArrayTuple`; None for anything else.

    The arrays of a tuple may have different numbers of rows: this finds what is prepared for a
    shape, which looks at each of them.
    """
    if type(value) is np.ndarray:
        shape: tuple[int, ...] = value.shape
        return shape
    if type(value) not in (tuple, list) or not value:
        return None
    of_rows = []
    for array in value:
        if type(array) is not np.ndarray:
            return None
        of_rows.append(array.shape[1:])
    return *value[0].shape[:1], *of_rows


def shapes_of(shape: tuple[Any, ...]) -> list[tuple[int, ...]]:
    """Return the shape of each array of a batch of this shape.

    >>> shapes_of((5, 3)), shapes_of((5, (8, 8), (3,)))
    ([(5, 3)], [(5, 8, 8), (5, 3)])
    """
    if len(shape) == 1 or not isinstance(shape[1], tuple):
        return [shape]
    return [(shape[0], *of_row) for of_row in shape[1:]]


def arrays_of(batch: Batch) -> tuple[NDArray[Any], ...]:
    """Return the array of each input."""
    return batch.arrays if isinstance(batch, ArrayTuple) else (batch,)


def one_or_tuple(values: Sequence[Any]) -> Any:
    """Return the only value of an input or output, or a tuple of those of several, as users do."""
    return values[0] if len(values) == 1 else tuple(values)


def input_names(name: str, inputs: int) -> list[str]:
    """Return what messages call each input.

    >>> input_names("X", 1), input_names("X", 2)
    (['X'], ['X[0]', 'X[1]'])
    """
    return [name] if inputs == 1 else [f"{name}[{i}]" for i in range(inputs)]


def input_batch(value: Any, name: str, dtype: np.dtype, inputs: int) -> Batch:
    """Return a batch for a network with so many inputs, validated for the gather.

    Raises
    ------
    ValueError, TypeError
        If it is no tuple or list of as many arrays, with the same number of rows, as the network
        has several inputs; or a tuple of arrays, though it has one; and those of
        :func:`batch_array`.
    """
    if inputs == 1:
        check_one_array(value, name)
        return batch_array(value, name, dtype)
    if isinstance(value, ArrayTuple):
        value = value.arrays
    given = parts_of(value, name, inputs)
    called = input_names(name, inputs)
    arrays = [batch_array(array, own, dtype) for array, own in zip(given, called, strict=True)]
    for array, own in zip(arrays, called, strict=True):
        if len(array) != len(arrays[0]):
            raise ValueError(
                f"{name} must have arrays with the same number of rows, but {called[0]} has "
                f"{plural(len(arrays[0]), 'row')} and {own} has {len(array)}."
            )
    return ArrayTuple(tuple(arrays))


def parts_of(value: Any, name: str, inputs: int) -> tuple[Any, ...]:
    """Return what is given for each of several inputs; ValueError unless it is a tuple of them."""
    if isinstance(value, tuple | list) and len(value) == inputs:
        return tuple(value)
    shape, hint = getattr(value, "shape", None), ""
    if isinstance(value, tuple | list | Mapping):
        came = f"a {type(value).__name__} of {len(value)}"
        if isinstance(value, Mapping):
            hint = " Give its arrays as a tuple, in the order of the inputs."
    else:
        came = f"an array of shape {shape}" if shape is not None else shortened(value)
    raise ValueError(
        f"{name} must be a tuple of {inputs} arrays, one for each input of the network, but it is "
        f"{came}.{hint}"
    )


def given_parts(value: Any, inputs: int) -> list[Any]:
    """Return what is given for each input, once it is checked that there is one for each."""
    if inputs == 1:
        return [value]
    return list(value.arrays if isinstance(value, ArrayTuple) else value)


def names_of_columns(value: Any, inputs: int) -> list[list[Any]]:
    """Return the names of the columns of what is given for each input; none of what is no table."""
    return list(map(column_names, given_parts(value, inputs)))


def check_one_array(value: Any, name: str) -> None:
    """Raise ValueError if it is several arrays: the network has one input."""
    if came := kind_of_several(value):
        different = f" {different_shapes(value)}" if isinstance(value, list) else ""
        raise ValueError(
            f"{name} must be one array, as the network has one input, but it is {came}; cr.Inputs "
            f"makes a network with several.{different}"
        )


def kind_of_several(value: Any) -> str:
    """Return what messages call a value that is several arrays; nothing if it is one.

    A list of arrays of one shape is one array, as in NumPy: a list of images is a batch. So is a
    tuple of numbers, or of rows.

    >>> kind_of_several((np.ones((2, 3)), np.ones((2, 3))))
    'a tuple of 2 arrays'
    """
    if not isinstance(value, tuple | list) or len(value) < 2:
        return ""
    if not all(getattr(part, "ndim", 0) > 1 for part in value):
        return ""
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} arrays"
    different = len({tuple(part.shape) for part in value}) > 1
    return f"a list of {len(value)} arrays of different shapes" if different else ""


def parts_like(value: ArrayLike, name: str, shape: tuple[Any, ...]) -> list[tuple[Any, str, Any]]:
    """Return what is given like a batch of this ``shape``: each part, its name and its shape."""
    shapes = shapes_of(shape)
    if len(shapes) == 1:
        return [(value, name, shape)]
    if isinstance(value, ArrayTuple):
        value = value.arrays
    given, called = parts_of(value, name, len(shapes)), input_names(name, len(shapes))
    return list(zip(given, called, shapes, strict=True))

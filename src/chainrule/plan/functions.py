"""What a plan says of a user's own functions: which arrays each takes, in which order."""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple


class Address(IntEnum):
    """Where an array begins: the addresses in the order in which ``kernels.foreign.call`` has them.

    A loss has its output as x, its rows' losses as y, its target as saved and its label as dy.
    """

    X = 0
    Y = 1
    SAVED = 2
    DY = 3
    DX = 4
    PARAMETERS = 5
    GRADIENTS = 6


class Kind(NamedTuple):
    """What compiled code must know of an array, besides its lengths."""

    address: Address
    ndim: int
    by_row: bool  # whether its first axis are the rows of the batch
    cleared: bool  # whether the function finds zeros in it
    is_label: bool  # int64


class Argument(NamedTuple):
    """An array that a user's function takes; its shape leaves out the batch."""

    address: Address
    shape: tuple[int, ...]
    by_row: bool = True
    start: int = 0  # in elements after the address
    cleared: bool = False
    is_label: bool = False

    @property
    def kind(self) -> Kind:
        """What it has in common with those that the same compiled code serves."""
        ndim = len(self.shape) + self.by_row
        return Kind(self.address, ndim, self.by_row, self.cleared, self.is_label)


class Function(NamedTuple):
    """A user's function as a plan holds it.

    Attributes
    ----------
    function : it takes arrays, and writes into some of them.
    arguments : which arrays, in its own order.
    label : how messages call it.
    can_compile : whether Numba may compile it; else it is called in Python, by one thread.
    """

    function: Callable[..., object]
    arguments: tuple[Argument, ...]
    label: str
    can_compile: bool

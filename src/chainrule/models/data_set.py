"""DataSet: X, y and the weights of the rows, validated, in the form that the engine reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.engine.records import Data, DataOfInputs, make_data
from chainrule.losses import Loss, Targets
from chainrule.models.sequential import Sequential
from chainrule.utils import arrays
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import Batch, arrays_of, one_or_tuple


@dataclass(frozen=True)
class DataSet:
    """Rows to compute a loss on: a whole training set, validation data or a batch.

    Labels and weights are copies. X and targets, which may be large, are usually not copied: if the
    caller changes their elements meanwhile, the new values are read.

    Attributes
    ----------
    inputs : array, or ArrayTuple for several inputs
        Usually a view of the given X, so that the caller may change that array's shape.
    targets : Targets
    weights : array of shape (n,), or None
    dtype : of the network.
    """

    inputs: Batch
    targets: Targets
    weights: FloatArray | None
    dtype: np.dtype

    @property
    def X(self) -> Any:  # noqa: N802 - it is what users call X
        """The array of the only input, or a tuple of those of several, as users give it."""
        return one_or_tuple(arrays_of(self.inputs))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.inputs)

    @property
    def size(self) -> int:
        """How many numbers there are in X and y."""
        return self.inputs.size + sum(values.size for values in self.targets.values)

    def copy(self) -> DataSet:
        """Return a copy that does not change when the memory of the arrays is reused."""
        values = tuple(_read_only_copy(values) for values in self.targets.values)
        weights = None if self.weights is None else _read_only_copy(self.weights)
        return DataSet(self.inputs.copy(), Targets(values), weights, self.dtype)

    def rows_at(self, rows: NDArray[np.int64]) -> DataSet:
        """Return a copy of some rows."""
        values = tuple(_read_only_copy(values[rows]) for values in self.targets.values)
        weights = None if self.weights is None else _read_only_copy(self.weights[rows])
        return DataSet(self.inputs[rows], Targets(values), weights, self.dtype)

    @classmethod
    def checked(
        cls,
        net: Sequential,
        loss: Loss,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None,
        names: tuple[str, str] = ("X", "y"),
        weights_name: str = "sample_weight",
    ) -> DataSet:
        """Return validated data; error messages call X, y and the weights by these names."""
        x = net.check_input(X, names[0])
        rows = x.shape[0]
        shapes = [(rows, *shape) for shape in net.output_shapes(x.shape[1:])]
        targets = loss.check_targets(y, shapes, net.dtype, names[1])
        weights = arrays.weight_array(sample_weight, rows, net.dtype, weights_name)
        return cls(x.view(), targets, weights, net.dtype)

    def check_some_weight(self, name: str) -> None:
        """Raise ValueError if all weights are 0: no row would have an effect."""
        if self.weights is not None and not self.weights.any():
            raise ValueError(f"{name} must not be 0 everywhere, in {self.weights.dtype}.")

    def check_weights_not_negative(self, name: str, where: str = "") -> None:
        """Raise ValueError if a weight is negative: an accuracy, or a root, has no such weights."""
        if self.weights is not None and (self.weights < 0).any():
            row = int(np.argmax(self.weights < 0))
            raise ValueError(
                f"{name} must not be negative{where}, but {name}[{row}] is {self.weights[row]}."
            )

    @cached_property
    def record(self) -> Data | DataOfInputs:
        """The record from which a machine gathers batches."""
        given = self.targets.arguments()
        return make_data(self.dtype, self.inputs, weights=self.weights, **given)


def _read_only_copy(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy that is read-only, as users' functions may see it."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy

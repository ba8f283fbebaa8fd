"""X, y and the weights of its rows: checked, in the form that the engine takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike, NDArray

from chainrule import arrays
from chainrule.arrays import FloatArray
from chainrule.losses import Loss
from chainrule.network import Sequential


@dataclass(frozen=True)
class Batch:
    """Rows to compute a loss on.

    Attributes
    ----------
    inputs : array
        X as it came, mostly.
    target : array
        A row for each of X, or a label.
    weights : array of shape (n,), or None
    """

    inputs: NDArray[Any]
    target: NDArray[Any]
    weights: FloatArray | None

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.inputs)

    @classmethod
    def checked(
        cls,
        net: Sequential,
        loss: Loss,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        names: tuple[str, str] = ("X", "y"),
    ) -> Batch:
        """Return the batch, or raise an error that calls X and y by ``names``."""
        x = net.check_input(X, names[0])
        rows = x.shape[0]
        output_shape = net.output_shape(x.shape[1:])
        target = loss.check_target(y, (rows, *output_shape), net.dtype, names[1])
        weights = arrays.weight_array(sample_weight, rows, net.dtype)
        return cls(x, target, weights)

    def arguments(self) -> dict[str, Any]:
        """Return what the machine reads batches from."""
        name = "labels" if self.target.ndim == 1 else "targets"
        return {"inputs": self.inputs, name: self.target, "weights": self.weights}

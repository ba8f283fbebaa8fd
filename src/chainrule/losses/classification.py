"""Losses for classes: cross-entropy of one label a row, or of yes and no in each entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.losses.loss import OutputLoss, Targets, check_all
from chainrule.operations.operation import Numbers, Shape
from chainrule.utils import arguments, arrays
from chainrule.utils.arrays import FloatArray
from chainrule.utils.columns import ones_and_zeros
from chainrule.utils.wording import in_code

__all__ = ["BCEWithLogitsLoss", "CrossEntropyLoss"]


def _number_or_several(value: Any, name: str, dtype: np.dtype | None = None) -> Any:
    """Check one number of more than 0, or a list of them."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return arguments.several(arguments.above_zero)(value, name, dtype)
    return arguments.above_zero(value, name, dtype)


@dataclass(frozen=True, repr=False)
class BCEWithLogitsLoss(OutputLoss):
    """Binary cross-entropy of ``sigmoid(output)``, computed from the logits without overflow.

    Shapes: output ``(n, *)``, y the same, with values between 0 and 1; or output
    ``(n, *, 1)``, y ``(n, *)``.

    Parameters
    ----------
    pos_weight : float or sequence of float, optional
        How much positive targets count, more than 0: one number, or one for each element of the
        output's last axis. The mean is over all entries, whatever they count.

    Raises
    ------
    ValueError, TypeError
        If pos_weight is no such number; later, if the output has not as many columns.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.BCEWithLogitsLoss()([[0.0], [0.0]], [0, 1])
    >>> round(value, 4), d_output.tolist()
    (0.6931, [[0.25], [-0.25]])
    """

    takes_logits = True
    number_checks: ClassVar = {"pos_weight": arguments.optional(_number_or_several)}
    pos_weight: float | Sequence[float] | None = None

    @property
    def operation(self) -> str:  # type: ignore[override]
        """The operation's name, which depends on whether there are weights."""
        return "bce_with_logits" if self.pos_weight is None else "weighted_bce_with_logits"

    def numbers(self, output_shape: Shape) -> Numbers:
        if self.pos_weight is None:
            return {}
        columns = output_shape[-1] if output_shape else 1
        given = self.pos_weight if isinstance(self.pos_weight, tuple) else (self.pos_weight,)
        if len(given) not in (1, columns):
            raise ValueError(
                f"BCEWithLogitsLoss's pos_weight has {len(given)} numbers, but the output's last "
                f"axis has {columns} elements."
            )
        size = prod(output_shape)
        return {"pos_weight": tuple(map(float, given)) * (size // len(given))}

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        target = super().check_target(y, output_shape, dtype, name)
        right = (target >= 0) & (target <= 1)
        if not right.all():
            expected = f"{name} must lie between 0 and 1 for BCEWithLogitsLoss"
            check_all(right, target, expected, ones_and_zeros(target, in_code(name)))
        return target

    def accuracy(
        self,
        outputs: Sequence[FloatArray],
        targets: Targets,
        sample_weight: FloatArray | None = None,
    ) -> float | None:
        return _weighted_fraction((outputs[0] > 0) == (targets.values[0] > 0.5), sample_weight)


@dataclass(frozen=True, repr=False)
class CrossEntropyLoss(OutputLoss):
    """Cross-entropy of ``softmax(output)`` with class labels, fused into one pass.

    Shapes: output ``(n, classes)``, y ``(n,)`` of integers from 0 to classes - 1,
    or booleans.

    Parameters
    ----------
    label_smoothing : float
        The fraction of the target distribution that is spread evenly over all classes; 0 to 1.
    weight : sequence of float, optional
        How much each class counts: not negative, and not 0 with label smoothing. A row counts by
        its sample weight times that of its class, in the sum and in what the sum is divided by; in
        what label smoothing spreads, each class counts by its own. So it is in PyTorch.

    Raises
    ------
    ValueError, TypeError
        If label_smoothing or weight is no such number; later, if the output has not as many
        classes as there are weights.

    References
    ----------
    Szegedy et al., *Rethinking the Inception Architecture for Computer Vision*, CVPR 2016 (label
    smoothing).

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.CrossEntropyLoss()([[0.0, 0.0]], [1])
    >>> round(value, 4), d_output.tolist()
    (0.6931, [[0.5, -0.5]])
    """

    takes_labels = takes_logits = True
    number_checks: ClassVar = {
        "label_smoothing": arguments.fraction,
        "weight": arguments.optional(arguments.several(arguments.at_least_zero)),
    }
    label_smoothing: float = 0.0
    weight: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight is not None and not any(self.weight):
            raise ValueError("CrossEntropyLoss's weight must not be 0 for all classes.")
        if self.label_smoothing > 0 and self.weight is not None and 0 in self.weight:
            raise ValueError(
                "CrossEntropyLoss's weight must be more than 0 with label_smoothing, not "
                f"{self.weight}."
            )

    @property
    def operation(self) -> str:  # type: ignore[override]
        """The operation's name, which depends on whether there are weights."""
        return "cross_entropy" if self.weight is None else "weighted_cross_entropy"

    def numbers(self, output_shape: Shape) -> Numbers:
        smoothing = {"label_smoothing": float(self.label_smoothing)}
        if self.weight is None:
            return smoothing
        if output_shape != (len(self.weight),):
            raise ValueError(
                f"CrossEntropyLoss's weight has {len(self.weight)} numbers, but the output has "
                f"{prod(output_shape)} classes."
            )
        return {"class_weight": tuple(map(float, self.weight)), **smoothing}

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        if len(output_shape) != 2:
            hint = ""
            if getattr(y, "shape", ()) == output_shape[:-1] and len(output_shape) > 2:
                hint = (
                    " For a label at each place, BCEWithLogitsLoss takes the output's shape, as "
                    f"numpy.eye({output_shape[-1]})[{in_code(name)}] has it."
                )
            elif len(output_shape) > 2:
                hint = " Flatten() or GlobalAvgPool() in the network leaves one axis."
            raise ValueError(
                f"CrossEntropyLoss takes an output of shape (n, classes), not {output_shape}.{hint}"
            )
        return arrays.label_array(y, output_shape[0], output_shape[1], name)

    def accuracy(
        self,
        outputs: Sequence[FloatArray],
        targets: Targets,
        sample_weight: FloatArray | None = None,
    ) -> float | None:
        return _weighted_fraction(np.argmax(outputs[0], axis=1) == targets.values[0], sample_weight)


def _weighted_fraction(right: NDArray[np.bool_], weights: FloatArray | None) -> float:
    """Return the weighted fraction of entries that are true."""
    if weights is None:
        return float(np.mean(right))
    return float(np.average(right.reshape(len(right), -1).mean(axis=1), weights=weights))

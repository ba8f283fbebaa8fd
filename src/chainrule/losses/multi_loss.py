"""Several losses as one: for networks with several outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.losses.loss import Loss, OutputLoss, Targets
from chainrule.plan import Head, Tensor
from chainrule.utils import arguments
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import input_names
from chainrule.utils.wording import plural


@dataclass(frozen=True, init=False)
class MultiLoss(Loss):
    """The weighted sum of losses, one for each output of a network that ends in a :class:`Branch`.

    ``L = sum(weight * loss)``. Calling it takes tuples of outputs and of targets, and gives a float
    and a tuple of gradients.

    Parameters
    ----------
    *losses : Loss
        One for each output.
    weights : sequence of float, optional
        One for each loss, 0 or more; 1 by default.

    Raises
    ------
    ValueError
        Without losses, if there are not as many weights, or one is negative.
    TypeError
        If one is no loss, or a weight no number.

    Notes
    -----
    Each loss is a mean of its own: one with class weights is divided by their sum over the batch.
    So the loss of all rows is no mean of those of batches; validation and derivatives take all rows
    at once.

    References
    ----------
    Caruana, *Multitask Learning*, Machine Learning 28, 1997.

    Examples
    --------
    >>> import chainrule as cr
    >>> loss = cr.MultiLoss(cr.CrossEntropyLoss(), cr.MSELoss(), weights=(1.0, 0.5))
    >>> value, (d_classes, d_value) = loss(([[0.0, 0.0]], [[3.0]]), ([1], [1.0]))
    >>> round(value, 4), d_classes.tolist(), d_value.tolist()
    (2.6931, [[0.5, -0.5]], [[2.0]])
    """

    losses: tuple[OutputLoss, ...]
    weights: tuple[float, ...]

    def __init__(self, *losses: OutputLoss, weights: Sequence[float] | None = None) -> None:
        if not losses:
            raise ValueError("MultiLoss needs at least one loss.")
        for position, loss in enumerate(losses):
            if not isinstance(loss, OutputLoss):
                raise TypeError(
                    f"Loss {position} of MultiLoss must be a loss such as cr.MSELoss(), not "
                    f"{loss!r}."
                )
        if weights is not None and not isinstance(weights, Sequence | np.ndarray):
            raise TypeError(f"MultiLoss's weights must be numbers in a list, not {weights!r}.")
        given = [1.0] * len(losses) if weights is None else list(weights)
        if len(given) != len(losses):
            raise ValueError(
                f"MultiLoss's weights must be {plural(len(losses), 'number')}, one for each loss, "
                f"not {len(given)}."
            )
        checked = [
            arguments.at_least_zero(weight, f"MultiLoss's weights[{position}]")
            for position, weight in enumerate(given)
        ]
        if not any(checked):
            raise ValueError("MultiLoss's weights must not be 0 for all losses.")
        object.__setattr__(self, "losses", losses)
        object.__setattr__(self, "weights", tuple(checked))

    @property
    def is_one_mean(self) -> bool:
        return len(self.losses) == 1 or not any(loss.weighs_rows for loss in self.losses)

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        for position, weight in enumerate(self.weights):
            arguments.at_least_zero(weight, f"MultiLoss's weights[{position}]", dtype)
        for loss in self.losses:
            loss.check_numbers(dtype)

    def __repr__(self) -> str:
        return f"MultiLoss({', '.join(map(repr, self.losses))}, weights={self.weights})"

    def heads(self, outputs: Sequence[Tensor]) -> list[Head]:
        self._check_number(len(outputs), "the network has")
        return [
            loss.head(output, weight)
            for output, loss, weight in zip(outputs, self.losses, self.weights, strict=True)
        ]

    def check_targets(
        self, y: Any, output_shapes: Sequence[tuple[int, ...]], dtype: np.dtype, name: str = "y"
    ) -> Targets:
        self._check_number(len(output_shapes), "the network has")
        of_heads, names = self._each(y, name), input_names(name, len(self.losses))
        heads = zip(self.losses, of_heads, output_shapes, names, strict=True)
        values = (
            loss.check_target(own, shape, dtype, called) for loss, own, shape, called in heads
        )
        return Targets(tuple(values))

    def accuracy(
        self,
        outputs: Sequence[FloatArray],
        targets: Targets,
        sample_weight: FloatArray | None = None,
    ) -> float | None:
        """Return the accuracy of the only classification; None if there is none, or several."""
        all_heads = zip(self.losses, outputs, targets.values, strict=True)
        accuracies = [
            loss.accuracy([output], Targets((y,)), sample_weight) for loss, output, y in all_heads
        ]
        known = [accuracy for accuracy in accuracies if accuracy is not None]
        return known[0] if len(known) == 1 else None

    def __call__(
        self, output: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[float, tuple[FloatArray, ...]]:
        """Return the loss and its gradients by the outputs.

        Parameters
        ----------
        output, y : tuples
            Of an output and targets for each loss.
        sample_weight : array of shape (n,), optional
            One weight a row; the same for all losses.

        Returns
        -------
        value : float
        d_output : tuple of arrays

        Raises
        ------
        ValueError, TypeError
            If there are not as many outputs or targets as losses; else those of the losses.
        """
        all_heads = zip(self.losses, self._each(output, "output"), self._each(y, "y"), strict=True)
        parts = [loss(out, of_head, sample_weight) for loss, out, of_head in all_heads]
        value = sum(w * part for w, (part, _) in zip(self.weights, parts, strict=True))
        gradients = (d * d.dtype.type(w) for w, (_, d) in zip(self.weights, parts, strict=True))
        return float(value), tuple(gradients)

    def _each(self, values: Any, name: str) -> Sequence[Any]:
        if not isinstance(values, tuple | list):
            raise TypeError(
                f"{name} must be a tuple, one for each loss, not a {type(values).__name__}."
            )
        self._check_number(len(values), f"{name} has")
        return values

    def _check_number(self, number: int, who: str) -> None:
        if number != len(self.losses):
            kind = "output" if who == "the network has" else "element"
            raise ValueError(
                f"MultiLoss has {plural(len(self.losses), 'loss')}, but {who} "
                f"{plural(number, kind)}."
            )

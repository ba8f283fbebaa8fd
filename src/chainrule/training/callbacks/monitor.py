"""Monitor: one metric of a training, and whether smaller or larger values are better."""

from __future__ import annotations

import re
from math import inf, isfinite, nan
from typing import Any

from chainrule.training.callbacks.callback import Training
from chainrule.utils.arguments import at_least_zero, shortened

MODES = ("min", "max")

# Names of metrics that are better if smaller or larger; abbreviations must end a word.
SMALLER = re.compile(
    r"loss|error|deviance|perplexity|cross_?entropy|divergence|brier|"
    r"(mae|mse|mape|nll|bce)(?![a-z0-9])"
)
LARGER = re.compile(
    r"accuracy|score|precision|recall|likelihood|auc(?![a-z0-9])|"
    r"(?<![a-z])(acc|r2|f1|iou|dice|kappa|mcc)(?![a-z0-9])"
)
NEGATED = re.compile(r"(?<![a-z])neg(ative)?(?![a-z])")


def mode_of(name: str) -> str | None:
    """Return "min" or "max", whichever is better for a metric of this name; None if unknown.

    >>> mode_of("validation_rmse"), mode_of("validation_f1"), mode_of("validation_weight")
    ('min', 'max', None)
    """
    smaller, larger, negated = (
        pattern.search(name.lower()) is not None for pattern in (SMALLER, LARGER, NEGATED)
    )
    if smaller == larger or negated:
        return None
    return "min" if smaller else "max"


class Monitor:
    """A metric to monitor, by its name in the training's metrics.

    Parameters
    ----------
    name : str
    mode : "min", "max" or None
        None: deduced from the name, see :func:`mode_of`.
    min_delta : float
        Smaller improvements do not count.

    Raises
    ------
    ValueError
        If there is no mode, and it cannot be deduced from the name.
    """

    def __init__(self, name: Any, mode: Any = None, min_delta: Any = 0.0) -> None:
        if not isinstance(name, str):
            raise TypeError(f"monitor must be the name of a metric, not {shortened(name)}.")
        if mode not in (None, *MODES):
            raise ValueError(f"mode must be 'min', 'max' or None, not {mode!r}.")
        self.name, self.mode = name, mode or mode_of(name)
        if self.mode is None:
            raise ValueError(
                f"monitor is {name!r}, a name that does not say whether smaller or larger values "
                'are better: give mode="min" or mode="max".'
            )
        self.min_delta = at_least_zero(min_delta, "min_delta")

    @property
    def worst(self) -> float:
        """The infinite value that every other value improves."""
        return inf if self.mode == "min" else -inf

    def check(self, training: Training) -> None:
        """Raise ValueError if this training has no such metric."""
        if self.name not in training.metric_names:
            known = ", ".join(repr(name) for name in training.metric_names)
            hint = ""
            if "validation_loss" not in training.metric_names:
                hint = " Validation metrics need validation=(X, y), or validation_split=0.2."
            raise ValueError(f"monitor is {self.name!r}, but this training has only {known}.{hint}")

    def value(self, training: Training) -> float:
        """Return the metric after the latest epoch; NaN before the first."""
        return training.history.latest().get(self.name, nan)

    def improves(self, value: float, best: float, threshold: float = 0.0) -> bool:
        """Return whether ``value`` is better than ``best``; NaN never is.

        Improvements up to ``threshold``, a fraction of the best value, do not count.
        """
        margin = self.min_delta
        if isfinite(best):
            margin += threshold * abs(best)
        return value < best - margin if self.mode == "min" else value > best + margin

"""Monitor: one figure of a training, and what is better for it."""

from __future__ import annotations

from math import inf, nan
from typing import Any

from chainrule.arguments import at_least_zero
from chainrule.callbacks.callback import Training

MODES = ("min", "max")


class Monitor:
    """A figure to watch, by its name in the training's figures.

    Parameters
    ----------
    name : str
    mode : "min", "max" or None
        None: losses, and what has "error" in its name, are better when they are smaller, all else
        when it is larger.
    min_delta : float
        What is better by no more than this does not count.
    """

    def __init__(self, name: Any, mode: Any = None, min_delta: Any = 0.0) -> None:
        if not isinstance(name, str):
            raise TypeError(f"monitor must be the name of a figure, not {name!r}.")
        if mode not in (None, *MODES):
            raise ValueError(f"mode must be 'min', 'max' or None, not {mode!r}.")
        smaller = "loss" in name or "error" in name
        self.name, self.mode = name, mode or ("min" if smaller else "max")
        self.min_delta = at_least_zero(min_delta, "min_delta")

    @property
    def worst(self) -> float:
        """What everything is better than."""
        return inf if self.mode == "min" else -inf

    def check(self, training: Training) -> None:
        """Raise ValueError if this training has no such figure."""
        if self.name not in training.figure_names:
            known = ", ".join(repr(name) for name in training.figure_names)
            hint = ""
            if "validation_loss" not in training.figure_names:
                hint = " Figures of the validation need fit(..., validation=(X, y))."
            raise ValueError(f"monitor is {self.name!r}, but this training has only {known}.{hint}")

    def value(self, training: Training) -> float:
        """Return the figure after the latest epoch; NaN before the first."""
        return training.history.latest().get(self.name, nan)

    def improves(self, value: float, best: float) -> bool:
        """Return whether ``value`` is better than ``best``; NaN never is."""
        if self.mode == "min":
            return value < best - self.min_delta
        return value > best + self.min_delta

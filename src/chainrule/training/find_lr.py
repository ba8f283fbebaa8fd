"""find_lr: an initial learning rate, from a short training with an increasing rate."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.losses import Loss
from chainrule.models.sequential import Sequential, check_network
from chainrule.optimizers import Adam, Optimizer
from chainrule.training.callbacks import Callback, Training
from chainrule.training.errors import NonFiniteError
from chainrule.training.fit import fit
from chainrule.training.schedules import Schedule
from chainrule.utils.arguments import above_zero, integer
from chainrule.utils.plotting import make_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT = 0.9  # the decay of the running mean that smooths the losses
DIVERGED = 3.0  # increase over the lowest smoothed loss, in multiples of its magnitude


@dataclass(frozen=True)
class LearningRates:
    """The result of :func:`find_lr`.

    Attributes
    ----------
    rates, losses : arrays of shape (steps,)
        Each step's learning rate, and the running mean of the losses until then.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]

    @property
    def suggestion(self) -> float:
        """A tenth of the rate at which the smoothed loss was lowest, or the first if that is more.

        Raises
        ------
        ValueError
            If the loss never decreased: it was lowest at the first rate.
        """
        if not self._fell:
            raise ValueError(
                f"find_lr has no rate to suggest: over {len(self.rates)} rates from "
                f"{self.rates[0]:.2g} to {self.rates[-1]:.2g} the loss never fell. See plot(), and "
                "use a lower first rate if it rose at once."
            )
        return max(float(self.rates[np.argmin(self.losses)]) / 10, float(self.rates[0]))

    @property
    def _fell(self) -> bool:
        return bool(np.argmin(self.losses) > 0)

    def __repr__(self) -> str:
        suggestion = f"suggestion={self.suggestion:.2g}" if self._fell else "no suggestion"
        return (
            f"LearningRates({suggestion}, {len(self.rates)} rates from "
            f"{self.rates[0]:.2g} to {self.rates[-1]:.2g})"
        )

    def plot(self) -> Figure:
        """Draw the losses over the rates; ImportError without matplotlib."""
        figure, (ax,) = make_figure(1, 1, width=6.4, height=4.8)
        ax.set(xlabel="learning rate", ylabel="smoothed loss", xscale="log")
        ax.plot(self.rates, self.losses)
        if self._fell:
            ax.axvline(self.suggestion, color="gray", linestyle="--", label="suggestion")
            ax.legend()
        return figure


@dataclass(frozen=True)
class _Exponential(Schedule):
    first: float
    last: float
    steps: int

    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        rates: NDArray[np.float64] = self.first * (self.last / self.first) ** (
            steps / max(self.steps - 1, 1)
        )
        return rates


class _UntilDivergence(Callback):
    every = 1

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.losses: list[float] = []
        self._mean = 0.0

    def on_steps(self, training: Training) -> None:
        self._mean = KEPT * self._mean + (1 - KEPT) * training.history.batch_loss[-1]
        self.losses.append(self._mean / (1 - KEPT**training.step))
        lowest = min(self.losses)
        diverged = self.losses[-1] > lowest + DIVERGED * abs(lowest)
        if diverged or training.step == self.steps:
            training.stop()


def find_lr(
    net: Sequential,
    X: ArrayLike,
    y: Any,
    *,
    loss: Loss,
    optimizer: Optimizer | None = None,
    first: float = 1e-6,
    last: float = 1.0,
    steps: int = 100,
    batch_size: int | None = None,
    seed: int = 0,
) -> LearningRates:
    """Train a copy of ``net`` with an exponentially increasing learning rate.

    It ends early when the loss has risen by three times the magnitude of its lowest value. Network
    and optimizer are not changed.

    Parameters
    ----------
    net, X, y, loss, batch_size, seed
        As in :func:`fit`.
    optimizer : Optimizer, optional
        ``Adam()`` by default; its learning rate is not used.
    first, last : float
        The lowest and the highest rate, more than 0, the first one less than the last one.
    steps : int
        At least 2.

    Returns
    -------
    LearningRates

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.
    NonFiniteError
        If the first step is not finite.

    References
    ----------
    Smith, *Cyclical Learning Rates for Training Neural Networks*, WACV 2017.

    Examples
    --------
    >>> import chainrule as cr
    >>> X, y = cr.datasets.load_digits()
    >>> net = cr.Sequential(cr.Linear(64, 32), cr.ReLU(), cr.Linear(32, 10), seed=0)
    >>> found = cr.find_lr(net, X, y, loss=cr.CrossEntropyLoss())
    >>> 1e-4 < found.suggestion < 0.1
    True
    """
    steps = integer(steps, "steps", least=2)
    check_network(net)
    first, last = above_zero(first, "first", net.dtype), above_zero(last, "last", net.dtype)
    schedule = _Exponential(first, last, steps)
    if schedule.first >= schedule.last:
        raise ValueError(f"first must be less than last, {last}, not {first}.")
    optimizer = Adam() if optimizer is None else optimizer
    watched = _UntilDivergence(steps)
    lr = getattr(optimizer, "lr", 0.0)
    try:
        fit(
            deepcopy(net),
            X,
            y,
            loss=loss,
            optimizer=optimizer,
            epochs=steps,  # at least a step each
            batch_size=batch_size,
            seed=seed,
            schedule=schedule,
            callbacks=[watched],
            progress=False,
        )
    except NonFiniteError:
        if not watched.losses:
            raise
    finally:
        if isinstance(optimizer, Optimizer):
            optimizer.lr = lr
    return LearningRates(schedule(np.arange(len(watched.losses))), np.array(watched.losses))

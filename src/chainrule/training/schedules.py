"""Schedules: the learning rate of each step, as a pure function of the step's number.

Steps are counted from 0, over all epochs of a call of ``fit``: an epoch has
``ceil(n / batch_size)`` of them. The formulas are those of ``torch.optim.lr_scheduler``, where each
step of the scheduler is one step of the training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray

from chainrule.training.callbacks.callback import Callback, Training
from chainrule.training.callbacks.monitor import Monitor
from chainrule.utils.arguments import Numbers, above_zero, at_least_zero, fraction, integer
from chainrule.utils.public import listing

__all__ = [
    "CosineAnnealingLR",
    "LinearLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "Schedule",
    "StepLR",
]

__dir__ = listing(__all__)


class Schedule(Numbers, ABC):
    """The learning rate of each step: ``schedule(step)``, for a number or an array of them.

    :func:`fit` takes it as ``schedule``. In a loop of your own, ``optimizer.lr = schedule(step)``.
    It has no state, so that a resumed training continues exactly.
    """

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: NDArray[Any]) -> NDArray[np.float64]: ...
    def __call__(self, step: int | NDArray[Any]) -> float | NDArray[np.float64]:
        """Return the rate of ``step``, counted from 0; ValueError if the rate is invalid."""
        steps = np.asarray(step, np.float64)
        # A copy: compiled code needs a contiguous float64 array.
        rates = np.array(self.rates(steps), np.float64)
        if rates.shape != steps.shape:
            raise ValueError(
                f"{type(self).__name__}'s rates must return an array of the shape of the steps, "
                f"{steps.shape}, not {rates.shape}."
            )
        wrong = ~(np.isfinite(rates) & (rates >= 0))
        if wrong.any():
            raise ValueError(
                f"{type(self).__name__}'s rate of step {steps[wrong][0]:.0f} must be finite and 0 "
                f"or more, not {rates[wrong][0]}."
            )
        return rates if rates.ndim else float(rates)

    @abstractmethod
    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the rates of these steps."""


@dataclass(frozen=True)
class StepLR(Schedule):
    """``lr * gamma ** (step // step_size)``: a step function.

    Parameters
    ----------
    lr : float
        The first rate, 0 or more.
    step_size : int
        Steps between two changes, at least 1.
    gamma : float
        What the rate is multiplied by, 0 or more.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> schedule = cr.schedules.StepLR(0.5, step_size=2, gamma=0.5)
    >>> schedule(0), schedule(np.arange(5)).tolist()
    (0.5, [0.5, 0.5, 0.25, 0.25, 0.125])
    """

    number_checks: ClassVar = {"lr": at_least_zero}
    lr: float
    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        self.check_numbers()
        integer(self.step_size, "StepLR's step_size", least=1)
        at_least_zero(self.gamma, "StepLR's gamma")

    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        rates: NDArray[np.float64] = self.lr * self.gamma ** (steps // self.step_size)
        return rates


@dataclass(frozen=True)
class LinearLR(Schedule):
    """From ``lr * start_factor`` to ``lr * end_factor`` in a straight line, then constant.

    Parameters
    ----------
    lr : float
        0 or more.
    total_steps : int
        Steps until the rate is constant, at least 1.
    start_factor, end_factor : float
        0 or more.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.schedules.LinearLR(1.0, 4, start_factor=0.0)(np.arange(6)).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    number_checks: ClassVar = {"lr": at_least_zero}
    lr: float
    total_steps: int
    start_factor: float = 1 / 3
    end_factor: float = 1.0

    def __post_init__(self) -> None:
        self.check_numbers()
        integer(self.total_steps, "LinearLR's total_steps", least=1)
        at_least_zero(self.start_factor, "LinearLR's start_factor")
        at_least_zero(self.end_factor, "LinearLR's end_factor")

    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        done = np.minimum(steps / self.total_steps, 1.0)
        rates: NDArray[np.float64] = self.lr * (
            self.start_factor + (self.end_factor - self.start_factor) * done
        )
        return rates


@dataclass(frozen=True)
class CosineAnnealingLR(Schedule):
    """Half a cosine from ``lr`` down to ``min_lr``, after an optional linear warm-up.

    In the warm-up, step k has the rate ``lr * (k + 1) / (warmup_steps + 1)``, so that no step has
    the rate 0. After ``total_steps`` the rate stays ``min_lr``.

    Parameters
    ----------
    lr : float
        The highest rate, 0 or more.
    total_steps : int
        Steps in all, the warm-up's included.
    warmup_steps : int
        Less than ``total_steps``.
    min_lr : float
        The last rate, 0 or more.

    References
    ----------
    Loshchilov and Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.schedules.CosineAnnealingLR(1.0, 5, warmup_steps=1)(np.arange(7)).round(3).tolist()
    [0.5, 1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    number_checks: ClassVar = {"lr": at_least_zero, "min_lr": at_least_zero}
    lr: float
    total_steps: int
    warmup_steps: int = 0
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        self.check_numbers()
        integer(self.total_steps, "CosineAnnealingLR's total_steps", least=1)
        integer(self.warmup_steps, "CosineAnnealingLR's warmup_steps", least=0)
        _check_less(self, "warmup_steps", "total_steps")

    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        warm = self.lr * (steps + 1) / (self.warmup_steps + 1)
        done = (steps - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        cosine = _cosine(self.lr, self.min_lr, np.clip(done, 0.0, 1.0))
        return np.where(steps < self.warmup_steps, warm, cosine)


@dataclass(frozen=True)
class OneCycleLR(Schedule):
    """Half a cosine up to ``max_lr``, then half a cosine down to almost nothing.

    Only the learning rate is changed; PyTorch's also changes the momentum.

    Parameters
    ----------
    max_lr : float
        The highest rate, more than 0.
    total_steps : int
        Steps of the whole cycle, at least 2; after them the rate is constant.
    pct_start : float
        The fraction of the steps in the increasing part, from 0 to 1.
    div_factor, final_div_factor : float
        The first rate is ``max_lr / div_factor``, the last one that by ``final_div_factor``.

    References
    ----------
    Smith and Topin, *Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates*, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.schedules.OneCycleLR(1.0, 5, pct_start=0.6)(np.arange(5)).round(3).tolist()
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """

    number_checks: ClassVar = {"max_lr": above_zero}
    max_lr: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        self.check_numbers()
        integer(self.total_steps, "OneCycleLR's total_steps", least=2)
        fraction(self.pct_start, "OneCycleLR's pct_start")
        above_zero(self.div_factor, "OneCycleLR's div_factor")
        above_zero(self.final_div_factor, "OneCycleLR's final_div_factor")

    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        first = self.max_lr / self.div_factor
        top, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        up = np.clip(steps / top, 0.0, 1.0) if top > 0 else np.ones_like(steps)
        down = np.clip((steps - top) / (last - top), 0.0, 1.0) if top < last else 0 * steps
        return np.where(
            steps <= top,
            _cosine(first, self.max_lr, up),
            _cosine(self.max_lr, first / self.final_div_factor, down),
        )


def _cosine(first: float, last: float, done: NDArray[np.float64]) -> NDArray[np.float64]:
    rates: NDArray[np.float64] = last + (first - last) * (1 + np.cos(np.pi * done)) / 2
    return rates


def _check_less(schedule: Schedule, name: str, other: str) -> None:
    value, limit = getattr(schedule, name), getattr(schedule, other)
    if value >= limit:
        kind = type(schedule).__name__
        raise ValueError(f"{kind}'s {name} must be less than {other}, {limit}, not {value}.")


class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by a factor when a metric has not improved for some epochs.

    It depends on the metric, so it is not a function of the step but a callback: :func:`fit` takes
    it as ``schedule`` or among the ``callbacks``. It starts from ``optimizer.lr``.

    Parameters
    ----------
    monitor : str
        As in :class:`EarlyStopping`.
    factor : float
        What the rate is multiplied by, at least 0 and less than 1.
    patience : int
        The number of epochs without an improvement after which the rate is reduced at the next one,
        0 or more.
    threshold : float
        Improvements up to this fraction of the best value's magnitude do not count.
    cooldown : int
        Epochs after a reduction that are not counted.
    min_lr : float
        The lower limit of the rate.
    mode : "min" or "max", optional
        As in :class:`EarlyStopping`.

    Examples
    --------
    >>> import chainrule as cr
    >>> X, y = cr.datasets.load_digits()
    >>> net = cr.Sequential(cr.Linear(64, 10), seed=0)
    >>> schedule = cr.schedules.ReduceLROnPlateau("loss", factor=0.5, patience=0, threshold=0.9)
    >>> history = cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), optimizer=cr.SGD(lr=0.01), epochs=4,
    ...                  schedule=schedule, progress=False)
    >>> history.lr  # each epoch's, before it is reduced
    [0.01, 0.01, 0.005, 0.0025]
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str | None = None,
    ) -> None:
        self._monitor = Monitor(monitor, mode)
        self.factor = fraction(factor, "factor")
        if self.factor == 1:
            raise ValueError("factor must be less than 1, not 1.")
        self.patience = integer(patience, "patience", least=0)
        self.threshold = at_least_zero(threshold, "threshold")
        self.cooldown = integer(cooldown, "cooldown", least=0)
        self.min_lr = at_least_zero(min_lr, "min_lr")
        self._forget()

    def _forget(self) -> None:
        self.best, self._waited, self._cooling = self._monitor.worst, 0, 0

    def on_fit_begin(self, training: Training) -> None:
        self._monitor.check(training)
        if training.epoch == 0:
            self._forget()

    def on_epoch_end(self, training: Training) -> None:
        value = self._monitor.value(training)
        if self._monitor.improves(value, self.best, self.threshold):
            self.best, self._waited = value, 0
        else:
            self._waited += 1
        if self._cooling > 0:
            self._cooling -= 1
            self._waited = 0
        if self._waited > self.patience:
            lr = training.optimizer.lr
            training.optimizer.lr = min(lr, max(lr * self.factor, self.min_lr))
            self._cooling, self._waited = self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self._waited, "cooling": self._cooling}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = float(state["best"])
        self._waited, self._cooling = int(state["waited"]), int(state["cooling"])

    def __repr__(self) -> str:
        return f"ReduceLROnPlateau({self._monitor.name!r}, factor={self.factor})"

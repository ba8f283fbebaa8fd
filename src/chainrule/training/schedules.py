"""Schedules: the learning rate of each step, as a pure function of the step's number.

Steps are counted from 0, over all epochs of a call of ``fit``: an epoch has
``ceil(n / batch_size)`` of them. A schedule's length is given in epochs or in steps; without it, a
schedule is as long as the call of ``fit``. The formulas are those of ``torch.optim.lr_scheduler``,
where each step of the scheduler is one step of the training.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from chainrule.training.callbacks.callback import Callback, Training
from chainrule.training.callbacks.monitor import Monitor
from chainrule.training.schedule import (
    LastingSchedule,
    Schedule,
    check_length,
    length_text,
    with_unit,
)
from chainrule.utils.arguments import above_zero, at_least_zero, fraction, integer
from chainrule.utils.public import listing
from chainrule.utils.wording import possessive

__all__ = [
    "CosineAnnealingLR",
    "LinearLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "Schedule",
    "StepLR",
]

__dir__ = listing(__all__)


@with_unit
@dataclass(frozen=True, repr=False)
class StepLR(LastingSchedule):
    """``lr * gamma ** (step // steps)``: a step function.

    Parameters
    ----------
    lr : float
        The first rate, 0 or more.
    epochs : float, optional
        Epochs between two changes, more than 0.
    steps : int, optional
        Steps between two changes, at least 1, instead of epochs.
    gamma : float
        What the rate is multiplied by, 0 or more.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> schedule = cr.schedules.StepLR(0.5, steps=2, gamma=0.5)
    >>> schedule(0), schedule(np.arange(5)).tolist()
    (0.5, [0.5, 0.5, 0.25, 0.25, 0.125])
    """

    number_checks: ClassVar = {"lr": at_least_zero}
    lr: float
    _: KW_ONLY
    epochs: float | None = None
    steps: int | None = None
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is None and self.steps is None:
            raise ValueError("StepLR needs epochs or steps between two changes.")
        at_least_zero(self.gamma, "StepLR's gamma")

    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        rates: NDArray[np.float64] = self.lr * self.gamma ** (steps // self.length)
        return rates


@with_unit
@dataclass(frozen=True, repr=False)
class LinearLR(LastingSchedule):
    """From ``lr * start_factor`` to ``lr * end_factor`` in a straight line, then constant.

    Parameters
    ----------
    lr : float
        0 or more.
    epochs : float, optional
        Epochs until the rate is constant, more than 0; by default all of the training.
    steps : int, optional
        Steps until then, at least 1, instead of epochs.
    start_factor, end_factor : float
        0 or more.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.schedules.LinearLR(1.0, steps=4, start_factor=0.0)(np.arange(6)).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    number_checks: ClassVar = {"lr": at_least_zero}
    lr: float
    _: KW_ONLY
    epochs: float | None = None
    steps: int | None = None
    start_factor: float = 1 / 3
    end_factor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_zero(self.start_factor, "LinearLR's start_factor")
        at_least_zero(self.end_factor, "LinearLR's end_factor")

    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        done = np.minimum(steps / self.length, 1.0)
        rates: NDArray[np.float64] = self.lr * (
            self.start_factor + (self.end_factor - self.start_factor) * done
        )
        return rates


@with_unit
@dataclass(frozen=True, repr=False)
class CosineAnnealingLR(LastingSchedule):
    """Half a cosine from ``lr`` down to ``min_lr``, after an optional linear warm-up.

    In the warm-up, step k has the rate ``lr * (k + 1) / (warmup_steps + 1)``, so that no step has
    the rate 0. After all ``steps`` the rate stays ``min_lr``.

    Parameters
    ----------
    lr : float
        The highest rate, 0 or more.
    epochs : float, optional
        Epochs, the warm-up's included, more than 0; by default all of the training.
    steps : int, optional
        Steps, the warm-up's included, at least 1, instead of epochs.
    warmup_epochs : float, optional
        Epochs of the warm-up, fewer than those of the schedule; none by default.
    warmup_steps : int, optional
        Steps of the warm-up, instead of its epochs.
    min_lr : float
        The last rate, 0 or more.

    References
    ----------
    Loshchilov and Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.schedules.CosineAnnealingLR(1.0, steps=5, warmup_steps=1)(np.arange(7)).round(3).tolist()
    [0.5, 1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    number_checks: ClassVar = {"lr": at_least_zero, "min_lr": at_least_zero}
    lr: float
    _: KW_ONLY
    epochs: float | None = None
    steps: int | None = None
    warmup_epochs: float | None = None
    warmup_steps: int | None = None
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = type(self).__name__
        check_length(kind, "warmup_", self.warmup_steps, self.warmup_epochs, least=0)
        for unit in ("epochs", "steps"):
            warmup, whole = getattr(self, f"warmup_{unit}"), getattr(self, unit)
            if warmup is not None and whole is not None and warmup >= whole:
                raise ValueError(
                    f"{possessive(kind)} warmup_{unit} must be less than {unit}, {whole}, not "
                    f"{warmup}."
                )

    def in_steps(self, steps_an_epoch: int, epochs: int | None = None) -> Self:
        without = replace(self, warmup_epochs=None, warmup_steps=None)
        schedule = LastingSchedule.in_steps(without, steps_an_epoch, epochs)
        if self.warmup_epochs is None:
            warmup = self.warmup_steps
        else:
            warmup = round(self.warmup_epochs * steps_an_epoch)
        if warmup is not None and warmup >= schedule.length:
            whole = length_text(self.epochs or epochs, self.steps, schedule.length)
            given = length_text(self.warmup_epochs, self.warmup_steps, warmup)
            raise ValueError(
                f"{possessive(type(self).__name__)} warm-up must be shorter than the schedule, "
                f"{whole}, not {given}."
            )
        return replace(schedule, warmup_steps=warmup)

    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.warmup_epochs is not None:
            raise self.not_in_steps()
        warmup = self.warmup_steps or 0
        warm = self.lr * (steps + 1) / (warmup + 1)
        done = (steps - warmup) / (self.length - warmup)
        cosine = _cosine(self.lr, self.min_lr, np.clip(done, 0.0, 1.0))
        return np.where(steps < warmup, warm, cosine)


@with_unit
@dataclass(frozen=True, repr=False)
class OneCycleLR(LastingSchedule):
    """Half a cosine up to ``max_lr``, then half a cosine down to almost nothing.

    Only the learning rate is changed; PyTorch's also changes the momentum.

    Parameters
    ----------
    max_lr : float
        The highest rate, more than 0.
    epochs : float, optional
        Epochs of the whole cycle, more than 0; by default all of the training. After them the
        rate is constant.
    steps : int, optional
        Steps of the whole cycle, at least 2, instead of epochs.
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
    >>> cr.schedules.OneCycleLR(1.0, steps=5, pct_start=0.6)(np.arange(5)).round(3).tolist()
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """

    number_checks: ClassVar = {"max_lr": above_zero}
    least_steps: ClassVar[int] = 2
    max_lr: float
    _: KW_ONLY
    epochs: float | None = None
    steps: int | None = None
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        super().__post_init__()
        fraction(self.pct_start, "OneCycleLR's pct_start")
        above_zero(self.div_factor, "OneCycleLR's div_factor")
        above_zero(self.final_div_factor, "OneCycleLR's final_div_factor")

    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        first = self.max_lr / self.div_factor
        top, last = self.pct_start * self.length - 1, self.length - 1
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

"""The base class of schedules, and of those with a length in epochs or in steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields, replace
from functools import wraps
from typing import Any, ClassVar, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from chainrule.utils.arguments import Numbers, above_zero, at_least_zero, integer
from chainrule.utils.warning import warn_caller
from chainrule.utils.wording import plural, possessive

LENGTHS = {"total_steps", "step_size", "total_iters", "T_max"}  # in PyTorch, and here before

# A rate below this fraction of the highest one is as good as none: a OneCycleLR ends at 4e-6, where
# StepLRs of use end at 1e-3 or so.
NOTHING = 1e-5
LAST = 0.05  # the largest fraction of the steps at the end without a rate


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
                f"{possessive(type(self).__name__)} rates must return an array of the shape of "
                f"the steps, {steps.shape}, not {rates.shape}."
            )
        wrong = ~(np.isfinite(rates) & (rates >= 0))
        if wrong.any():
            raise ValueError(
                f"{possessive(type(self).__name__)} rate of step {steps[wrong][0]:.0f} must be "
                f"finite and 0 or more, not {rates[wrong][0]}."
            )
        return rates if rates.ndim else float(rates)

    @abstractmethod
    def rates(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the rates of these steps."""

    def in_steps(self, steps_an_epoch: int, epochs: int | None = None) -> Schedule:
        """Return the same schedule with all lengths in steps, as :func:`fit` uses it.

        Parameters
        ----------
        steps_an_epoch : int
            ``ceil(n / batch_size)``.
        epochs : int, optional
            Of the whole training; needed where the schedule has no length of its own.

        Raises
        ------
        ValueError, TypeError
            If an argument is wrong, or epochs is needed.

        Examples
        --------
        >>> import chainrule as cr
        >>> cr.schedules.CosineAnnealingLR(0.1, warmup_epochs=1).in_steps(47, epochs=10)
        CosineAnnealingLR(lr=0.1, steps=470, warmup_steps=47, min_lr=0.0)
        """
        return self


S = TypeVar("S", bound=Schedule)


def check_length(kind: str, name: str, steps: Any, epochs: Any, *, least: int) -> None:
    """Check a length that is given in steps or in epochs, or in neither."""
    if steps is not None:
        integer(steps, f"{possessive(kind)} {name}steps", least=least)
    if epochs is not None:
        check = at_least_zero if least == 0 else above_zero
        check(epochs, f"{possessive(kind)} {name}epochs")
        if steps is not None:
            raise ValueError(f"{kind} takes {name}epochs or {name}steps, not both.")


def length_text(epochs: float | None, steps: int | None, in_steps: int) -> str:
    """Return a length for messages, in the unit that it was given in.

    >>> length_text(None, 20, 20), length_text(1.5, None, 30)
    ('20 steps', '1.5 epochs (30 steps)')
    """
    text = plural(in_steps, "step")
    if steps is not None:
        return text
    return f"{epochs:g} epoch{'' if epochs == 1 else 's'} ({text})"


class LastingSchedule(Schedule):
    """A schedule with a length, in epochs or in steps, or that of the whole training."""

    least_steps: ClassVar[int] = 1
    epochs: float | None
    steps: int | None

    def __post_init__(self) -> None:
        self.check_numbers()
        check_length(type(self).__name__, "", self.steps, self.epochs, least=self.least_steps)

    def __repr__(self) -> str:
        """Leave out what is not given."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        texts = (f"{name}={value!r}" for name, value in given.items() if value is not None)
        return f"{type(self).__name__}({', '.join(texts)})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take older pickles, in which all lengths were in steps."""
        names = {"total_steps": "steps", "step_size": "steps"}
        self.__dict__.update({names.get(name, name): value for name, value in state.items()})

    def in_steps(self, steps_an_epoch: int, epochs: int | None = None) -> Self:
        integer(steps_an_epoch, "steps_an_epoch", least=1)
        if epochs is not None:
            integer(epochs, "epochs", least=1)
        if self.steps is not None:
            return self
        length = epochs if self.epochs is None else self.epochs
        if length is None:
            raise ValueError(f"{self!r} is as long as the training: in_steps needs its epochs.")
        steps = max(round(length * steps_an_epoch), self.least_steps)
        return replace(self, epochs=None, steps=steps)  # type: ignore[type-var]

    @property
    def length(self) -> int:
        """The length in steps; ValueError if it is not known."""
        if self.steps is None:
            raise self.not_in_steps()
        return self.steps

    def not_in_steps(self) -> ValueError:
        """Return the error that a length is not in steps."""
        return ValueError(
            f"{self!r} has no rates before all its lengths are in steps: give them in steps, or "
            "use schedule.in_steps(steps_an_epoch, epochs)."
        )


def with_unit(schedule: type[S]) -> type[S]:
    """Make an optimizer, or a length without a unit, an error that says what to write."""
    initialize: Callable[..., None] = vars(schedule)["__init__"]

    @wraps(initialize)
    def checked(self: Any, *numbers: Any, **named: Any) -> None:
        kind = schedule.__name__
        if "optimizer" in named or (numbers and hasattr(numbers[0], "lr")):
            rate = fields(schedule)[0].name  # type: ignore[arg-type]
            raise TypeError(
                f"{kind} takes a learning rate, not an optimizer: it is given to cr.fit(..., "
                f"schedule=cr.schedules.{kind}({rate}=0.1, ...))."
            )
        for old in LENGTHS & named.keys():
            length = named[old]
            raise TypeError(
                f"{possessive(kind)} {old} is called steps, or epochs if it counts these: steps="
                f"{length!r} or epochs={length!r}."
            )
        if len(numbers) > 1:
            length = numbers[1]
            raise TypeError(
                f"{kind} takes its length with a unit, epochs={length!r} or steps={length!r}, not "
                f"{length!r} alone (which was in steps), and all further arguments by name."
            )
        initialize(self, *numbers, **named)

    setattr(schedule, "__init__", checked)  # noqa: B010 - mypy takes no assignment
    return schedule


def warn_of_no_rate(given: Schedule, steps_an_epoch: int, epochs: int) -> None:
    """Warn if the rate falls to nothing long before the end of so many epochs."""
    schedule, steps = given.in_steps(steps_an_epoch, epochs), epochs * steps_an_epoch
    some = np.unique(np.linspace(0, steps - 1, 1000).astype(int))
    some = np.union1d(np.arange(min(steps, 100)), some)
    try:
        rates = schedule(some)
    except Exception:  # it is raised at its step, if the training comes to it
        return
    above = some[rates >= NOTHING * rates.max()]
    without = steps - 1 - above[-1]
    if rates.max() > 0 and without > max(LAST * steps, 1):  # a cycle's last rate is always low
        done = above[-1] + 1
        if isinstance(given, LastingSchedule) and given.steps is None:
            when = f"{done / steps_an_epoch:.3g} of {epochs:,} epochs"
        else:
            when = f"{done:,} of {steps:,} steps"
        warn_caller(
            f"{given!r} lets the learning rate fall to nothing after about {when}: the others "
            "change next to nothing. A schedule's length is in epochs= or steps=; without it, most "
            "last for the whole training."
        )

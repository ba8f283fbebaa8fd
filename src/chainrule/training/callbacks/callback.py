"""The base class of callbacks, and the Training object that is passed to their methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.optimizers import Optimizer
from chainrule.training.averaging import ExponentialMovingAverage
from chainrule.training.history import History
from chainrule.utils import json_values
from chainrule.utils.arguments import integer, kind_hint, shortened
from chainrule.utils.arrays import FloatArray
from chainrule.utils.interruption import Interruption
from chainrule.utils.wording import possessive

__all__ = ["Callback", "Training"]

State = dict[str, Any]  # of a callback: plain values and arrays


@dataclass
class Training:
    """The state of a running training, for callbacks.

    Attributes
    ----------
    network, loss, optimizer : Sequential, Loss, Optimizer
    history : History
        The history until now.
    X, y, sample_weight : arrays
        The checked training data: X is a tuple for several inputs; y is as the loss takes it, a
        tuple for several outputs; sample_weight is None without weights. For an iterable, they are
        its first batch.
    batch_size, epochs, backend : int, int, str
        As passed to ``fit``; for an iterable, batch_size is the rows of the first batch.
    epoch, step : int
        The numbers of finished epochs and steps in this training.
    interruption : Interruption
        Whether Ctrl-C was pressed.
    metric_names : tuple of str
        The names in :meth:`History.latest` after each epoch.
    average : ExponentialMovingAverage or None
        The average of the parameters.
    error : BaseException or None
        In :meth:`Callback.on_fit_end`, the exception that ended the training, if any.
    """

    network: Sequential
    loss: Loss
    optimizer: Optimizer
    history: History
    X: Any = field(repr=False)
    y: Any = field(repr=False)
    sample_weight: FloatArray | None = field(repr=False)
    batch_size: int
    epochs: int
    backend: str
    interruption: Interruption
    metric_names: tuple[str, ...] = ("loss", "lr")
    average: ExponentialMovingAverage | None = field(default=None, repr=False)
    epoch: int = field(default=0, init=False)
    step: int = field(default=0, init=False)
    error: BaseException | None = field(default=None, init=False, repr=False)
    _stop_requested: bool = field(default=False, init=False, repr=False)

    @property
    def stop_requested(self) -> bool:
        """Whether a callback has called :meth:`stop`."""
        return self._stop_requested

    def stop(self) -> None:
        """End the training before its next step."""
        self._stop_requested = True

    @property
    def stopped(self) -> bool:
        """Whether the training ends before its next step, because of a callback or Ctrl-C."""
        return self._stop_requested or self.interruption.requested

    @property
    def rows(self) -> int:
        """The rows of X."""
        return len(self.X[0] if isinstance(self.X, tuple) else self.X)

    def probe(self, rows: int) -> tuple[Any, Any, FloatArray | None]:
        """Return (X, y, sample_weight) of up to ``rows`` rows, evenly spaced: always the same."""
        rows = min(rows, self.rows)
        chosen = np.arange(rows) * self.rows // rows
        weights = None if self.sample_weight is None else self.sample_weight[chosen]
        X, y = (
            tuple(part[chosen] for part in data) if isinstance(data, tuple) else data[chosen]
            for data in (self.X, self.y)
        )
        return X, y, weights


class Callback:
    """Base class of callbacks for :func:`fit`; a subclass implements one or several methods.

    The methods are given the :class:`Training`. They may read it, stop it, and set the optimizer's
    hyperparameters, such as ``training.optimizer.lr``, for the following steps. They must not
    change the parameters before :meth:`on_fit_end`.

    Attributes
    ----------
    every : int or None
        The number of steps between two calls of :meth:`on_steps`; None for no calls. Compiled code,
        which makes many steps in a call, returns at each of them.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> class Enough(cr.Callback):
    ...     every = 10
    ...
    ...     def on_steps(self, training):
    ...         if training.history.batch_loss[-1] < 0.01:
    ...             training.stop()
    >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> net = cr.Sequential(cr.Linear(1, 16), cr.Tanh(), cr.Linear(16, 1), seed=0)
    >>> history = cr.fit(net, X, X**2, loss=cr.MSELoss(), optimizer=cr.Adam(lr=0.01),
    ...                  epochs=1000, callbacks=[Enough()], progress=False)
    >>> 100 < len(history.batch_loss) < 1000, len(history.batch_loss) % 10
    (True, 0)
    """

    every: int | None = None

    def on_fit_begin(self, training: Training) -> None:
        """Handle the start of the training: called before the first step."""

    def on_steps(self, training: Training) -> None:
        """Handle finished steps: called after each ``every`` steps."""

    def on_epoch_end(self, training: Training) -> None:
        """Handle a finished epoch: called after each epoch and its validation.

        If no callback has this method, or :meth:`next_epoch` allows it, several short epochs run in
        one compiled call.
        """

    def on_fit_end(self, training: Training) -> None:
        """Handle the end of the training, in any case.

        It is called once for each :meth:`on_fit_begin` that has returned: after the last step,
        after Ctrl-C, and after an error, which is ``training.error``. If it raises an exception,
        the other callbacks are still called.
        """

    def state_dict(self) -> State:
        """Return the state of this callback for a checkpoint: plain values, and arrays.

        Plain values are None, bool, int, float, str, and lists and dicts of these. Arrays of
        numbers or booleans must be values of the dict itself, not nested deeper.
        """
        return {}

    def load_state_dict(self, state: State) -> None:
        """Restore the state from :meth:`state_dict`; called after :meth:`on_fit_begin`.

        A callback whose state belongs to one training resets it in :meth:`on_fit_begin`, if
        ``training.epoch`` is 0. Raise ValueError if the state does not fit: the training is then
        not changed.
        """

    def next_step(self, step: int) -> float:
        """Return the step after which to call :meth:`on_steps` next; a fraction is rounded up.

        If it is not later than ``step``, the method is called whenever compiled code returns.
        """
        return inf if self.every is None else step - step % self.every + self.every

    def next_epoch(self, epoch: int) -> float:
        """Return the epoch after which to call :meth:`on_epoch_end` next, at the latest."""
        return epoch + 1


def _plain(state: State) -> State:
    return {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}


def check_state(state: Any, name: str) -> None:
    """Raise TypeError or ValueError if a state is not such as a checkpoint can keep."""
    if not isinstance(state, dict):
        raise TypeError(f"{name} must be a dict, not {state!r}.")
    json_values.check_plain(_plain(state), name, finite=False)
    for key in state.keys() - _plain(state).keys():
        if state[key].dtype.kind not in "biuf" or state[key].dtype.itemsize > 8:
            raise TypeError(f"{name}[{key!r}] has dtype {state[key].dtype}.")


class Callbacks:
    """The callbacks of one training, called when they are due."""

    def __init__(self, callbacks: Sequence[Callback], training: Training) -> None:
        self._callbacks, self.training = callbacks, training
        self._running: list[Callback] = []  # whose on_fit_end is still to come
        self._by_epoch = [
            callback
            for callback in callbacks
            if type(callback).on_epoch_end is not Callback.on_epoch_end
        ]
        self._due: list[float] = []
        self._first = self._pause = inf

    @staticmethod
    def checked(callbacks: Sequence[Callback]) -> list[Callback]:
        """Return them as a list; TypeError or ValueError if something is wrong."""
        if isinstance(callbacks, Callback) or not isinstance(callbacks, Sequence):
            raise TypeError(f"callbacks must be a list of callbacks, not {shortened(callbacks)}.")
        for position, callback in enumerate(callbacks):
            if not isinstance(callback, Callback):
                hint = kind_hint(callback)
                raise TypeError(
                    f"callbacks[{position}] is no Callback but {shortened(callback)}.{hint}"
                )
            if callback.every is not None:
                integer(callback.every, f"every of callbacks[{position}]", least=1)
        return list(callbacks)

    @property
    def steps(self) -> float:
        """How many steps may run until a callback is due."""
        return self._pause - self.training.step

    @property
    def epochs(self) -> float:
        """How many epochs may run until a callback is due."""
        epoch = self.training.epoch
        return min((callback.next_epoch(epoch) for callback in self._by_epoch), default=inf) - epoch

    def begin(self, states: dict[str, State] | None = None) -> None:
        """Call each ``on_fit_begin``; to resume, restore the states that :meth:`states` returned.

        Raises
        ------
        ValueError
            If a state belongs to none of the callbacks, or is not accepted.
        """
        try:
            self._begin({} if states is None else dict(states))
        except BaseException as error:  # the started callbacks end before the caller cleans up
            self.end(error)
            raise

    def _begin(self, states: dict[str, State]) -> None:
        for name, callback in self._named().items():
            callback.on_fit_begin(self.training)
            self._running.append(callback)
            if name in states:
                try:
                    callback.load_state_dict(states.pop(name))
                except (
                    ArithmeticError,
                    AttributeError,
                    LookupError,
                    TypeError,
                    ValueError,
                ) as error:
                    raise ValueError(f"{name} cannot be resumed from its state: {error}") from error
        if states:
            raise ValueError(f"There is a state of {', '.join(states)}, but no such callback.")
        self._due = [self._next_step(callback) for callback in self._callbacks]
        self._look_ahead()

    def _named(self) -> dict[str, Callback]:
        """Return the callbacks by their classes' names, with a number if there are several."""
        named: dict[str, Callback] = {}
        for callback in self._callbacks:
            kind, number = type(callback).__name__, 1
            name = kind
            while name in named:
                number += 1
                name = f"{kind}-{number}"
            named[name] = callback
        return named

    def states(self) -> tuple[dict[str, State], dict[str, NDArray[Any]]]:
        """Return the plain part of each callback's state, and all arrays as ``"name.key"``.

        Raises
        ------
        TypeError, ValueError
            If a state holds something else.
        """
        plain, arrays = {}, {}
        for name, callback in self._named().items():
            state = callback.state_dict()
            check_state(state, f"The state_dict of {name}")
            if state:
                plain[name] = _plain(state)
            for key in state.keys() - _plain(state).keys():
                arrays[f"{name}.{key}"] = state[key]
        return plain, arrays

    def after_steps(self, steps: int) -> None:
        self.training.step += steps
        step = self.training.step
        if step < self._first:
            return
        for position, callback in enumerate(self._callbacks):
            if step >= self._due[position]:
                callback.on_steps(self.training)
                self._due[position] = self._next_step(callback)
        self._look_ahead()

    def _next_step(self, callback: Callback) -> float:
        return float(np.ceil(callback.next_step(self.training.step)))

    def _look_ahead(self) -> None:
        self._first = min(self._due, default=inf)
        self._pause = min((due for due in self._due if due > self.training.step), default=inf)

    def after_epochs(self, epochs: int) -> None:
        self.training.epoch += epochs
        for callback in self._by_epoch:
            callback.on_epoch_end(self.training)

    def end(self, error: BaseException | None = None) -> None:
        """Call ``on_fit_end`` of all started callbacks; ``error`` is what ended the training.

        An exception in one of them does not prevent the others' calls. It is raised at the end, or
        added as a note to the first error.
        """
        first = error
        while self._running:
            callback = self._running.pop(0)
            self.training.error = first
            try:
                callback.on_fit_end(self.training)
            except BaseException as raised:
                if first is None:
                    first = raised
                else:
                    kind = type(callback).__name__
                    first.add_note(f"Then {possessive(kind)} on_fit_end raised {raised!r}.")
        self.training.error = None  # its traceback refers to the training: a reference cycle
        if error is None and first is not None:
            raise first

    def __enter__(self) -> Callbacks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

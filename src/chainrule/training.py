"""fit: trains a network, whole slices of an epoch at a time inside compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.arguments import integer
from chainrule.arrays import all_finite
from chainrule.batch import Batch
from chainrule.callbacks import Callback, Callbacks, Training
from chainrule.engine.backends import check_backend, threads_for
from chainrule.engine.instructions import Phase
from chainrule.engine.machine import Machine
from chainrule.engine.orders import epoch_orders
from chainrule.errors import NonFiniteError
from chainrule.history import History
from chainrule.interruption import interruption
from chainrule.losses import Loss
from chainrule.network import Sequential
from chainrule.optimizers import Adam, Optimizer, OptimizerState
from chainrule.progress import TrainingProgress
from chainrule.rollback import Rollback

SLICE_SECONDS = 0.1  # how long compiled code runs before the progress bar and Ctrl-C have a turn
MOST_STEPS = 1 << 16  # in a slice, so that the buffer of losses stays small

STEP = Phase.FORWARD | Phase.BACKWARD | Phase.UPDATE


def fit(
    net: Sequential,
    X: ArrayLike,
    y: ArrayLike | tuple[ArrayLike, ...],
    *,
    loss: Loss,
    optimizer: Optimizer | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
    validation: tuple[ArrayLike, ArrayLike | tuple[ArrayLike, ...]] | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    backend: str | None = None,
) -> History:
    """Train ``net`` on the rows of X and y.

    The same seed gives the same parameters to the bit, with any number of threads; with the same
    number, if there is a :class:`CompiledLayer` that has parameters. Ctrl-C ends the training after
    the current slice of a tenth of a second; what was trained until then stays, and ``interrupted``
    is True in the history.

    Parameters
    ----------
    net : Sequential
        Its parameters are changed in place.
    X : array of shape (n, ...)
        Real numbers: floats, integers or booleans, in memory or memory-mapped; or whatever speaks
        ``__array__``, DLPack or the buffer protocol: tensors, tables, memory views. Each batch is
        converted to the network's dtype when its turn comes; X itself is not copied, unless the
        numbers of a row do not lie side by side (as in Fortran order, which most tables are in),
        or are longdouble or not in the machine's byte order.
    y : array
        Class labels of shape (n,) for ``CrossEntropyLoss``, else targets of the output's shape; a
        tuple of them, one for each output, for ``MultiLoss``.
    loss : Loss
    optimizer : Optimizer, optional
        ``Adam()`` by default. It goes on from where it was, if it has stepped this network before.
    epochs : int
        How often each row is seen, at least 1.
    batch_size : int
        Rows a step, from 1 to n. The last batch of an epoch may be shorter.
    shuffle : bool
        Whether each epoch has an order of its own.
    seed : int
        Seed of the orders, 0 or more.
    sample_weight : array of shape (n,), optional
        One weight a row, not negative; see :class:`Loss`.
    validation : (X, y), optional
        Data to measure loss and accuracy on after each epoch; of several outputs, it is the
        accuracy of the only one that is a classification.
    callbacks : list of Callback
        What to do while it trains, such as ``[cr.GradientFlow()]``.
    progress : bool
        Whether to show a progress bar.
    backend : "numba" or "numpy", optional
        Instead of the network's.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; nothing has been changed then.
    NonFiniteError
        If the loss becomes NaN or infinite; the network keeps its last finite parameters.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> net = cr.Sequential(cr.Linear(1, 16), cr.Tanh(), cr.Linear(16, 1), seed=0)
    >>> options = {"loss": cr.MSELoss(), "optimizer": cr.Adam(lr=0.01), "progress": False}
    >>> history = cr.fit(net, X, X**2, epochs=100, **options)
    >>> history.loss[-1] < 0.01 * history.loss[0]
    True
    """
    if not isinstance(net, Sequential):
        raise TypeError(f"net must be a Sequential, not {net!r}.")
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a loss such as cr.MSELoss(), not {loss!r}.")
    optimizer = Adam() if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an optimizer such as cr.Adam(), not {optimizer!r}.")
    if not all_finite(net.params):
        raise ValueError("net.params must be finite before the training starts.")
    data = Batch.checked(net, loss, X, y, sample_weight)
    held_out = None
    if validation is not None:
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            raise ValueError("validation must be a pair (X, y).")
        held_out = Batch.checked(net, loss, *validation, None, ("validation X", "validation y"))
    epochs = integer(epochs, "epochs", least=1)
    batch_size = integer(batch_size, "batch_size", least=1)
    if batch_size > data.rows:
        raise ValueError(f"batch_size is {batch_size}, but X has only {data.rows} rows.")
    seed = integer(seed, "seed", least=0)
    callbacks = Callbacks.checked(callbacks)

    backend = check_backend(backend or net.backend)
    trainer = _Trainer(net, loss, optimizer, data, batch_size, backend)
    history = History()
    with (
        TrainingProgress(epochs, data.rows, shown=progress) as bar,
        interruption() as stop,
    ):
        training = Training(
            net,
            loss,
            optimizer,
            history,
            data.inputs,
            data.targets.y,
            data.weights,
            batch_size,
            epochs,
            backend,
            stop,
        )
        calls = Callbacks(callbacks, training)
        calls.begin()
        one_by_one = held_out is not None or calls.by_epoch  # else short epochs go together
        while training.epoch < epochs and not training.stopped:
            count = 1 if one_by_one else trainer.epochs_in_slice(calls)
            first = training.epoch
            orders = epoch_orders(data.rows, first, count, seed=seed if shuffle else None)
            if not trainer.run_epochs(orders, calls, bar):
                break
            if held_out is not None:
                value, correct = trainer.evaluate(held_out)
                history.validation_loss.append(value)
                if correct is not None:
                    history.validation_accuracy.append(correct)
                bar.validated(value, correct)
            calls.after_epochs(count)
        history.interrupted = stop.requested
        calls.end()
    return history


def _mean(losses: NDArray[np.float64], weights: NDArray[np.float64]) -> list[float]:
    """Return the weighted mean of each row; 0 where nothing has a weight."""
    totals = weights.sum(axis=1)
    sums = (losses * weights).sum(axis=1)
    means: list[float] = (sums / np.where(totals > 0, totals, 1)).tolist()
    return means


class _Trainer:
    """One training: a network, a loss, an optimizer's state and a machine that joins them."""

    def __init__(
        self,
        net: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        data: Batch,
        batch_size: int,
        backend: str,
    ) -> None:
        self.net, self.loss, self.optimizer = net, loss, optimizer
        self.data, self.batch = data, batch_size
        self.plan = net.make_plan(
            data.inputs.shape[1:],
            batch_size,
            loss=loss,
            steps=MOST_STEPS,
            threads=threads_for(backend),
        )
        self.machine = Machine(self.plan, net.dtype, backend)
        self.state: OptimizerState = optimizer.state(net)
        self.losses = self.machine.losses_for(1)
        self.steps_in_slice = 1
        self.rollback = Rollback(net, self.state, self._run, batch_size)

    def _run(self, order: NDArray[np.int64], phases: int = STEP) -> int:
        batches: int = self.machine.run(
            phases,
            order,
            params=self.net.params,
            grads=self.net.grads,
            losses=self.losses,
            update=self.state.rule,
            state=self.state.vectors,
            **self.data.arguments,
        )
        return batches

    def _steps_until_pause(self, calls: Callbacks) -> int:
        return int(min(self.steps_in_slice, calls.steps))

    def epochs_in_slice(self, calls: Callbacks) -> int:
        """Return how many whole epochs, one at least, shall run without a pause."""
        most = calls.training.epochs - calls.training.epoch
        steps = -(-self.data.rows // self.batch)
        return max(1, min(most, self._steps_until_pause(calls) // steps))

    def run_epochs(
        self, orders: NDArray[np.int64], calls: Callbacks, bar: TrainingProgress
    ) -> bool:
        """Train in these orders: one epoch slice by slice, or several in one slice.

        Returns whether they were finished.
        """
        started = perf_counter()
        training = calls.training
        history, epoch = training.history, training.epoch
        epochs, rows = orders.shape
        weights, losses = [], []
        start, seen, total = 0, 0.0, 0.0
        while start < rows:
            if training.stopped:
                return False
            length = rows if epochs > 1 else self._steps_until_pause(calls) * self.batch
            chosen = orders[:, start : start + length]
            weight, loss = self._run_slice(epoch, start, chosen, history)
            weights.append(weight)
            losses.append(loss)
            start += chosen.shape[1]
            seen += float(weight[-1].sum())
            total += float(weight[-1] @ loss[-1])
            bar.advance(epoch + epochs - 1, start, total / (seen or 1))
            calls.after_steps(loss.size)
        history.seconds += [(perf_counter() - started) / epochs] * epochs
        history.loss += _mean(np.hstack(losses), np.hstack(weights))
        return True

    def _run_slice(
        self, epoch: int, start: int, orders: NDArray[np.int64], history: History
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Train in these orders without a pause; return weight and loss of each epoch's steps."""
        epochs, rows = orders.shape
        steps = -(-rows // self.batch)
        if len(self.losses) < epochs * steps:
            self.losses = self.machine.losses_for(epochs * steps)
        self.optimizer.state(self.net)  # a callback may have set a number, such as lr
        self.rollback.before(orders)
        started = perf_counter()
        done = self._run(orders)
        self._aim_for_slice_seconds(done, perf_counter() - started)
        weights, losses = self.losses[:done, 0], self.losses[:done, 1:].sum(axis=1)
        history.batch_loss += losses.tolist()
        if done < epochs * steps or not all_finite(self.net.params):
            failed_epoch, failed = divmod(min(done, epochs * steps - 1), steps)
            batch = orders[failed_epoch, failed * self.batch : (failed + 1) * self.batch]
            raise self._non_finite(epoch + failed_epoch, start // self.batch + failed, batch)
        return weights.reshape(epochs, steps).copy(), losses.reshape(epochs, steps)

    def _aim_for_slice_seconds(self, steps: int, seconds: float) -> None:
        # Growing tenfold at the most keeps one quick measurement from making a slice too long; but
        # one that ended early, at an epoch's end or for a callback, must not make the next short.
        most = 10 * max(steps, self.steps_in_slice)
        wanted = int(min(most, steps * SLICE_SECONDS / max(seconds, 1e-9)))
        self.steps_in_slice = min(MOST_STEPS, max(1, wanted))

    def _non_finite(self, epoch: int, step: int, rows: NDArray[np.int64]) -> NonFiniteError:
        """Return the error for a batch that went wrong, and restore the last finite parameters."""
        self._run(rows, Phase.FORWARD)
        layer = self._first_non_finite_layer(rows.size)
        if not all_finite(self.net.params):
            self.rollback.to_last_finite()
        return NonFiniteError(
            f"The loss is not finite in epoch {epoch + 1}, step {step + 1}; the first output that "
            f"is not finite is that of {layer}. The network keeps its last finite parameters. "
            "A smaller learning rate may help.",
            epoch=epoch + 1,
            step=step + 1,
            layer=layer,
        )

    def _first_non_finite_layer(self, rows: int) -> str:
        if self.plan.gathered and not np.isfinite(self.machine.rows_at("input", rows)).all():
            return self.net.layer_name(self.plan.gathered)
        for step, positions in zip(self.plan.instructions, self.plan.layers, strict=True):
            size = rows * int(step["repeat"]) * int(step["outputs"])
            y = self.machine.arena[step["y"] : step["y"] + size]
            if not np.isfinite(y).all():
                return self.net.layer_name(positions)
        return "the loss"

    def evaluate(self, data: Batch) -> tuple[float, float | None]:
        """Return the mean loss on ``data``, and the accuracy if it is a classification."""
        outputs = np.empty((data.rows, self.plan.output_columns), self.net.dtype)
        losses = self.machine.losses_for(-(-data.rows // self.batch))
        done = self.machine.run(
            Phase.FORWARD | Phase.OUTPUT,
            data.rows,
            params=self.net.params,
            outputs=outputs,
            losses=losses,
            **data.arguments,
        )
        mean = float(losses[:, 0] @ losses[:, 1:].sum(axis=1) / losses[:, 0].sum())
        correct = self.loss.accuracy(self.plan.split_outputs(outputs), data.targets)
        if correct is not None and done < len(losses):
            correct = nan  # a loss that is not finite has ended the run
        return mean, correct

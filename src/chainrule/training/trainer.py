"""Trainer: a network, a loss and an optimizer's state, and the machine that joins them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import nan
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import FloatArray, all_finite
from chainrule.averaging import ExponentialMovingAverage
from chainrule.batch import Batch
from chainrule.callbacks import Callbacks, Training
from chainrule.engine.backends import threads_for
from chainrule.engine.instructions import Phase
from chainrule.engine.machine import Machine
from chainrule.engine.masks import mask_key
from chainrule.engine.orders import epoch_orders
from chainrule.errors import NonFiniteError
from chainrule.history import History
from chainrule.losses import Loss
from chainrule.network import Sequential
from chainrule.optimizers import Optimizer, OptimizerState
from chainrule.progress import TrainingProgress
from chainrule.rollback import Rollback
from chainrule.schedules import Schedule
from chainrule.training.begun import BegunEpoch
from chainrule.training.pace import MOST_STEPS, Pace

STEP = Phase.FORWARD | Phase.BACKWARD | Phase.CLIP | Phase.UPDATE | Phase.AVERAGE


class Extras(NamedTuple):
    """What steps do besides what the optimizer's rule says; 0 is no limit."""

    clip_norm: float = 0.0
    clip_value: float = 0.0
    average: ExponentialMovingAverage | None = None
    seed: int = 0  # of what dropouts leave out

    @property
    def numbers(self) -> dict[str, float]:
        """What the rule is told."""
        decay = 0.0 if self.average is None else self.average.decay
        return {
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "average_decay": decay,
        }

    @property
    def averaged(self) -> FloatArray | None:
        """The average of the parameters, if any."""
        return None if self.average is None else self.average.network.params


class Trainer:
    """One training, done whole slices of an epoch at a time inside compiled code."""

    steps_a_call = MOST_STEPS

    def __init__(
        self,
        net: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        data: Batch,
        batch_size: int,
        backend: str,
        schedule: Schedule | None = None,
        seed: int | None = None,
        extras: Extras | None = None,
    ) -> None:
        self.extras = Extras() if extras is None else extras
        self.schedule, self.seed = schedule, seed
        self._mask_key = mask_key(self.extras.seed)
        self.net, self.loss, self.optimizer = net, loss, optimizer
        self.data, self.batch, self.backend = data, batch_size, backend
        self.an_epoch: int | None = data.rows  # what the progress bar counts
        self.make_machine()
        self.state: OptimizerState = optimizer.state(net, **self.extras.numbers)
        self.pace = Pace()
        self.begun = BegunEpoch()
        self.rollback = Rollback(net, self.state, self._run, batch_size, self.extras.averaged)

    def make_machine(self) -> None:
        """Make a machine for batches of as many rows as they have now."""
        make_plan = partial(
            self.net.make_plan,
            self.data.inputs.shape[1:],
            self.batch,
            loss=self.loss,
            steps=self.steps_a_call,
            threads=threads_for(self.backend),
        )
        self.plan = make_plan(drops=True)
        self.machine = self._evaluator = Machine(self.plan, self.net.dtype, self.backend)
        if self.plan.drops:
            self._evaluator = Machine(make_plan(backward=False), self.net.dtype, self.backend)
        self.losses = self.machine.losses_for(1)

    def go_on_from(self, begun: BegunEpoch) -> None:
        """Take in that parameters and state were set to those of an earlier training."""
        self.begun = begun
        self.rollback = Rollback(self.net, self.state, self._run, self.batch, self.extras.averaged)

    def _run(
        self,
        order: NDArray[np.int64],
        rates: NDArray[np.float64] | None,
        data: Batch,
        phases: int = STEP,
    ) -> int:
        batches: int = self.machine.run(
            phases,
            order,
            params=self.net.params,
            grads=self.net.grads,
            losses=self.losses,
            update=self.state.rule,
            rates=rates,
            state=self.state.vectors,
            average=self.extras.averaged,
            masks=(self._mask_key, self.state.step),
            **data.arguments,
        )
        return batches

    def epochs_in_slice(self, calls: Callbacks, most: float) -> int:
        """Return how many whole epochs, one at least and ``most``, shall run without a pause."""
        if self.begun.rows:
            return 1
        most = min(most, calls.epochs, calls.training.epochs - calls.training.epoch)
        steps = -(-self.data.rows // self.batch)
        return max(1, int(min(most, self.pace.steps_until_pause(calls) // steps)))

    def run_epochs(
        self,
        epochs: int,
        calls: Callbacks,
        bar: TrainingProgress,
        after_slice: Callable[[], None],
    ) -> bool:
        """Train for so many epochs: one slice by slice, or several in one slice.

        An epoch that was begun goes on where it was. ``after_slice`` is called where it pauses.

        Returns whether they were finished.
        """
        training, begun = calls.training, self.begun
        started = perf_counter() - begun.seconds
        history, epoch, rows = training.history, training.epoch, self.data.rows
        orders = epoch_orders(rows, self._epochs_before(training) + epoch, epochs, seed=self.seed)
        while begun.rows < rows:
            if training.stopped:
                return False
            length = rows if epochs > 1 else self.pace.steps_until_pause(calls) * self.batch
            chosen = orders[:, begun.rows : begun.rows + length]
            rates = self._rates(calls.training.step, epochs * -(-chosen.shape[1] // self.batch))
            weights, losses = self._run_slice(epoch, begun.rows, chosen, rates, history)
            begun.add(chosen.shape[1], weights, losses)
            begun.seconds = perf_counter() - started
            bar.advance(epoch + epochs - 1, begun.rows, begun.loss)
            calls.after_steps(losses.size)
            if begun.rows < rows:
                after_slice()
        last_steps = slice(losses.shape[1] - 1, None, losses.shape[1])
        lrs = [self.optimizer.lr] * epochs if rates is None else rates[last_steps].tolist()
        self._end_epochs(lrs, perf_counter() - started, history)
        return True

    def _epochs_before(self, training: Training) -> int:
        """Return how many epochs the optimizer had begun before this training.

        Orders go on after them, as masks do after its steps.
        """
        steps = -(-self.data.rows // self.batch)
        return -(-(self.state.step - training.step) // steps)

    def _end_epochs(self, lrs: list[float], seconds: float, history: History) -> None:
        history.lr += lrs
        history.seconds += [seconds / len(lrs)] * len(lrs)
        history.loss += self.begun.mean_losses()
        self.begun = BegunEpoch()

    def _rates(self, first: int, steps: int) -> NDArray[np.float64] | None:
        """Return the learning rates of so many steps; the optimizer keeps the last of them."""
        if self.schedule is None:
            return None
        rates = self.schedule(np.arange(first, first + steps))
        self.optimizer.lr = float(rates[-1])
        return rates

    def _run_slice(
        self,
        epoch: int,
        start: int,
        orders: NDArray[np.int64],
        rates: NDArray[np.float64] | None,
        history: History,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Train in these orders without a pause; return weight and loss of each epoch's steps."""
        epochs, rows = orders.shape
        steps = -(-rows // self.batch)
        if len(self.losses) < epochs * steps:
            self.losses = self.machine.losses_for(epochs * steps)
        # A callback may have set a number, such as lr.
        self.optimizer.state(self.net, **self.extras.numbers)
        self.rollback.before(orders, rates, self.data)
        started = perf_counter()
        done = self._run(orders, rates, self.data)
        self.pace.ran(done, perf_counter() - started)
        weights, losses = self.losses[:done, 0], self.losses[:done, 1:].sum(axis=1)
        history.batch_loss += losses.tolist()
        if done < epochs * steps or not all_finite(self.net.params):
            failed_epoch, failed = divmod(min(done, epochs * steps - 1), steps)
            batch = orders[failed_epoch, failed * self.batch : (failed + 1) * self.batch]
            raise self._non_finite(epoch + failed_epoch, start // self.batch + failed, batch)
        return weights.reshape(epochs, steps).copy(), losses.reshape(epochs, steps)

    def _non_finite(self, epoch: int, step: int, rows: NDArray[np.int64]) -> NonFiniteError:
        """Return the error for a batch that went wrong, and restore the last finite parameters."""
        self._run(rows, None, self.data, Phase.FORWARD)
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

    def evaluate(self, data: Batch) -> tuple[float, float | None, list[FloatArray]]:
        """Return the mean loss on ``data``, the accuracy if it is a classification, the outputs."""
        outputs = np.empty((data.rows, self.plan.output_columns), self.net.dtype)
        losses = self._evaluator.losses_for(-(-data.rows // self.batch))
        done = self._evaluator.run(
            Phase.FORWARD | Phase.OUTPUT,
            data.rows,
            params=self.net.params,
            outputs=outputs,
            losses=losses,
            **data.arguments,
        )
        mean = float(losses[:, 0] @ losses[:, 1:].sum(axis=1) / losses[:, 0].sum())
        of_heads = self.plan.split_outputs(outputs)
        correct = self.loss.accuracy(of_heads, data.targets, data.weights)
        if correct is not None and done < len(losses):
            correct = nan  # a loss that is not finite has ended the run
        return mean, correct, of_heads

"""EpochRunner: runs epochs of a training in compiled code, slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import nan
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.autodiff.machines import put_back, take
from chainrule.engine.masks import mask_key
from chainrule.engine.orders import EpochOrders
from chainrule.engine.update import UpdateOptions
from chainrule.kernels.context import Phase
from chainrule.losses import Loss
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.optimizers import Optimizer, OptimizerState
from chainrule.training.averaging import ExponentialMovingAverage
from chainrule.training.callbacks import Callbacks, Training
from chainrule.training.errors import NonFiniteError
from chainrule.training.history import History
from chainrule.training.progress import TrainingProgress
from chainrule.training.rollback import Rollback
from chainrule.training.schedules import Schedule
from chainrule.training.slice_length import MOST_STEPS, SliceLength
from chainrule.training.started_epochs import StartedEpochs
from chainrule.utils.arguments import at_least_zero
from chainrule.utils.arrays import FloatArray, all_finite
from chainrule.utils.inputs import arrays_of, one_or_tuple
from chainrule.utils.wording import possessive

STEP = Phase.FORWARD | Phase.BACKWARD | Phase.UPDATE


class Extras(NamedTuple):
    """Options of a step besides the optimizer's; a limit of 0 means none."""

    clip_norm: float = 0.0
    clip_value: float = 0.0
    average: ExponentialMovingAverage | None = None
    seed: int = 0  # of the dropout masks

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers that a checkpoint stores."""
        decay = 0.0 if self.average is None else self.average.decay
        return {
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "average_decay": decay,
        }

    @property
    def update_options(self) -> UpdateOptions:
        """The options of the update's program."""
        decay = None if self.average is None else self.average.decay
        return UpdateOptions(self.clip_norm, self.clip_value, decay)

    @property
    def averaged(self) -> FloatArray | None:
        """The average of the parameters, if any."""
        return None if self.average is None else self.average.network.params


class EpochRunner:
    """Runs the epochs of one training: each call of compiled code runs a slice of many steps.

    It holds the network, the loss, the optimizer's state, the data and the machine; callbacks are
    given the :class:`Training` instead.
    """

    steps_a_call = MOST_STEPS

    def __init__(
        self,
        net: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        data: DataSet,
        batch_size: int,
        backend: str,
        schedule: Schedule | None = None,
        seed: int | None = None,
        extras: Extras | None = None,
    ) -> None:
        self.extras = Extras() if extras is None else extras
        self.schedule, self.seed = schedule, seed
        self._mask_key = mask_key(self.extras.seed)
        self.orders = EpochOrders(data.rows, seed)
        self.net, self.loss, self.optimizer = net, loss, optimizer
        self.data, self.batch, self.backend = data, batch_size, backend
        self._own_grads: FloatArray | None = None
        self.an_epoch: int | None = data.rows  # the length of an epoch on the progress bar
        self.make_machine()
        if schedule is not None:
            schedule.check_numbers(net.dtype)
        self.state: OptimizerState = optimizer.state(net, self._update_options)
        self.machine.prepare(self.state.program)  # compiles, before the progress bar is shown
        self._evaluator.prepare()
        self.slice_length = SliceLength()
        self.started = StartedEpochs()
        self.rollback = Rollback(net, self.state, self._run, batch_size, self.extras.averaged)

    @property
    def _grads(self) -> FloatArray:
        """The vector of the gradients: one of its own where those of tables must stay 0."""
        program = self.state.program
        if program is None or not program.updates_rows:
            return self.net.grads
        if self._own_grads is None:
            # Not zeros_like, which writes: these are pages that nothing has touched.
            self._own_grads = np.zeros(self.net.grads.size, self.net.dtype)
        return self._own_grads

    @property
    def _update_options(self) -> UpdateOptions:
        """The options of the update's program, for the present plan."""
        return self.extras.update_options._replace(tables=self.plan.tables)

    def make_machine(self) -> None:
        """Take a machine for batches of the present size from the pool, or make one."""
        take_for = partial(
            take,
            self.net,
            Sequential.make_plan,
            self.data.inputs.shape[1:],
            self.batch,
            backend=self.backend,
            loss=self.loss,
            steps=self.steps_a_call,
        )
        self._frozen = self.net.frozen
        self._taken = [take_for(training=True, frozen=self._frozen)]
        self.machine = self._evaluator = self._taken[0][1]
        self.plan = self.machine.plan
        if self.plan.only_trains:
            self._taken.append(take_for(backward=False))
            self._evaluator = self._taken[1][1]
        self.losses = self.machine.losses_for(1)

    def put_machines_back(self) -> None:
        """Return the machines to the network's pool; not to be called after an error in one."""
        for key, machine in self._taken:
            put_back(self.net, key, machine)

    def resume_from(self, started: StartedEpochs) -> None:
        """Continue started epochs, after parameters and state were restored."""
        self.started = started
        self.rollback = Rollback(self.net, self.state, self._run, self.batch, self.extras.averaged)

    def _run(
        self,
        order: NDArray[np.int64],
        rates: NDArray[np.float64] | None,
        data: DataSet,
        phases: int = STEP,
    ) -> int:
        machine, net = self.machine, self.net
        run = machine.prepare_run(phases, **self.state.arguments)
        batches = run(
            order,
            machine.vectors(net.params, grads=self._grads, average=self.extras.averaged),
            data.record,
            machine.results(losses=self.losses),
            lr=self.state.lr,
            rates=rates,
            masks=(self._mask_key, self.state.step),
        )
        if self.extras.average is not None:
            self.extras.average.copy_buffers()
        return batches

    def epochs_in_slice(self, calls: Callbacks, most: float) -> int:
        """Return how many whole epochs, from 1 to ``most``, to run without a pause."""
        if self.started.rows:
            return 1
        most = min(most, calls.epochs, calls.training.epochs - calls.training.epoch)
        steps = -(-self.data.rows // self.batch)
        return max(1, int(min(most, self.slice_length.steps_until_pause(calls) // steps)))

    def run_epochs(
        self,
        epochs: int,
        calls: Callbacks,
        bar: TrainingProgress,
        after_slice: Callable[[], None],
    ) -> bool:
        """Train for ``epochs`` epochs: one of them slice by slice, or several in one slice.

        A started epoch is continued. ``after_slice`` is called between the slices of an epoch.

        Returns whether the epochs were finished.
        """
        training, started = calls.training, self.started
        began_at = perf_counter() - started.seconds
        epoch, rows = training.epoch, self.data.rows
        orders = self.orders.epochs(self._epochs_before(training) + epoch, epochs)
        while started.rows < rows:
            if training.stopped:
                return False
            length = rows if epochs > 1 else self.slice_length.steps_until_pause(calls) * self.batch
            chosen = orders[:, started.rows : started.rows + length]
            rates = self._rates(calls.training.step, epochs * -(-chosen.shape[1] // self.batch))
            weights, losses = self._run_slice(training, started.rows, chosen, rates)
            started.add(chosen.shape[1], weights, losses)
            started.seconds = perf_counter() - began_at
            bar.advance(epoch + epochs - 1, started.rows, started.loss)
            calls.after_steps(losses.size)
            if started.rows < rows:
                after_slice()
        self._end_epochs(epochs, rates, perf_counter() - began_at, training.history)
        return True

    def _epochs_before(self, training: Training) -> int:
        """Return how many epochs the optimizer had started before this training.

        The random orders of the rows continue from there, as dropout masks do.
        """
        steps = -(-self.data.rows // self.batch)
        return -(-(self.state.step - training.step) // steps)

    def _end_epochs(
        self, epochs: int, rates: NDArray[np.float64] | None, seconds: float, history: History
    ) -> None:
        """Record finished epochs in the history; ``rates`` are the learning rates of the steps."""
        if rates is None:
            history.lr += [float(self.optimizer.lr)] * epochs
        else:
            history.lr += rates.reshape(epochs, -1)[:, -1].tolist()
        history.seconds += [seconds / epochs] * epochs
        history.loss += self.started.mean_losses()
        self.started = StartedEpochs()

    def _rates(self, first: int, steps: int) -> NDArray[np.float64] | None:
        """Return the learning rates of these steps; the last one becomes the optimizer's lr."""
        if self.schedule is None:
            return None
        rates = self.schedule(np.arange(first, first + steps))
        name = f"{possessive(type(self.schedule).__name__)} highest rate"
        at_least_zero(float(rates.max()), name, self.net.dtype)
        self.optimizer.lr = float(rates[-1])
        return rates

    def _run_slice(
        self,
        training: Training,
        start: int,
        orders: NDArray[np.int64],
        rates: NDArray[np.float64] | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Train in these orders without a pause; return weight and loss of each epoch's steps."""
        epochs, rows = orders.shape
        steps = -(-rows // self.batch)
        if self.net.frozen != self._frozen:  # a callback may have frozen some
            self.put_machines_back()
            self.make_machine()
        if len(self.losses) < epochs * steps:
            self.losses = self.machine.losses_for(epochs * steps)
        # A callback may have set a number, such as lr.
        self.optimizer.state(self.net, self._update_options)
        self.rollback.before(orders, rates, self.data)
        self.net.invalidate_forward("fit")
        began_at = perf_counter()
        done = self._run(orders, rates, self.data)
        seconds = perf_counter() - began_at
        self.slice_length.ran(done, seconds)
        weights, losses = self.losses[:done].T.copy()
        if done == epochs * steps and all_finite(self.net.values):
            training.history.batch_loss += losses.tolist()
            return weights.reshape(epochs, steps), losses.reshape(epochs, steps)

        failed, layer, what, why = self._undo_failure(orders, done)
        # The history has the steps before the failed one.
        training.history.batch_loss += losses[:failed].tolist()
        if rates is not None:
            self.optimizer.lr = float(rates[failed])
        finished, step = divmod(failed, steps)
        if finished:
            before, shape = finished * steps, (finished, steps)
            self.started.add(rows, weights[:before].reshape(shape), losses[:before].reshape(shape))
            rates = None if rates is None else rates[:before]
            self._end_epochs(finished, rates, seconds * before / done, training.history)
        training.epoch += finished
        training.step += failed
        epoch, step = training.epoch + 1, start // self.batch + step + 1
        raise NonFiniteError(
            f"{what} is not finite in epoch {epoch}, step {step}; {why}. The network keeps its "
            "last finite parameters. A smaller learning rate, clip_norm or data on a smaller scale "
            "may help.",
            epoch=epoch,
            step=step,
            layer=layer,
            history=training.history,
        )

    def _undo_failure(self, orders: NDArray[np.int64], done: int) -> tuple[int, str, str, str]:
        """Restore the state from before the first step of a slice that is not finite.

        Returns
        -------
        step : int
            Its number in the slice.
        layer, what, why : str
            The layer, what is not finite, and where it was first seen, for the message.
        """
        if all_finite(self.net.values):  # a loss that is not finite ends a slice before it steps
            epoch, start = divmod(done * self.batch, -(-orders.shape[1] // self.batch) * self.batch)
            rows = orders[epoch, start : start + self.batch]
            layer = self._first_non_finite_layer(rows)
            why = f"the first output that is not finite is that of {layer}"
            return done, layer, "The loss", why
        step, name = self.rollback.to_last_finite()
        if self.extras.average is not None:
            self.extras.average.copy_buffers()
        paths = [path for path, _ in self.net.chain]
        layer = self.net.layer_name((paths.index(name.rpartition(".")[0]),))
        gradients = self.net.views(self._grads)
        if name not in gradients:
            return step, layer, f"{name} of {layer}", "its inputs have grown too large"
        gradient = gradients[name]
        size = f"as large as {abs(gradient).max():.3g}" if all_finite(gradient) else "not finite"
        why = f"the first such parameter is {name} of {layer}"
        if gradient.any():  # that of a table is 0 again after a step
            why += f", whose gradient is {size}"
        return step, layer, "The optimizer's step", why

    def _first_non_finite_layer(self, rows: NDArray[np.int64]) -> str:
        """Return the first layer whose output for these rows is not finite."""
        net, shape = self.net, self.data.inputs.shape[1:]
        plan = net.make_plan(shape, rows.size, backward=False, retain=True, training=True)
        machine = net.make_machine(plan, self.backend)
        machine.prepare_run(Phase.GATHER | Phase.PREDICT)(
            rows,
            machine.vectors(net.params),
            self.data.record,
            masks=(self._mask_key, self.state.step),
        )
        for step in plan.steps:
            if not np.isfinite(machine.value_at(step.y, rows.size)).all():
                return net.layer_name(tuple(step.layers))
        return "the loss"

    def evaluate(self, data: DataSet) -> tuple[float, float | None, list[FloatArray] | None]:
        """Return the mean loss on ``data``, the accuracy of a classification or None, the outputs.

        If the loss is not finite, the accuracy is NaN and the outputs are None.
        """
        if not self.net.graph.rows_are_independent:
            return self._evaluate_at_once(data)
        outputs = np.empty((data.rows, self.plan.output_columns), self.net.dtype)
        losses = self._evaluator.losses_for(-(-data.rows // self.batch))
        done = self._evaluator.run(
            Phase.FORWARD | Phase.OUTPUT,
            data.rows,
            self._evaluator.vectors(self.net.params),
            data.record,
            self._evaluator.results(outputs, losses),
        )
        mean = float(losses[:, 0] @ losses[:, 1] / losses[:, 0].sum())
        of_heads = self.plan.split_outputs(outputs)
        if not self.loss.is_one_mean and done == len(losses):
            mean, _ = self.loss(tuple(of_heads), data.targets.y, data.weights)
        correct = self.loss.accuracy(of_heads, data.targets, data.weights)
        if done < len(losses):
            return mean, None if correct is None else nan, None
        return mean, correct, of_heads

    def _evaluate_at_once(
        self, data: DataSet
    ) -> tuple[float, float | None, list[FloatArray] | None]:
        """Return the same for a network whose rows depend on each other."""
        outputs = self.net.predict(one_or_tuple(arrays_of(data.inputs)))
        of_heads = list(outputs) if isinstance(outputs, tuple) else [outputs]
        if not all(map(all_finite, of_heads)):
            has_accuracy = self.loss.accuracy(of_heads, data.targets, data.weights) is not None
            return nan, nan if has_accuracy else None, None
        mean, _ = self.loss(outputs, data.targets.y, data.weights)
        return mean, self.loss.accuracy(of_heads, data.targets, data.weights), of_heads

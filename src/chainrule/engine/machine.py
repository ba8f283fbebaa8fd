"""A machine: the interpreter with the memory that one plan needs."""

from _thread import start_new_thread
from collections.abc import Sequence
from math import prod
from time import perf_counter, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.backends import get_run, is_compiled
from chainrule.engine.foreign import bind
from chainrule.engine.rows import as_rows
from chainrule.engine.thread_count import Choice, ThreadCount
from chainrule.kernels import group as in_group
from chainrule.kernels.blocks import NORM_BLOCK
from chainrule.plan.instructions import FAILED, UPDATE, Phase
from chainrule.plan.plan import Plan

Array = NDArray[Any]

ALL_THREADS = 1 << 20  # more than there are


class Machine:
    """Runs one plan, with an arena of its own.

    Parameters
    ----------
    plan : Plan
    dtype : float32 or float64
    backend : "numba" or "numpy"

    Attributes
    ----------
    usable : bool
        False while it runs, and for good after a run that an exception has ended: nobody knows in
        which state it has left the memory.
    """

    def __init__(self, plan: Plan, dtype: np.dtype, backend: str) -> None:
        self.plan, self.dtype = plan, dtype
        self._run = get_run(backend)
        self._errors: list[BaseException] = []  # that a user's own functions have raised
        self._memories: list[Array] = []  # that their arrays lie in
        how = dtype, is_compiled(backend), self._memories, self._errors
        self._instructions, steps = bind(plan.instructions, plan.step_functions, *how)
        self._heads, losses = bind(plan.heads, plan.loss_functions, *how)
        self._bound = [*steps, *losses]  # their addresses stand in the two tables
        rows = [("input", 0, plan.layout[0], plan.input_shape)]
        for i, shape in enumerate(plan.output_shapes):
            rows.append(("output", i, plan.heads[i], shape))
        self._places = {
            (f"{prefix}{name}", i): (int(row[f"{prefix}{name}"]), prod(shape), shape)
            for name, i, row, shape in rows
            for prefix in ("", "d_")
        }
        for i, (start, shape) in enumerate(plan.seeds):
            self._places["seed", i] = start, prod(shape), shape
        self.arena = _aligned_zeros(plan.arena_size, dtype)
        self._label = np.zeros(plan.batch, np.int64)
        self._memories += [self.arena, self._label, np.empty(0, dtype)]  # the last: parameters
        self._batch_in_order = np.arange(plan.batch)[np.newaxis]
        self._no_vector, self._no_matrix = np.empty(0, dtype), np.empty((0, 0), dtype)
        self._no_update, self._no_losses = np.zeros(1, UPDATE), self.losses_for(0)
        self._alone = _new_group(Choice(1, 1))  # for runs of one thread
        self._thread_count = ThreadCount(plan.threads)
        self._no_shares = np.zeros_like(plan.shares)
        self._no_rates = np.empty(0)
        self.squares = np.empty(0)
        self._no_rows = as_rows(np.empty((1, 0), dtype))
        self._no_targets = _read_only(np.empty(0, dtype))
        self._no_labels = _read_only(np.empty(0, np.int64))
        self._no_weights = _read_only(np.empty(0, dtype))
        self.usable = True

    def run(
        self,
        phases: int,
        order: NDArray[np.int64] | int,
        *,
        params: Array,
        direction: Array | None = None,
        grads: Array | None = None,
        inputs: Array | None = None,
        targets: Array | None = None,
        labels: Array | None = None,
        weights: Array | None = None,
        outputs: Array | None = None,
        losses: Array | None = None,
        update: Array | None = None,
        rates: Array | None = None,
        state: Array | None = None,
        average: Array | None = None,
        masks: tuple[int, int] = (0, 0),
        first_step: int = 0,
    ) -> int:
        """Do ``phases`` for the rows in ``order``; see ``interpreter.run``.

        One epoch's order may be a vector, or a number: so many rows, one after the other. Inputs,
        targets, labels and weights are as ``chainrule.utils.arrays`` returns them; of a network
        with several outputs, targets and labels are vectors, one output's after the other's.
        Without ``grads``, the way back leaves the parameters' gradients out. ``rates`` is a float64
        vector, the learning rate of each batch; without it, all have the rule's. ``average`` is a
        vector like ``params``. ``masks`` are the key that dropouts draw with, and the number of the
        first batch's draw.
        """
        if phases & Phase.BACKWARD and not self.plan.backward:
            raise RuntimeError("the plan has no room for a backward pass.")
        if not self.usable:
            raise RuntimeError("This machine cannot run again: an exception has ended a run of it.")
        self.usable = False
        if self._bound:
            self._memories[-1] = params
        if phases & Phase.CLIP and grads is not None:
            blocks = -(-grads.size // NORM_BLOCK)
            if self.squares.size != blocks:
                self.squares = np.empty(blocks)
        epochs = self._epochs(order)
        arguments = (
            phases,
            self._instructions,
            self._heads,
            self.plan.layout,
            self._no_update if update is None else update,
            self._no_rates if rates is None else rates,
            params,
            self._no_vector if direction is None else direction,
            self._no_vector if grads is None else grads,
            self.squares,
            self._no_matrix if state is None else state,
            self._no_vector if average is None else average,
            self.arena,
            masks,
            self._label,
            self._no_rows if inputs is None else as_rows(inputs),
            self._no_targets if targets is None else targets.reshape(-1),
            self._no_labels if labels is None else labels,
            self._no_weights if weights is None else weights,
            epochs,
            self._no_matrix if outputs is None else outputs,
            self._no_losses if losses is None else losses,
            self._no_shares if grads is None else self.plan.shares,
        )
        total = len(epochs) * -(-epochs.shape[1] // self.plan.batch)
        if self.plan.threads > 1:
            batches = self._run_in_slices(arguments, first_step, total)
        else:
            batches = self._run(*arguments, self._alone, first_step, (0, total), 0)
        if batches == FAILED or self._errors:
            raise self._find_error()
        self.usable = True
        return batches

    def _find_error(self) -> BaseException:
        """Return what has ended a run that failed."""
        found = [function.find_error() for function in self._bound]
        errors = [error for error in [*self._errors, *found] if error is not None]
        return errors[0] if errors else RuntimeError("A run has failed, and no error says why.")

    def _run_in_slices(self, arguments: tuple[Any, ...], first_step: int, total: int) -> int:
        """Run with as many threads as pay, which is found out on the way."""
        done = 0
        while done < total:
            choice = self._thread_count.choose(total - done)
            group = self._alone if choice.threads == 1 else _new_group(choice)
            end = min(total, done + choice.batches)
            began = perf_counter()
            reached = self._run_by_all((*arguments, group, first_step, (done, end)), group)
            if reached == FAILED:
                return FAILED
            shared = int(group[in_group.SHARED_BATCHES])
            shared_seconds = float(group[in_group.SHARED_TIME]) / 1e9
            seconds = perf_counter() - began
            self._thread_count.learn(choice, reached - done, seconds, shared, shared_seconds)
            done = reached
            if done < end:
                break
        return done

    def _run_by_all(self, arguments: tuple[Any, ...], group: NDArray[np.int64]) -> int:
        """Let all threads of a group run, and return what the first one returns."""
        errors: list[BaseException] = []

        def work(thread: int) -> None:
            try:
                self._run(*arguments, thread)
            except BaseException as error:
                errors.append(error)
                group[in_group.GENERATION] = in_group.FAILED
                group[in_group.LEFT] += ALL_THREADS  # or nobody knows how many have left

        try:
            for thread in range(1, int(group[in_group.WANTED])):
                try:  # not threading.Thread, whose start waits until the thread runs
                    start_new_thread(work, (thread,))
                except RuntimeError as error:
                    if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                        raise  # it comes from Python: a handler of a signal has raised it
                    # The system has no more: the first one does it alone.
                    group[in_group.STATE], group[in_group.WANTED] = in_group.CLOSED, 1
                    break
            batches: int = self._run(*arguments, 0)
        except BaseException:
            # Those that were not admitted yet find the group closed; what the others do is over
            # when they say so themselves.
            group[in_group.GENERATION] = in_group.FAILED
            if group[in_group.STATE] == in_group.GATHERING:
                group[in_group.STATE] = in_group.CLOSED
            while group[in_group.LEFT] < group[in_group.STATE] - 1:
                sleep(0.001)
            raise
        if errors:
            raise errors[0]
        return batches

    def _epochs(self, order: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """Return an order as ``interpreter.run`` takes it, a row for each epoch."""
        if isinstance(order, np.ndarray):
            return order if order.ndim == 2 else order[np.newaxis]
        in_order = self._batch_in_order
        if order > in_order.size:
            return np.arange(order)[np.newaxis]
        return in_order if order == in_order.size else in_order[:, :order]

    def losses_for(self, batches: int) -> NDArray[np.float64]:
        """Return room for what ``run`` tells of each batch: its weight, and its loss."""
        return np.zeros((batches, 2))

    def rows_at(self, place: str, rows: int, number: int = 0) -> Array:
        """Return the arena's view of ``rows`` rows: of input, d_input, output, d_output or seed.

        Of several outputs or seeds, it is the one with this number.
        """
        start, size, shape = self._places[place, number]
        return self.arena[start : start + rows * size].reshape(rows, *shape)

    def outputs(self, rows: int) -> list[Array]:
        """Return a copy of each output."""
        heads = range(len(self.plan.output_shapes))
        return [self.rows_at("output", rows, head).copy() for head in heads]

    def start_back_with(self, gradients: Sequence[Array | float], rows: int) -> None:
        """Write the gradient by each output where the way back finds it."""
        for head, gradient in enumerate(gradients):
            self.rows_at("d_output", rows, head)[...] = gradient


def _new_group(choice: Choice) -> NDArray[np.int64]:
    """Return the array by which threads that share batches know of each other.

    Each call has one of its own: a thread that comes too late finds it closed.
    """
    group = _aligned_zeros(in_group.GROUP_SIZE, np.dtype(np.int64))
    group[in_group.WANTED] = choice.threads
    group[in_group.LONGEST_WAIT] = choice.longest_wait * 1e9
    group[in_group.TIME_ALONE] = choice.time_alone * 1e9
    group[in_group.TOLERANCE] = choice.tolerance * 1e9
    return group


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _aligned_zeros(size: int, dtype: np.dtype, alignment: int = 64) -> Array:
    """Return zeros that begin at a cache line."""
    padded = np.zeros(size + alignment // dtype.itemsize, dtype)
    start = -padded.ctypes.data % alignment // dtype.itemsize
    return padded[start : start + size]

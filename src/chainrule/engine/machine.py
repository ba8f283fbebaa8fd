"""A machine: the interpreter with the memory that one plan needs."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Sequence
from math import prod
from time import perf_counter, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.backends import get_function, get_run, is_compiled
from chainrule.engine.binding import Binding
from chainrule.engine.rows import as_rows
from chainrule.engine.thread_count import Choice, ThreadCount
from chainrule.engine.update import UpdateProgram
from chainrule.kernels import context as words
from chainrule.kernels import group as in_group
from chainrule.kernels.blocks import NORM_BLOCK
from chainrule.kernels.context import FAILED, Phase
from chainrule.operations.operation import Tensor
from chainrule.plan.plan import Place, Plan

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
        self.plan, self.dtype, self._backend = plan, dtype, backend
        self._run, self._compiled = get_run(backend), is_compiled(backend)
        self._errors: list[BaseException] = []  # that functions in Python have raised
        self._arrays: dict[int, Array] = {}  # as the context has them, by its words
        self._no_update = self._bind((), np.zeros((0, 1), np.int64))
        self._update: tuple[UpdateProgram | None, Binding] = None, self._no_update
        self._binding, self._is_bound = self._no_update, False
        self.arena = aligned_zeros(-(-plan.arena_bytes // plan.item), dtype)
        for start, values in plan.constants:
            self.arena[start : start + len(values)] = values
        self.contexts = np.zeros((plan.threads, words.CONTEXT_SIZE), np.int64)
        self._numbers = self.contexts.view(np.float64)
        self._layout = np.array(
            [plan.batch, plan.chunk, plan.target_columns, plan.label_columns, *plan.scratch]
        )
        self._batch_in_order = np.arange(plan.batch)[np.newaxis]
        self._no_vector, self._no_matrix = np.empty(0, dtype), np.empty((0, 0), dtype)
        self._no_steps, self._no_losses = np.zeros(1, np.int64), self.losses_for(0)
        self._alone = new_group(Choice(1, 1))  # for runs of one thread
        self._thread_count = ThreadCount(plan.threads)
        self._no_rates = np.empty(0)
        self.squares = np.empty(0)
        self._no_rows = as_rows(np.empty((1, 0), dtype))
        self._no_targets = _read_only(np.empty(0, dtype))
        self._no_labels = _read_only(np.empty(0, np.int64))
        self._no_weights = _read_only(np.empty(0, dtype))
        self.usable = True

    def prepare(self, update: UpdateProgram | None = None) -> None:
        """Compile what a run with this update needs, or load it; ``run`` does it otherwise."""
        is_new = update is not None and update is not self._update[0]
        program = [] if self._is_bound else list(self.plan.program)
        if update is not None and is_new:
            program += update.program
        if self._compiled and (is_new or not self._is_bound):
            from chainrule.engine.interpreter import signature_of  # loads Numba
            from chainrule.kernels.compilation import compile_functions

            wanted = [(call.function, call.kinds) for call in program]
            compile_functions(wanted, self.dtype, get_run(self._backend), signature_of(self.dtype))
        if not self._is_bound:
            self._binding, self._is_bound = self._bind(self.plan.program, self.plan.table), True
        if update is not None and is_new:
            self._update = update, self._bind(update.program, update.table)

    def _bind(self, program: Sequence[Any], table: NDArray[np.int64]) -> Binding:
        return Binding(
            program, table, self.dtype, self._backend, self._compiled, self._arrays, self._errors
        )

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
        update: UpdateProgram | None = None,
        lr: float = 0.0,
        rates: Array | None = None,
        steps: NDArray[np.int64] | None = None,
        state: Array | None = None,
        average: Array | None = None,
        masks: tuple[int, int] = (0, 0),
        first_step: int = 0,
    ) -> int:
        """Do ``phases`` for the rows in ``order``; see ``interpreter.run``.

        One epoch's order may be a vector, or a number: so many rows, one after the other. Inputs,
        targets, labels and weights are as ``chainrule.utils.arrays`` returns them; of a network
        with several outputs, targets and labels are vectors, one output after the other. Without
        ``grads``, the backward pass leaves the parameters' gradients out. ``rates`` is a float64
        vector, the learning rate of each batch; without it, all have ``lr``. ``steps`` holds the
        number of the optimizer's steps, and ``state`` its vectors. ``average`` is a vector like
        ``params``. ``masks`` are the key that dropouts draw with, and the number of the first
        batch's draw.
        """
        binding, updating = self._begin(phases, update, grads)
        epochs = self._epochs(order)
        data = self._no_rows if inputs is None else as_rows(inputs)
        vectors = (
            params,
            self._no_vector if direction is None else direction,
            self._no_vector if grads is None else grads,
            self.squares,
            self._no_matrix if state is None else state,
            self._no_vector if average is None else average,
            self.arena,
        )
        given = (
            self._no_targets if targets is None else targets.reshape(-1),
            self._no_labels if labels is None else labels,
            self._no_weights if weights is None else weights,
            epochs,
            self._no_matrix if outputs is None else outputs,
        )
        arguments = (
            phases,
            binding.table,
            self.plan.sections,
            self._layout,
            updating.table,
            self._no_steps if steps is None else steps,
            self._no_rates if rates is None else rates,
            float(lr),
            *vectors,
            masks,
            data,
            *given,
            self._no_losses if losses is None else losses,
            self.plan.shares,
            self.contexts,
            self._numbers,
        )
        if self._needs_arrays:
            self._note_arrays(vectors, data[0], given)
        how = first_step, grads is not None
        total = len(epochs) * -(-epochs.shape[1] // self.plan.batch)
        batches = self._run_in_slices(arguments, how, total)
        if batches == FAILED:  # what has failed is called again in Python, for its error
            self._note_arrays(vectors, data[0], given)
        return self._end(batches)

    def _begin(
        self, phases: int, update: UpdateProgram | None, grads: Array | None
    ) -> tuple[Binding, Binding]:
        """Check that a run may begin; return the functions of the plan, and those of the update."""
        if phases & Phase.BACKWARD and not self.plan.backward:
            raise RuntimeError("the plan was made without a backward pass.")
        if not self.usable:
            raise RuntimeError("This machine cannot run again: an exception has ended a run of it.")
        if not (self._is_bound and (update is None or update is self._update[0])):
            self.prepare(update)
        self.usable = False
        if update is not None and grads is not None and update.clips_norm:
            blocks = -(-grads.size // NORM_BLOCK)
            if self.squares.size != blocks:
                self.squares = np.empty(blocks)
        return self._binding, self._no_update if update is None else self._update[1]

    def _end(self, batches: int) -> int:
        """Return how many batches a run has done, or raise what has ended it."""
        if batches == FAILED or self._errors:
            raise self._find_error()
        self.usable = True
        return batches

    @property
    def _needs_arrays(self) -> bool:
        """Whether some function may be called in Python, with views of arrays."""
        return not self._compiled or self._binding.has_functions_of_users

    def _note_arrays(self, vectors: Sequence[Array], data: Array, given: Sequence[Array]) -> None:
        """Note which arrays a run has, for functions in Python."""
        places = (
            *(words.PARAMS, words.DIRECTION, words.GRADS, words.SQUARES, words.STATE),
            *(words.AVERAGE, words.ARENA, words.DATA),
            *(words.TARGETS, words.LABELS, words.WEIGHTS, words.ORDER, words.OUTPUTS),
        )
        self._arrays.update(zip(places, (*vectors, data, *given), strict=True))
        self._arrays[words.SCRATCH] = self.arena
        self._arrays[words.SELF] = self.contexts

    def _find_error(self) -> BaseException:
        """Return what has ended a run that failed."""
        if self._errors:
            return self._errors[0]
        found = self._binding.find_error(self.contexts)
        return found or RuntimeError("A run has failed, and no error says why.")

    def _run_in_slices(self, arguments: tuple[Any, ...], how: tuple[int, bool], total: int) -> int:
        """Run slice by slice, with as many threads as pay, measured slice by slice."""
        if self.plan.threads == 1:
            reached: int = self._run(*arguments, self._alone, *how, (0, total), 0)
            return reached
        done = 0
        while done < total:
            choice = self._thread_count.choose(total - done)
            group = self._alone if choice.threads == 1 else new_group(choice)
            end = min(total, done + choice.batches)
            began = perf_counter()
            reached = self._run_by_all((*arguments, group, *how, (done, end)), group)
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
        """Return a buffer for the weight and the loss of each batch, which ``run`` fills in."""
        return np.zeros((batches, 2))

    def rows_at(self, place: str, rows: int, number: int = 0) -> Array:
        """Return the arena's view of ``rows`` rows: of input, d_input, output, d_output or seed.

        Of several outputs or seeds, it is the one with this number.
        """
        if place == "d_input" and self.plan.has_no_input_gradient:
            return np.zeros((rows, *self.plan.input_shape), self.dtype)
        found = self.plan.named[place, number]
        return self._rows(found, rows).reshape(rows, *found.shape)

    def value_at(self, tensor: Tensor, rows: int) -> Array:
        """Return the arena's view of ``rows`` rows of a value, as a matrix."""
        return self._rows(self.plan.value_of(tensor), rows)

    def gradient_at(self, tensor: Tensor, rows: int) -> Array:
        """Return the same of the gradient by a value."""
        return self._rows(self.plan.gradient_of(tensor), rows)

    def _rows(self, place: Place, rows: int) -> Array:
        size = prod(place.shape)
        return self.arena[place.start : place.start + rows * size].reshape(rows, size)

    def differentiate_samples(
        self, first: int, last: int, begin: int, stride: int, grads: Array
    ) -> None:
        """Write the parameters' gradients of each sample from ``first`` to ``last``.

        The first one's goes to ``begin`` in the vector ``grads``, each other ``stride`` further.
        The plan has retained everything, and was run forward and backward. Several threads may do
        this at the same time.
        """
        context = self.contexts[0].copy()
        scratch = np.empty(self.plan.scratch[1], np.uint8)
        if self._needs_arrays:
            self._arrays[words.GRADS], self._arrays[words.SCRATCH] = grads, scratch
        get_function(self._backend, "samples", "differentiate_samples")(
            self._binding.table, self.plan.sections, context, scratch, first, last, grads[begin:],
            stride, self._alone,
        )  # fmt: skip

    def outputs(self, rows: int) -> list[Array]:
        """Return a copy of each output."""
        heads = range(len(self.plan.heads))
        return [self.rows_at("output", rows, head).copy() for head in heads]

    def start_back_with(self, gradients: Sequence[Array | float], rows: int) -> None:
        """Write the gradient by each output where the backward pass finds it."""
        for head, gradient in enumerate(gradients):
            self.rows_at("d_output", rows, head)[...] = gradient


def new_group(choice: Choice) -> NDArray[np.int64]:
    """Return the array by which threads that share batches know of each other.

    Each call has one of its own: a thread that comes too late finds it closed.
    """
    group = aligned_zeros(in_group.GROUP_SIZE, np.dtype(np.int64))
    group[in_group.WANTED] = choice.threads
    group[in_group.LONGEST_WAIT] = choice.longest_wait * 1e9
    group[in_group.TIME_ALONE] = choice.time_alone * 1e9
    group[in_group.TOLERANCE] = choice.tolerance * 1e9
    return group


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


def aligned_zeros(size: int, dtype: np.dtype, alignment: int = 64) -> Array:
    """Return zeros that begin at a cache line."""
    padded = np.zeros(size + alignment // dtype.itemsize, dtype)
    start = -padded.ctypes.data % alignment // dtype.itemsize
    return padded[start : start + size]

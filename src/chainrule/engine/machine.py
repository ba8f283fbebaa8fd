"""A machine: the interpreter, with the memory for one plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.backends import compiled_run, get_function, get_run, is_compiled
from chainrule.engine.binding import Binding
from chainrule.engine.memory import Memory
from chainrule.engine.rows import as_rows
from chainrule.engine.thread_group import ThreadGroup
from chainrule.engine.update import UpdateProgram
from chainrule.kernels import context as words
from chainrule.kernels import group as in_group
from chainrule.kernels.blocks import NORM_BLOCK
from chainrule.kernels.context import FAILED, Phase
from chainrule.plan.plan import Plan

Array = NDArray[Any]

OF_VECTORS, OF_DATA = slice(6, 13), slice(21, 27)  # among the arguments of ``interpreter.run``


class PreparedRun:
    """A run of a machine, as often as it is called: what does not change is put together once.

    See :meth:`Machine.prepare_run`.

    Parameters
    ----------
    machine : Machine
    fixed : the first arguments of ``interpreter.run``.

    Attributes
    ----------
    machine : Machine
    """

    def __init__(self, machine: Machine, fixed: tuple[Any, ...]) -> None:
        self.machine, self._fixed = machine, fixed

    @property
    def usable(self) -> bool:
        """Whether the machine can run again."""
        return self.machine.usable

    @property
    def arena(self) -> Array:
        """The machine's."""
        return self.machine.arena

    def __call__(
        self,
        order: NDArray[np.int64] | int,
        *,
        inputs: Array | None = None,
        targets: Array | None = None,
        labels: Array | None = None,
        weights: Array | None = None,
        outputs: Array | None = None,
        losses: Array | None = None,
        lr: float = 0.0,
        rates: Array | None = None,
        masks: tuple[int, int] = (0, 0),
    ) -> int:
        """Do it for the rows in ``order``; return the number of computed batches.

        The order of one epoch may be a vector, or the number of rows without shuffling. Inputs,
        targets, labels and weights are as ``chainrule.utils.arrays`` returns them; for several
        outputs, targets and labels are vectors, one output after the other. ``rates`` is a float64
        vector of the batches' learning rates; without it, all have ``lr``. ``masks`` are the key of
        the dropout masks, and the number of the first batch's draw.
        """
        machine = self.machine
        if not machine.usable:
            raise RuntimeError(
                "This machine is running in another thread, or cannot run again after an exception "
                "in a run."
            )
        machine.usable = False  # at once, before another thread may look
        epochs, batches = machine.epochs(order)
        arguments = (
            *self._fixed,
            machine.no_rates if rates is None else rates,
            lr,
            masks,
            machine.no_rows if inputs is None else as_rows(inputs),
            machine.no_targets if targets is None else targets.reshape(-1),
            machine.no_labels if labels is None else labels,
            machine.no_weights if weights is None else weights,
            epochs,
            machine.no_matrix if outputs is None else outputs,
            machine.no_losses if losses is None else losses,
        )
        if machine.needs_arrays:
            machine.note_arrays(arguments)
        if machine.plan.threads == 1:
            done = machine.interpret(*arguments, machine.alone, (0, batches), 0)
        else:
            done = machine.threads.run(machine.interpret, arguments, batches)
        if done == FAILED or machine.errors:
            raise machine.find_error(arguments)
        if machine.needs_arrays:
            machine.forget_arrays()
        machine.usable = True
        return done


class Machine(Memory):
    """Runs one plan in its own arena.

    Parameters
    ----------
    plan : Plan
    dtype : float32 or float64
    backend : "numba" or "numpy"
    buffers : the network's vector of them, which the plan reads, and updates while it trains.

    Attributes
    ----------
    usable : bool
        False during a run, and permanently after an exception in a run, which leaves the memory in
        an undefined state.
    interpret : the interpreter's ``run``.
    needs_arrays : whether some function may be called in Python, with views of arrays.
    errors : list of the exceptions of Python functions.
    """

    def __init__(
        self, plan: Plan, dtype: np.dtype, backend: str, buffers: Array | None = None
    ) -> None:
        super().__init__(plan, dtype)
        self._backend = backend
        self.interpret, self._compiled = get_run(backend), is_compiled(backend)
        self.errors: list[BaseException] = []
        self._arrays: dict[int, Array] = {}  # the run's arrays, by words of the context
        self._no_update = self._bind((), np.zeros((0, 1), np.int64))
        self._update: tuple[UpdateProgram | None, Binding] = None, self._no_update
        self._binding, self._is_bound = self._no_update, False
        self.needs_arrays = False
        self.contexts = np.zeros((plan.threads, words.CONTEXT_SIZE), np.int64)
        self._numbers = self.contexts.view(np.float64)
        self._buffers = np.empty(0, dtype) if buffers is None else buffers
        self.contexts[:, words.BUFFERS] = self._buffers.ctypes.data
        self._layout = np.array(
            [plan.batch, plan.chunk, plan.target_columns, plan.label_columns, *plan.scratch]
        )
        self._batch_in_order = np.arange(plan.batch)[np.newaxis]
        self._no_vector, self.no_matrix = np.empty(0, dtype), np.empty((0, 0), dtype)
        self._zeros = self._no_vector
        self._no_steps, self.no_losses = np.zeros(1, np.int64), self.losses_for(0)
        self.threads = ThreadGroup(plan.threads)
        self.alone = self.threads.alone
        self.no_rates = np.empty(0)
        self.squares = np.empty(0)
        self.no_rows = as_rows(np.empty((1, 0), dtype))
        self.no_targets = _read_only(np.empty(0, dtype))
        self.no_labels = _read_only(np.empty(0, np.int64))
        self.no_weights = _read_only(np.empty(0, dtype))
        self.usable = True

    def __getstate__(self) -> dict[str, Any]:
        """Raise TypeError: a copy, or a machine from a file, would use this one's addresses."""
        raise TypeError("A machine cannot be copied or pickled: make another for its plan.")

    def prepare(self, update: UpdateProgram | None = None) -> None:
        """Compile or load the functions of a run with this update; otherwise ``run`` does it."""
        is_new = update is not None and update is not self._update[0]
        program = [] if self._is_bound else list(self.plan.program)
        if update is not None and is_new:
            program += update.program
        if self._compiled and (is_new or not self._is_bound):
            from chainrule.engine.interpreter import signature_of  # loads Numba
            from chainrule.kernels.compilation import compile_functions

            wanted = [(call.function, call.kinds) for call in program]
            compile_functions(wanted, self.dtype, get_run(self._backend), signature_of(self.dtype))
            self.interpret = compiled_run(self.dtype)
        if not self._is_bound:
            self._binding, self._is_bound = self._bind(self.plan.program, self.plan.table), True
            self.needs_arrays = not self._compiled or self._binding.has_functions_of_users
        if update is not None and is_new:
            self._update = update, self._bind(update.program, update.table)

    def _bind(self, program: Sequence[Any], table: NDArray[np.int64]) -> Binding:
        return Binding(
            program, table, self.dtype, self._backend, self._compiled, self._arrays, self.errors
        )

    def prepare_run(
        self,
        phases: int,
        *,
        params: Array,
        direction: Array | None = None,
        grads: Array | None = None,
        update: UpdateProgram | None = None,
        steps: NDArray[np.int64] | None = None,
        state: Array | None = None,
        average: Array | None = None,
        first_step: int = 0,
    ) -> PreparedRun:
        """Return what does ``phases`` for some data, as often as it is called.

        The vectors stay the same. Without ``grads``, the backward pass leaves the parameters'
        gradients out. ``steps`` holds the number of the optimizer's steps, and ``state`` its
        vectors. ``average`` is a vector like ``params``. Without a ``direction``, parameters do not
        change.
        """
        if phases & Phase.BACKWARD and not self.plan.backward:
            raise RuntimeError("the plan was made without a backward pass.")
        given = {"params": params, "direction": direction, "grads": grads}
        given |= {"state": state, "average": average}
        self._check_vectors(params, given)
        self.prepare(update)
        updating = self._no_update if update is None else self._update[1]
        fixed = (
            phases,
            self._binding.table,
            self.plan.sections,
            self._layout,
            updating.table,
            self._no_steps if steps is None else steps,
            params,
            self._no_change(params) if direction is None else direction,
            self._no_vector if grads is None else grads,
            self._squares_for(update, grads),
            self.no_matrix if state is None else state,
            self._no_vector if average is None else average,
            self.arena,
            self.plan.partitions,
            self.contexts,
            self._numbers,
            first_step,
            grads is not None,
        )
        return PreparedRun(self, fixed)

    def run(
        self,
        phases: int,
        order: NDArray[np.int64] | int,
        *,
        params: Array,
        direction: Array | None = None,
        grads: Array | None = None,
        update: UpdateProgram | None = None,
        steps: NDArray[np.int64] | None = None,
        state: Array | None = None,
        average: Array | None = None,
        first_step: int = 0,
        **data: Any,
    ) -> int:
        """Prepare a run, and do it once; ``data`` is what :class:`PreparedRun` takes."""
        prepared = self.prepare_run(
            phases,
            params=params,
            direction=direction,
            grads=grads,
            update=update,
            steps=steps,
            state=state,
            average=average,
            first_step=first_step,
        )
        return prepared(order, **data)

    def _check_vectors(self, params: Array, given: dict[str, Array | None]) -> None:
        """Raise ValueError unless compiled code can take these: it looks at addresses only."""
        for name, vector in given.items():
            if vector is not None and (
                vector.dtype != self.dtype
                or vector.shape[-1:] != params.shape
                or not vector.flags.carray
            ):
                raise ValueError(
                    f"{name} must be a C-contiguous array of {self.dtype} with {params.size} "
                    f"numbers for the parameters, but it is of {vector.dtype} and of shape "
                    f"{vector.shape}."
                )

    def _no_change(self, params: Array) -> Array:
        """Return the direction along which no parameter changes, if the plan reads one."""
        if self.plan.reads_direction and self._zeros.size != params.size:
            self._zeros = np.zeros_like(params)
        return self._zeros

    def _squares_for(self, update: UpdateProgram | None, grads: Array | None) -> Array:
        """Return the buffer for the sums of squares that a norm of the gradients is made of."""
        if update is not None and grads is not None and update.clips_norm:
            blocks = -(-grads.size // NORM_BLOCK)
            if self.squares.size != blocks:
                self.squares = np.empty(blocks)
        return self.squares

    def epochs(self, order: NDArray[np.int64] | int) -> tuple[NDArray[np.int64], int]:
        """Return an order as a matrix with a row for each epoch, and the number of its batches."""
        in_order, most = self._batch_in_order, self.plan.batch
        if not isinstance(order, np.ndarray):
            if order == most:
                return in_order, 1
            if order < most:
                return in_order[:, :order], 1
            order = np.arange(order)
        epochs = order if order.ndim == 2 else order[np.newaxis]
        return epochs, len(epochs) * -(-epochs.shape[1] // most)

    def note_arrays(self, arguments: tuple[Any, ...]) -> None:
        """Record the arrays of a run, for functions in Python."""
        vectors, (data, *given) = arguments[OF_VECTORS], arguments[OF_DATA]
        places = (
            *(words.PARAMS, words.DIRECTION, words.GRADS, words.SQUARES, words.STATE),
            *(words.AVERAGE, words.ARENA, words.DATA),
            *(words.TARGETS, words.LABELS, words.WEIGHTS, words.ORDER, words.OUTPUTS),
        )
        self._arrays[words.BUFFERS] = self._buffers
        self._arrays.update(zip(places, (*vectors, data[0], *given), strict=True))
        self._arrays[words.SCRATCH] = self.arena
        self._arrays[words.SELF] = self.contexts

    def forget_arrays(self) -> None:
        """Drop the references to a run's arrays: a machine may be kept for long until its next."""
        self._arrays.clear()
        for binding in (self._binding, self._update[1]):
            binding.forget_arguments()

    def find_error(self, arguments: tuple[Any, ...]) -> BaseException:
        """Return the exception that ended a failed run."""
        self.note_arrays(arguments)  # the failed function is called again in Python
        return self._find_error(self.contexts)

    def _find_error(self, contexts: NDArray[np.int64]) -> BaseException:
        if self.errors:
            return self.errors[0]
        found = self._binding.find_error(contexts)
        if found is None:  # the rows of the update are numbered from the plan's last one on
            found = self._update[1].find_error(contexts, len(self.plan.program))
        return found or RuntimeError("A run has failed for an unknown reason.")

    def losses_for(self, batches: int) -> NDArray[np.float64]:
        """Return a buffer for the weight and the loss of each batch, for ``run``."""
        return np.zeros((batches, 2))

    def differentiate_samples(
        self, first: int, last: int, begin: int, stride: int, params: Array, grads: Array
    ) -> None:
        """Write the parameters' gradients of each sample from ``first`` to ``last``.

        The first gradient begins at ``begin`` in the vector ``grads``, the others ``stride`` apart.
        The plan must have been made with ``retain``, and run forward and backward with these
        parameters. Several threads may call this at the same time.
        """
        context = self.contexts[0].copy()
        scratch = np.empty(self.plan.scratch[1], np.uint8)
        arrays = {
            words.PARAMS: params,
            words.GRADS: grads,
            words.ARENA: self.arena,
            words.SCRATCH: scratch,
        }
        if self.needs_arrays:
            self._arrays.update(arrays)
        get_function(self._backend, "samples", "differentiate_samples")(
            self._binding.table, self.plan.sections, context, scratch, first, last, grads[begin:],
            stride, self.alone,
        )  # fmt: skip
        if self.alone[in_group.GENERATION] == in_group.FAILED:
            self.usable = False
            self._arrays.update(arrays)
            raise self._find_error(context[np.newaxis])
        if self.needs_arrays:
            self.forget_arrays()


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array

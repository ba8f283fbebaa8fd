"""A machine: the interpreter, with the memory for one plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.backends import compiled_run, get_function, get_run, is_compiled
from chainrule.engine.binding import Binding
from chainrule.engine.memory import Memory
from chainrule.engine.records import (
    NOTHING,
    Data,
    DataOfInputs,
    Results,
    Tables,
    Update,
    Vectors,
    Workspace,
)
from chainrule.engine.rows import Rows
from chainrule.engine.thread_group import ThreadGroup
from chainrule.engine.update import UpdateProgram
from chainrule.kernels import context as words
from chainrule.kernels import group as in_group
from chainrule.kernels.blocks import NORM_BLOCK
from chainrule.kernels.context import FAILED, Phase
from chainrule.plan.plan import Plan

Array = NDArray[Any]

NO_MASKS = 0, 0


class PreparedRun:
    """What a machine does in one run, as often as it is called.

    See :meth:`Machine.prepare_run`.

    Attributes
    ----------
    machine : Machine
    update : Update
    prepared : the first arguments of ``interpreter.run``.
    """

    def __init__(
        self,
        machine: Machine,
        phases: int,
        first_step: int,
        update: Update,
        cleared: bool,
    ) -> None:
        self.machine, self.update, self._cleared = machine, update, cleared
        self.prepared = phases, first_step, machine.tables, machine.workspace, update
        self._nothing = NOTHING[machine.dtype]

    def __call__(
        self,
        order: NDArray[np.int64] | int,
        vectors: Vectors,
        data: Data | DataOfInputs | None = None,
        results: Results | None = None,
        *,
        lr: float = 0.0,
        rates: NDArray[np.float64] | None = None,
        masks: tuple[int, int] = NO_MASKS,
    ) -> int:
        """Do it for the rows in ``order``; return the number of computed batches.

        The order of one epoch may be a vector, or the number of rows without shuffling. ``vectors``
        are :meth:`Machine.vectors`, and ``data`` is made by ``engine.records.make_data``. ``rates``
        are the batches' learning rates; without them, all have ``lr``. ``masks`` are the key of the
        dropout masks, and the number of the first batch's draw.
        """
        machine, nothing = self.machine, self._nothing
        if not machine.usable:
            raise machine.busy_error()
        machine.usable = False  # at once, before another thread may look
        if isinstance(data, DataOfInputs):
            machine.write_inputs(data.others)
            data = data.data
        epochs, batches = machine.epochs(order)
        arguments = (
            *self.prepared,
            vectors,
            nothing.data if data is None else data,
            nothing.results if results is None else results,
            epochs,
            (nothing.doubles if rates is None else rates, lr),
            masks,
        )
        if machine.needs_arrays:
            machine.note_arrays(arguments)
        if self._cleared:
            machine.contexts[:, words.CLEARED] = 1
        if machine.plan.threads == 1:
            done = machine.interpret(*arguments, machine.alone, (0, batches), 0)
        else:
            done = machine.threads.run(machine.interpret, arguments, batches)
        if done == FAILED or machine.errors:
            raise machine.find_error(arguments)
        if machine.needs_arrays:
            machine.forget_arrays()
        if self._cleared:
            machine.contexts[:, words.CLEARED] = 0
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
    tables, workspace : what ``run`` takes, see ``engine.records``.
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
        self.tables: Tables
        further = words.INPUT_WORDS * (len(plan.inputs) - 1)
        self.contexts = np.zeros((plan.threads, words.CONTEXT_SIZE + further), np.int64)
        self.workspace = Workspace(self.arena, self.contexts, self.contexts.view(np.float64))
        self._buffers = np.empty(0, dtype) if buffers is None else buffers
        self.contexts[:, words.BUFFERS] = self._buffers.ctypes.data
        layout = plan.batch, plan.chunks, plan.target_columns, plan.label_columns, *plan.scratch
        self._layout = np.array(layout)
        self._batch_in_order = np.arange(plan.batch)[np.newaxis]
        self._zeros = NOTHING[dtype].vector
        self.threads = ThreadGroup(plan.threads, plan.work)
        self.alone = self.threads.alone
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
            plan = self.plan
            self._binding, self._is_bound = self._bind(plan.program, plan.table), True
            self.tables = Tables(self._binding.table, plan.sections, self._layout, plan.partitions)
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
        update: UpdateProgram | None = None,
        steps: NDArray[np.int64] | None = None,
        state: Array | None = None,
        first_step: int = 0,
    ) -> PreparedRun:
        """Return what does ``phases``, as often as it is called.

        ``steps`` holds the number of the optimizer's steps, and ``state`` its vectors, for an
        ``update``. The forward pass begins at the step ``first_step``. The gradients of tables
        whose rows an update changes must be 0 before a run, and are again after it.
        """
        if phases & Phase.BACKWARD and not self.plan.backward:
            raise RuntimeError("the plan was made without a backward pass.")
        self.prepare(update)
        nothing, table, blocks = NOTHING[self.dtype], self._no_update.table, 0
        if update is not None:
            table = self._update[1].table
            blocks = -(-update.size // NORM_BLOCK) if update.clips_norm else 0
            if state is not None:
                self._check_vector("state", state, (update.size,))
        record = Update(
            table,
            np.zeros(1, np.int64) if steps is None else steps,
            nothing.matrix if state is None else state,
            np.empty(blocks),
        )
        updates_rows = update is not None and update.updates_rows
        return PreparedRun(self, phases, first_step, record, updates_rows)

    def run(
        self,
        phases: int,
        order: NDArray[np.int64] | int,
        vectors: Vectors,
        data: Data | DataOfInputs | None = None,
        results: Results | None = None,
        *,
        first_step: int = 0,
    ) -> int:
        """Do ``phases`` once, without an update; see :class:`PreparedRun`."""
        return self.prepare_run(phases, first_step=first_step)(order, vectors, data, results)

    def vectors(
        self,
        params: Array,
        *,
        direction: Array | None = None,
        grads: Array | None = None,
        average: Array | None = None,
    ) -> Vectors:
        """Return the vectors for a run, checked: compiled code looks at addresses only.

        Without ``grads``, the backward pass leaves the parameters' gradients out; without a
        ``direction``, the parameters do not change.
        """
        nothing, shape = NOTHING[self.dtype].vector, params.shape
        self._check_vector("params", params, shape)
        if grads is not None:
            self._check_vector("grads", grads, shape)
        if direction is not None:
            self._check_vector("direction", direction, shape)
        elif self.plan.reads_direction:
            direction = self._no_change(params)
        if average is not None:
            self._check_vector("average", average, shape)
        return Vectors(
            params,
            nothing if direction is None else direction,
            nothing if grads is None else grads,
            nothing if average is None else average,
        )

    def _check_vector(self, name: str, vector: Array, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless compiled code can take a vector over all parameters."""
        if vector.dtype != self.dtype or vector.shape[-1:] != shape or not vector.flags.carray:
            raise ValueError(
                f"{name} must be a C-contiguous array of {self.dtype} with {shape[0]} numbers for "
                f"the parameters, but it is of {vector.dtype} and of shape {vector.shape}."
            )

    def _no_change(self, params: Array) -> Array:
        """Return the direction along which no parameter changes."""
        if self._zeros.size != params.size:
            self._zeros = np.zeros_like(params)
        return self._zeros

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

    def write_inputs(self, others: Sequence[Rows]) -> None:
        """Write where the rows of each input after the first are into all threads' contexts."""
        for i, (memory, *layout) in enumerate(others, start=1):
            first, *_, last = words.words_of_input(i)
            self.contexts[:, first : last + 1] = memory.ctypes.data, memory.size, *layout
            if self.needs_arrays:
                self._arrays[first] = memory

    def note_arrays(self, arguments: tuple[Any, ...]) -> None:
        """Record the arrays of a run, for functions in Python."""
        _, _, _, workspace, update, vectors, data, results, order, *_ = arguments
        data, results = Data(*data), Results(*results)
        self._arrays |= {
            words.ARENA: workspace.arena,
            words.PARAMS: vectors.params,
            words.DIRECTION: vectors.direction,
            words.GRADS: vectors.grads,
            words.STATE: update.state,
            words.AVERAGE: vectors.average,
            words.SQUARES: update.squares,
            words.SCRATCH: workspace.arena,
            words.DATA: data.inputs[0],
            words.TARGETS: data.targets,
            words.LABELS: data.labels,
            words.WEIGHTS: data.weights,
            words.ORDER: order,
            words.OUTPUTS: results.outputs,
            words.SELF: workspace.contexts,
            words.BUFFERS: self._buffers,
        }

    def forget_arrays(self) -> None:
        """Drop the references to a run's arrays: a machine may be kept for long until its next."""
        self._arrays.clear()
        for binding in (self._binding, self._update[1]):
            binding.forget_arguments()

    def busy_error(self) -> RuntimeError:
        """Return the error for a call of a machine that is not usable."""
        return RuntimeError(
            "This machine is running in another thread, or cannot run again after an exception in "
            "a run."
        )

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
        """Return a buffer for the weight and the loss of each batch."""
        return np.zeros((batches, 2))

    def results(
        self, outputs: Array | None = None, losses: NDArray[np.float64] | None = None
    ) -> Results:
        """Return the record of the arrays for a run's results."""
        nothing = NOTHING[self.dtype].results
        return Results(
            nothing.outputs if outputs is None else outputs,
            nothing.losses if losses is None else losses,
        )

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

"""Losses: how far the output is from what it should be, as one number and its gradient."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import Machine
from chainrule.engine.pool import MachinePool, UsesMachine
from chainrule.engine.records import NOTHING, make_data
from chainrule.kernels.context import NOT_FINITE, Phase
from chainrule.operations.operation import Numbers as PlanNumbers
from chainrule.operations.operation import Shape, find
from chainrule.plan import Head, PlanBuilder, Tensor, make_plan
from chainrule.utils import arrays
from chainrule.utils.arguments import Numbers
from chainrule.utils.arrays import FloatArray
from chainrule.utils.protocols import as_array

SINGLE, DOUBLE = map(np.dtype, arrays.FLOATS)


@dataclass(frozen=True)
class Targets:
    """The checked targets of a network's outputs.

    Attributes
    ----------
    values : tuple of arrays
        For each output: class labels of shape (n,), or targets of its shape.
    """

    values: tuple[NDArray[Any], ...]

    @property
    def y(self) -> Any:
        """The targets as the loss takes them: an array, or a tuple of them for several outputs."""
        return self.values[0] if len(self.values) == 1 else self.values

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for the machine; the values of several outputs are copied."""
        if len(self.values) == 1:
            (only,) = self.values
            return {"labels" if only.dtype.kind == "i" else "targets": only}
        labels = [value for value in self.values if value.dtype.kind == "i"]
        targets = [value for value in self.values if value.dtype.kind != "i"]
        given = {"labels": labels, "targets": targets}
        return {name: _one_after_the_other(values) for name, values in given.items() if values}


def _one_after_the_other(values: list[NDArray[Any]]) -> NDArray[Any]:
    if len(values) == 1:
        return values[0]
    vector = np.concatenate([value.reshape(-1) for value in values])
    vector.flags.writeable = False
    return vector


class Loss(Numbers, ABC):
    """A function that training minimizes: one number for a batch, with its gradient by the outputs.

    It is a mean over the batch, with a weight for each sample where they are given. The mean is
    ``sum(w * row_loss) / sum(abs(w))``: a weight of 2 counts a row twice, a weight of 0 leaves it
    out, and a negative weight turns a row's gradient around, as advantages do in REINFORCE
    (Williams, *Simple statistical gradient-following algorithms*, Machine Learning 8, 1992). The
    sizes of the weights are what is divided by, since their sum may be 0.
    """

    takes_logits: ClassVar[bool] = False  # of which it computes the probabilities itself

    @property
    def is_one_mean(self) -> bool:
        """Whether the loss of all rows is the mean of those of batches, by the batches' weights."""
        return True

    @abstractmethod
    def heads(self, outputs: Sequence[Tensor]) -> list[Head]:
        """Return the outputs, each with its loss, for a plan.

        Raises
        ------
        ValueError
            If the number of outputs is wrong.
        """

    @abstractmethod
    def check_targets(
        self, y: Any, output_shapes: Sequence[tuple[int, ...]], dtype: np.dtype, name: str = "y"
    ) -> Targets:
        """Return checked targets for outputs of these shapes; ValueError or TypeError if wrong."""

    @abstractmethod
    def accuracy(
        self,
        outputs: Sequence[FloatArray],
        targets: Targets,
        sample_weight: FloatArray | None = None,
    ) -> float | None:
        """Return the fraction of rows, or entries, that are classified right; None if none are.

        Rows count by their weights, as in the loss.
        """

    @abstractmethod
    def __call__(
        self, output: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Any]:
        """Return the loss and its gradient by ``output``."""


@dataclass(frozen=True, repr=False)
class OutputLoss(Loss):
    """A loss of one output.

    Calling it with an output and its targets gives the loss as a float, and its gradient by the
    output as an array of the output's shape.
    """

    operation: ClassVar[str]  # a file's name in chainrule.operations; may be a property
    takes_labels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.check_numbers()

    def __repr__(self) -> str:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        texts = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"{type(self).__name__}({', '.join(texts)})"

    @property
    def weighs_rows(self) -> bool:
        """Whether it counts rows by weights of its own, such as those of their classes."""
        return find(self.operation).row_weight is not None

    def numbers(self, output_shape: Shape) -> PlanNumbers:
        """Return the operation's hyperparameters by name, for an output of this shape a row."""
        return {}

    def target_shape(self, output_shape: Shape) -> Shape:
        """Return the shape of a row's target for a row of the output; that of a label is ()."""
        return () if self.takes_labels else output_shape

    def head(self, output: Tensor, loss_weight: float = 1.0) -> Head:
        """Return the plan's description of an output with this loss."""
        target_shape = None if self.takes_labels else self.target_shape(output.shape)
        numbers = self.numbers(output.shape)
        return Head(output, find(self.operation), numbers, loss_weight, target_shape)

    def heads(self, outputs: Sequence[Tensor]) -> list[Head]:
        self._check_number(len(outputs))
        return [self.head(outputs[0])]

    def check_targets(
        self, y: Any, output_shapes: Sequence[tuple[int, ...]], dtype: np.dtype, name: str = "y"
    ) -> Targets:
        self._check_number(len(output_shapes))
        return Targets((self.check_target(y, output_shapes[0], dtype, name),))

    def _check_number(self, outputs: int) -> None:
        if outputs != 1:
            raise ValueError(
                f"{self!r} takes one output, but the network has {outputs}: cr.MultiLoss takes a "
                "loss for each."
            )

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        """Return ``y`` checked, for the engine: labels, or an array like the output."""
        rows, *shape = output_shape
        return arrays.target_array(y, (rows, *self.target_shape(tuple(shape))), dtype, name)

    def accuracy(
        self,
        outputs: Sequence[FloatArray],
        targets: Targets,
        sample_weight: FloatArray | None = None,
    ) -> float | None:
        return None

    def __call__(
        self, output: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, FloatArray]:
        """Return the loss and its gradient by ``output``.

        Parameters
        ----------
        output : array of shape (n, *)
            float32 stays float32; anything else is computed in float64.
        y : array
            Targets of the output's shape, or class labels of shape (n,).
        sample_weight : array of shape (n,), optional
            One weight a row.

        Returns
        -------
        value : float
        d_output : array of the output's shape and dtype

        Raises
        ------
        ValueError, TypeError
            If a shape, a dtype, a label or a value is wrong.
        """
        if type(output) is np.ndarray and sample_weight is None:
            key = self, output.shape, output.dtype
            kept = _runs.take(key)
            if kept is not None:
                result = kept.repeat(output, y)
                _runs.put_back(key, kept)
                if result is not None:
                    return result
        out = as_array(output, "output")
        dtype = SINGLE if out.dtype is SINGLE or out.dtype == SINGLE else DOUBLE
        out = arrays.batch_array(out, "output", dtype)
        rows = out.shape[0]
        target = self.check_target(y, out.shape, dtype)
        weights = arrays.weight_array(sample_weight, rows, dtype)
        key = self, out.shape, dtype
        run = _runs.take(key) or _LossRun(*key)
        result = run(out, target, weights)
        _runs.put_back(key, run)
        return result


class TargetCheck:
    """Checks the targets of a loss for outputs of one shape, again and again.

    Parameters
    ----------
    loss : OutputLoss
    output_shape : with the rows.
    dtype : of the network.
    """

    def __init__(self, loss: OutputLoss, output_shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._loss, self._output_shape, self._dtype = loss, output_shape, dtype
        rows, *shape = output_shape
        self._shape = rows, *loss.target_shape(tuple(shape))
        # Whether compiled code can do the rest: to look whether they are finite.
        self._takes_any = type(loss).check_target is OutputLoss.check_target

    def __call__(self, y: Any) -> tuple[NDArray[Any] | None, NDArray[np.int64] | None]:
        """Return targets and labels, one of which is None; errors are those of ``check_target``.

        The targets may hold NaN and infinity.
        """
        if self._takes_any:
            ready = arrays.ready_array(y, self._shape, self._dtype)
            if ready is not None:
                return ready, None
        target = self._loss.check_target(y, self._output_shape, self._dtype)
        return (None, target) if self._loss.takes_labels else (target, None)


class _LossRun(UsesMachine):
    """The run of a plan that computes only a loss, for outputs of one shape."""

    def __init__(self, loss: OutputLoss, shape: tuple[int, ...], dtype: np.dtype) -> None:
        loss.check_numbers(dtype)
        output = Tensor(shape[1:])
        heads = loss.heads([output])
        plan = make_plan(PlanBuilder(), [output], heads, offsets={}, batch=shape[0], dtype=dtype)
        super().__init__(Machine(plan, dtype, "numba"))
        self._run = self.machine.prepare_run(Phase.FORWARD)
        self._batch_run = BatchRun(self._run, shape) if BatchRun.can_use(self.machine) else None
        self._check_target = TargetCheck(loss, shape, dtype)
        self._takes_labels = loss.takes_labels
        self._d_output = self.machine.rows_at("d_output", shape[0])
        self._vectors = NOTHING[dtype].vectors

    def __call__(
        self, output: NDArray[Any], target: NDArray[Any], weights: FloatArray | None
    ) -> tuple[float, FloatArray]:
        """Return the loss and its gradient, for what was checked."""
        machine = self.machine
        targets = {"labels" if self._takes_labels else "targets": target}
        data = make_data(machine.dtype, output, weights=weights, **targets)
        losses = machine.losses_for(1)
        self._run(len(output), self._vectors, data, machine.results(losses=losses))
        return losses.item(1), self._d_output.copy()

    def repeat(self, output: NDArray[Any], y: Any) -> tuple[float, FloatArray] | None:
        """Return the same; None if ``output`` is not as compiled code takes it, or not finite."""
        run = self._batch_run
        given = None if run is None else run.ready(output)
        if run is None or given is None:
            return None
        if run(self._vectors, given, *self._check_target(y)) == NOT_FINITE:
            return None
        return run.losses.item(1), self._d_output.copy()


_runs: MachinePool[_LossRun] = MachinePool(most=16, most_bytes=1 << 20)


def check_all(right: NDArray[np.bool_], target: NDArray[Any], what: str, hint: str = "") -> None:
    """Raise ValueError that names the first row with a wrong value."""
    if not right.all():
        row, *_ = np.argwhere(~right)[0].tolist()
        raise ValueError(f"{what}, but row {row} has {target[~right][0]}.{hint}")

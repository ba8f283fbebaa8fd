"""Losses: how far the output is from what it should be, as one number and its gradient."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.engine.machine import Machine
from chainrule.engine.pool import MachinePool
from chainrule.kernels.context import Phase
from chainrule.operations.operation import find
from chainrule.plan import Head, PlanBuilder, Tensor, make_plan
from chainrule.utils import arguments, arrays
from chainrule.utils.arguments import Numbers
from chainrule.utils.arrays import FloatArray
from chainrule.utils.protocols import as_array

__all__ = ["BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "MSELoss"]

SINGLE, DOUBLE = map(np.dtype, arrays.FLOATS)


@dataclass(frozen=True)
class Targets:
    """What the outputs of a network should have been, checked.

    Attributes
    ----------
    values : tuple of arrays
        For each output: class labels of shape (n,), or targets of its shape.
    """

    values: tuple[NDArray[Any], ...]

    @property
    def y(self) -> Any:
        """What the loss takes: an array, or a tuple of them for several outputs."""
        return self.values[0] if len(self.values) == 1 else self.values

    def arguments(self) -> dict[str, Any]:
        """Return what the machine takes; the values of several outputs are copied for it."""
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
    """What a training makes smaller: one number for a batch, and its gradient by the outputs.

    It is a mean over the batch, with a weight for each sample where they are given. The mean is
    ``sum(w * row_loss) / sum(w)``: a weight of 2 counts a row twice, a weight of 0 leaves it out.
    """

    @abstractmethod
    def heads(self, outputs: Sequence[Tensor]) -> list[Head]:
        """Return the outputs, each with the loss that it goes into.

        Raises
        ------
        ValueError
            If there are more outputs than the loss takes, or less.
        """

    @abstractmethod
    def check_targets(
        self, y: Any, output_shapes: Sequence[tuple[int, ...]], dtype: np.dtype, name: str = "y"
    ) -> Targets:
        """Return ``y`` checked, for outputs of these shapes; errors as for wrong data."""

    @abstractmethod
    def accuracy(
        self,
        outputs: Sequence[FloatArray],
        targets: Targets,
        sample_weight: FloatArray | None = None,
    ) -> float | None:
        """Return the share of rows, or entries, that are classified right; None if none are.

        Rows count by their weights, as in the loss.
        """

    @abstractmethod
    def __call__(
        self, output: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Any]:
        """Return the loss and its gradient by ``output``."""


@dataclass(frozen=True)
class OutputLoss(Loss):
    """A loss of one output.

    Calling it with an output and its targets gives the loss as a float, and its gradient by the
    output as an array of the output's shape.
    """

    operation: ClassVar[str]  # a file's name in chainrule.operations
    takes_labels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.check_numbers()

    @property
    def numbers(self) -> dict[str, float]:
        """The operation's hyperparameters, by name."""
        return {}

    def head(self, output: Tensor, loss_weight: float = 1.0) -> Head:
        """Return what a plan says of an output that goes into this loss."""
        target_shape = None if self.takes_labels else output.shape
        return Head(output, find(self.operation), self.numbers, loss_weight, target_shape)

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
        """Return ``y`` in the form that the engine takes: labels, or an array like the output."""
        return arrays.target_array(y, output_shape, dtype, name)

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
            One weight a row, not negative.

        Returns
        -------
        value : float
        d_output : array of the output's shape and dtype

        Raises
        ------
        ValueError, TypeError
            If a shape, a dtype, a label or a value is wrong.
        """
        out = as_array(output, "output")
        dtype = SINGLE if out.dtype == SINGLE else DOUBLE
        out = arrays.batch_array(out, "output", dtype)
        rows = out.shape[0]
        target = self.check_target(y, out.shape, dtype)
        weights = arrays.weight_array(sample_weight, rows, dtype)
        key = self, out.shape, dtype
        machine = _machines.take(key, lambda: _machine_of_loss(*key))
        losses = machine.losses_for(1)
        machine.run(
            Phase.FORWARD,
            rows,
            params=_NO_PARAMETERS[dtype],
            inputs=out,
            labels=target if self.takes_labels else None,
            targets=None if self.takes_labels else target,
            weights=weights,
            losses=losses,
        )
        d_output = machine.rows_at("d_output", rows).copy()
        _machines.put_back(key, machine)
        return float(losses[0, 1]), d_output


_machines = MachinePool(most=16, most_bytes=1 << 20)
_NO_PARAMETERS = {dtype: np.empty(0, dtype) for dtype in (SINGLE, DOUBLE)}


def _machine_of_loss(loss: OutputLoss, shape: tuple[int, ...], dtype: np.dtype) -> Machine:
    """Return a machine for a chain that is nothing but its loss."""
    loss.check_numbers(dtype)
    output = Tensor(shape[1:])
    plan = make_plan(
        PlanBuilder(),
        output,
        loss.heads([output]),
        offsets={},
        batch=shape[0],
        dtype=dtype,
    )
    return Machine(plan, dtype, "numba")


@dataclass(frozen=True)
class MSELoss(OutputLoss):
    """Mean squared error: the mean over rows and outputs of ``(output - y)**2``.

    Shapes: output ``(n, *)``, y the same; or output ``(n, 1)``, y ``(n,)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.MSELoss()([[1.0], [3.0]], [1.0, 1.0])
    >>> value, d_output.tolist()
    (2.0, [[0.0], [2.0]])
    """

    operation = "mse"


@dataclass(frozen=True)
class HuberLoss(OutputLoss):
    """Huber loss: ``e**2 / 2`` where ``|e| < delta``, else ``delta * (|e| - delta / 2)``.

    Shapes: output ``(n, *)``, y the same; or output ``(n, 1)``, y ``(n,)``.

    Parameters
    ----------
    delta : float
        Where the square turns into a line; more than 0.

    References
    ----------
    Huber, *Robust Estimation of a Location Parameter*, Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.HuberLoss()([[1.5], [5.0]], [1.0, 1.0])
    >>> value, d_output.tolist()
    (1.8125, [[0.25], [0.5]])
    """

    operation = "huber"
    number_checks: ClassVar = {"delta": arguments.above_zero}
    delta: float = 1.0

    @property
    def numbers(self) -> dict[str, float]:
        return {"delta": float(self.delta)}


@dataclass(frozen=True)
class BCEWithLogitsLoss(OutputLoss):
    """Binary cross-entropy of ``sigmoid(output)``, computed from the logits without overflow.

    Shapes: output ``(n, *)``, y the same, with values between 0 and 1; or output ``(n, 1)``,
    y ``(n,)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.BCEWithLogitsLoss()([[0.0], [0.0]], [0, 1])
    >>> round(value, 4), d_output.tolist()
    (0.6931, [[0.25], [-0.25]])
    """

    operation = "bce_with_logits"

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        target = super().check_target(y, output_shape, dtype, name)
        wrong = (target < 0) | (target > 1)
        if wrong.any():
            row, *_ = np.argwhere(wrong)[0].tolist()
            raise ValueError(
                f"{name} must lie between 0 and 1 for BCEWithLogitsLoss, but row {row} has "
                f"{target[wrong][0]}."
            )
        return target

    def accuracy(
        self,
        outputs: Sequence[FloatArray],
        targets: Targets,
        sample_weight: FloatArray | None = None,
    ) -> float | None:
        return _share((outputs[0] > 0) == (targets.values[0] > 0.5), sample_weight)


@dataclass(frozen=True)
class CrossEntropyLoss(OutputLoss):
    """Cross-entropy of ``softmax(output)`` with class labels, fused into one pass.

    Shapes: output ``(n, classes)``, y ``(n,)`` of integers from 0 to classes - 1.

    Parameters
    ----------
    label_smoothing : float
        The share of the target distribution that is spread evenly over all classes; 0 to 1.

    References
    ----------
    Szegedy et al., *Rethinking the Inception Architecture for Computer Vision*, CVPR 2016 (label
    smoothing).

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.CrossEntropyLoss()([[0.0, 0.0]], [1])
    >>> round(value, 4), d_output.tolist()
    (0.6931, [[0.5, -0.5]])
    """

    operation = "cross_entropy"
    takes_labels = True
    number_checks: ClassVar = {"label_smoothing": arguments.share}
    label_smoothing: float = 0.0

    @property
    def numbers(self) -> dict[str, float]:
        return {"smoothing": float(self.label_smoothing)}

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        if len(output_shape) != 2:
            raise ValueError(
                f"CrossEntropyLoss takes an output of shape (n, classes), not {output_shape}."
            )
        return arrays.label_array(y, output_shape[0], output_shape[1], name)

    def accuracy(
        self,
        outputs: Sequence[FloatArray],
        targets: Targets,
        sample_weight: FloatArray | None = None,
    ) -> float | None:
        return _share(np.argmax(outputs[0], axis=1) == targets.values[0], sample_weight)


def _share(right: NDArray[np.bool_], weights: FloatArray | None) -> float:
    """Return the share of entries that are true, in rows of these weights."""
    if weights is None:
        return float(np.mean(right))
    return float(np.average(right.reshape(len(right), -1).mean(axis=1), weights=weights))

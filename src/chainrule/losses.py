"""Losses: how far the output is from what it should be, as one number and its gradient."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import log, pi, prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule import arguments, arrays
from chainrule.arguments import Numbers
from chainrule.arrays import FloatArray
from chainrule.engine.machine import Machine
from chainrule.engine.pool import MachinePool
from chainrule.operations.operation import find
from chainrule.plan import Head, PlanBuilder, Tensor, make_plan
from chainrule.plan.builder import Numbers as PlanNumbers
from chainrule.plan.builder import Shape
from chainrule.plan.context import Phase
from chainrule.protocols import as_array

__all__ = [
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "PoissonNLLLoss",
    "QuantileLoss",
]

SINGLE, DOUBLE = map(np.dtype, arrays.FLOATS)


def _number_or_several(value: Any, name: str, dtype: np.dtype | None = None) -> Any:
    """Check one number of more than 0, or a list of them."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return arguments.several(arguments.above_zero)(value, name, dtype)
    return arguments.above_zero(value, name, dtype)


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

    def numbers(self, output_shape: Shape) -> PlanNumbers:
        """Return the operation's hyperparameters by name, for an output of this shape a row."""
        return {}

    def target_shape(self, output_shape: Shape) -> Shape:
        """Return the shape of a row's target for a row of the output; that of a label is ()."""
        return () if self.takes_labels else output_shape

    def head(self, output: Tensor, loss_weight: float = 1.0) -> Head:
        """Return what a plan says of an output that goes into this loss."""
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
        """Return ``y`` in the form that the engine takes: labels, or an array like the output."""
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

    def numbers(self, output_shape: Shape) -> PlanNumbers:
        return {"delta": float(self.delta)}


@dataclass(frozen=True)
class L1Loss(OutputLoss):
    """Mean absolute error: the mean over rows and outputs of ``abs(output - y)``.

    Its derivative is taken as 0 where there is no error.

    Shapes: output ``(n, *)``, y the same; or output ``(n, 1)``, y ``(n,)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.L1Loss()([[1.0], [3.0]], [1.0, 1.0])
    >>> value, d_output.tolist()
    (1.0, [[0.0], [0.5]])
    """

    operation = "l1"


@dataclass(frozen=True)
class QuantileLoss(OutputLoss):
    """Quantile loss, also called pinball loss: the output's last axis gives quantiles of y.

    The mean over rows and outputs of ``q * (y - output)`` where y is larger, else
    ``(1 - q) * (output - y)``. Its derivative is taken as 0 where they are equal. Nothing keeps the
    quantiles in order.

    Shapes: output ``(n, *, quantiles)``, y ``(n, *)``; y ``(n, 1)`` is taken for ``(n,)``.

    Parameters
    ----------
    quantiles : sequence of float
        Each more than 0 and less than 1; one for each element of the output's last axis.

    Raises
    ------
    ValueError
        If there are no quantiles, or one is not between 0 and 1; later, if the output has not as
        many columns.
    TypeError
        If they are no numbers in a list.

    References
    ----------
    Koenker and Bassett, *Regression Quantiles*, Econometrica 46, 1978.

    Examples
    --------
    >>> import chainrule as cr
    >>> loss = cr.QuantileLoss([0.25, 0.75])
    >>> value, d_output = loss([[0.0, 2.0], [0.0, 2.0]], [1.0, 3.0])
    >>> value, d_output.tolist()
    (0.5, [[-0.0625, 0.0625], [-0.0625, -0.1875]])
    """

    operation = "quantile"
    number_checks: ClassVar = {"quantiles": arguments.several(arguments.between_zero_and_one)}
    quantiles: Sequence[float] = (0.1, 0.5, 0.9)

    def numbers(self, output_shape: Shape) -> PlanNumbers:
        return {"quantiles": tuple(map(float, self.quantiles))}

    def target_shape(self, output_shape: Shape) -> Shape:
        number = len(self.quantiles)
        if output_shape[-1:] != (number,):
            raise ValueError(
                f"{self!r} takes an output whose last axis has {number} elements, one for each "
                f"quantile, but its shape is (n, {', '.join(map(str, output_shape))})."
            )
        return output_shape[:-1]

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        given = as_array(y, name)
        rows, *shape = output_shape
        if given.shape == (rows, *self.target_shape(tuple(shape)), 1):
            given = given[..., 0]
        return super().check_target(given, output_shape, dtype, name)


@dataclass(frozen=True)
class PoissonNLLLoss(OutputLoss):
    """Negative log-likelihood of counts that are distributed as Poisson says.

    The mean over rows and outputs of ``exp(output) - y * output``; with ``log_input=False`` of
    ``output - y * log(output + eps)``.

    Shapes: output ``(n, *)``, y the same, with values of 0 or more; or output ``(n, 1)``,
    y ``(n,)``.

    Parameters
    ----------
    log_input : bool
        Whether the output is the logarithm of the rate, or the rate itself, which must be positive.
    full : bool
        Whether to add what depends on y only: Stirling's formula for ``log(y!)`` where y is more
        than 1.
    eps : float
        More than 0; for rates of 0.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.PoissonNLLLoss()([[0.0], [0.0]], [1.0, 3.0])
    >>> value, d_output.tolist()
    (1.0, [[0.0], [-1.0]])
    """

    operation = "poisson_nll"
    number_checks: ClassVar = {"eps": arguments.above_zero}
    log_input: bool = True
    full: bool = False
    eps: float = 1e-8

    def numbers(self, output_shape: Shape) -> PlanNumbers:
        return {
            "log_input": int(bool(self.log_input)),
            "full": int(bool(self.full)),
            "eps": float(self.eps),
        }

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        target = super().check_target(y, output_shape, dtype, name)
        _check_all(target >= 0, target, f"{name} must not be negative for PoissonNLLLoss")
        return target


@dataclass(frozen=True)
class GaussianNLLLoss(OutputLoss):
    """Negative log-likelihood of normal distributions: the output has their means and variances.

    The mean over rows and targets of ``(log(v) + (mean - y)**2 / v) / 2``, where v is the variance,
    but at least ``eps``. As in PyTorch, gradients are those at v, also where that is eps: so a
    variance that fell below comes back. (In PyTorch a negative variance is an error.)

    Shapes: output ``(n, 2 * k)``, the k means first and then the k variances; y ``(n, k)``, or
    ``(n,)`` for one. A network whose variances are positive ends in ``Parallel(Linear(m, k),
    Sequential(Linear(m, k), Softplus()), combine="concatenate")``.

    Parameters
    ----------
    full : bool
        Whether to add the constant ``log(2 * pi) / 2``.
    eps : float
        The smallest variance; more than 0.

    References
    ----------
    Nix and Weigend, *Estimating the Mean and Variance of the Target Probability Distribution*,
    ICNN 1994.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.GaussianNLLLoss()([[1.0, 1.0], [3.0, 1.0]], [1.0, 1.0])
    >>> value, d_output.tolist()
    (1.0, [[0.0, 0.25], [1.0, -0.75]])
    """

    operation = "gaussian_nll"
    number_checks: ClassVar = {"eps": arguments.above_zero}
    full: bool = False
    eps: float = 1e-6

    def numbers(self, output_shape: Shape) -> PlanNumbers:
        return {"eps": float(self.eps), "constant": 0.5 * log(2 * pi) if self.full else 0.0}

    def target_shape(self, output_shape: Shape) -> Shape:
        if len(output_shape) != 1 or output_shape[0] % 2:
            raise ValueError(
                "GaussianNLLLoss takes an output of shape (n, 2 * k), means and variances, not "
                f"(n, {', '.join(map(str, output_shape))})."
            )
        return (output_shape[0] // 2,)


@dataclass(frozen=True, repr=False)
class BCEWithLogitsLoss(OutputLoss):
    """Binary cross-entropy of ``sigmoid(output)``, computed from the logits without overflow.

    Shapes: output ``(n, *)``, y the same, with values between 0 and 1; or output ``(n, 1)``,
    y ``(n,)``.

    Parameters
    ----------
    pos_weight : float or sequence of float, optional
        How much positive targets count, more than 0: one number, or one for each element of the
        output's last axis. The mean is over all entries, whatever they count.

    Raises
    ------
    ValueError, TypeError
        If pos_weight is no such number; later, if the output has not as many columns.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.BCEWithLogitsLoss()([[0.0], [0.0]], [0, 1])
    >>> round(value, 4), d_output.tolist()
    (0.6931, [[0.25], [-0.25]])
    """

    number_checks: ClassVar = {"pos_weight": arguments.optional(_number_or_several)}
    pos_weight: float | Sequence[float] | None = None

    @property
    def operation(self) -> str:  # type: ignore[override]
        return "bce_with_logits" if self.pos_weight is None else "weighted_bce_with_logits"

    def numbers(self, output_shape: Shape) -> PlanNumbers:
        if self.pos_weight is None:
            return {}
        columns = output_shape[-1] if output_shape else 1
        given = self.pos_weight if isinstance(self.pos_weight, tuple) else (self.pos_weight,)
        if len(given) not in (1, columns):
            raise ValueError(
                f"BCEWithLogitsLoss's pos_weight has {len(given)} numbers, but the output's last "
                f"axis has {columns} elements."
            )
        size = prod(output_shape)
        return {"pos_weight": tuple(map(float, given)) * (size // len(given))}

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        target = super().check_target(y, output_shape, dtype, name)
        right = (target >= 0) & (target <= 1)
        _check_all(right, target, f"{name} must lie between 0 and 1 for BCEWithLogitsLoss")
        return target

    def accuracy(
        self,
        outputs: Sequence[FloatArray],
        targets: Targets,
        sample_weight: FloatArray | None = None,
    ) -> float | None:
        return _share((outputs[0] > 0) == (targets.values[0] > 0.5), sample_weight)


@dataclass(frozen=True, repr=False)
class CrossEntropyLoss(OutputLoss):
    """Cross-entropy of ``softmax(output)`` with class labels, fused into one pass.

    Shapes: output ``(n, classes)``, y ``(n,)`` of integers from 0 to classes - 1.

    Parameters
    ----------
    label_smoothing : float
        The share of the target distribution that is spread evenly over all classes; 0 to 1.
    weight : sequence of float, optional
        How much each class counts: not negative, and not 0 with label smoothing. A row counts by
        its sample weight times that of its class, in the sum and in what the sum is divided by; in
        what label smoothing spreads, each class counts by its own. So it is in PyTorch.

    Raises
    ------
    ValueError, TypeError
        If label_smoothing or weight is no such number; later, if the output has not as many
        classes as there are weights.

    Notes
    -----
    A :class:`MultiLoss` divides all its losses by the same weights, so it takes none with class
    weights: ``sample_weight`` counts rows for all of them.

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

    takes_labels = True
    number_checks: ClassVar = {
        "label_smoothing": arguments.share,
        "weight": arguments.optional(arguments.several(arguments.at_least_zero)),
    }
    label_smoothing: float = 0.0
    weight: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label_smoothing > 0 and self.weight is not None and 0 in self.weight:
            raise ValueError(
                "CrossEntropyLoss's weight must be more than 0 with label_smoothing, not "
                f"{self.weight}."
            )

    @property
    def operation(self) -> str:  # type: ignore[override]
        return "cross_entropy" if self.weight is None else "weighted_cross_entropy"

    def numbers(self, output_shape: Shape) -> PlanNumbers:
        smoothing = {"smoothing": float(self.label_smoothing)}
        if self.weight is None:
            return smoothing
        if output_shape != (len(self.weight),):
            raise ValueError(
                f"CrossEntropyLoss's weight has {len(self.weight)} numbers, but the output has "
                f"{prod(output_shape)} classes."
            )
        return {"class_weight": tuple(map(float, self.weight)), **smoothing}

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


def _check_all(right: NDArray[np.bool_], target: NDArray[Any], what: str) -> None:
    """Raise ValueError that names the first row of which something is not right."""
    if not right.all():
        row, *_ = np.argwhere(~right)[0].tolist()
        raise ValueError(f"{what}, but row {row} has {target[~right][0]}.")


def _share(right: NDArray[np.bool_], weights: FloatArray | None) -> float:
    """Return the share of entries that are true, in rows of these weights."""
    if weights is None:
        return float(np.mean(right))
    return float(np.average(right.reshape(len(right), -1).mean(axis=1), weights=weights))

"""Losses for numbers: squares, absolute errors, quantiles and likelihoods."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.losses.loss import OutputLoss, check_all
from chainrule.operations.operation import Numbers, Shape
from chainrule.utils import arguments
from chainrule.utils.protocols import as_array

__all__ = [
    "GaussianNLLLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "PoissonNLLLoss",
    "QuantileLoss",
]


@dataclass(frozen=True)
class MSELoss(OutputLoss):
    """Mean squared error: the mean over rows and outputs of ``(output - y)**2``.

    Shapes: output ``(n, *)``, y the same; or output ``(n, *, 1)``, y ``(n, *)``.

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

    Shapes: output ``(n, *)``, y the same; or output ``(n, *, 1)``, y ``(n, *)``.

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

    def numbers(self, output_shape: Shape) -> Numbers:
        return {"delta": float(self.delta)}


@dataclass(frozen=True)
class L1Loss(OutputLoss):
    """Mean absolute error: the mean over rows and outputs of ``abs(output - y)``.

    Its derivative is taken as 0 where there is no error.

    Shapes: output ``(n, *)``, y the same; or output ``(n, *, 1)``, y ``(n, *)``.

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

    Shapes: output ``(n, *, quantiles)``, y ``(n, *)`` or ``(n, *, 1)``.

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

    def numbers(self, output_shape: Shape) -> Numbers:
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
    """Negative log-likelihood of counts that have a Poisson distribution.

    The mean over rows and outputs of ``exp(output) - y * output``; with ``log_input=False`` of
    ``output - y * log(output + eps)``.

    Shapes: output ``(n, *)``, y the same, with values of 0 or more; or output
    ``(n, *, 1)``, y ``(n, *)``.

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
    number_checks: ClassVar = {
        "log_input": arguments.flag,
        "full": arguments.flag,
        "eps": arguments.above_zero,
    }
    log_input: bool = True
    full: bool = False
    eps: float = 1e-8

    def numbers(self, output_shape: Shape) -> Numbers:
        return {
            "log_input": int(self.log_input),
            "full": int(self.full),
            "eps": float(self.eps),
        }

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        target = super().check_target(y, output_shape, dtype, name)
        check_all(target >= 0, target, f"{name} must not be negative for PoissonNLLLoss")
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
    number_checks: ClassVar = {"full": arguments.flag, "eps": arguments.above_zero}
    full: bool = False
    eps: float = 1e-6

    def numbers(self, output_shape: Shape) -> Numbers:
        return {"full": int(self.full), "eps": float(self.eps)}

    def target_shape(self, output_shape: Shape) -> Shape:
        if len(output_shape) != 1 or output_shape[0] % 2:
            raise ValueError(
                "GaussianNLLLoss takes an output of shape (n, 2 * k), means and variances, not "
                f"(n, {', '.join(map(str, output_shape))})."
            )
        return (output_shape[0] // 2,)

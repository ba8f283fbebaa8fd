"""Batch normalization."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from chainrule.layers.layer import Buffer, DoesNotFit
from chainrule.layers.normalization import Normalization
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import above_zero, flag, fraction, optional

__all__ = ["BatchNorm"]


@dataclass(frozen=True, repr=False)
class BatchNorm(Normalization):
    """Brings each feature to mean 0 and variance 1 over the batch, then scales and shifts it.

    In a training step, ``y = (x - mean) / sqrt(variance + eps) * weight + bias``, with the mean and
    the (biased) variance of the batch's rows. Running statistics follow them: ``running += momentum
    * (of_batch - running)``, where the variance is the unbiased one. Everywhere else, as in
    ``predict``, these are used instead: in validation, and in the derivatives
    (:func:`value_and_grad`, :func:`jvp` and the like), which are of what ``predict`` computes.
    Training steps are those of :func:`fit`, and as long as ``net.training`` is True,
    ``net.forward`` and ``net.backward``, which :func:`gradcheck` checks. :func:`objective` takes
    none, so that the running statistics stay as they are.

    The running statistics are buffers: they are saved, loaded and copied with the parameters, but
    not trained (``net.buffers()``).

    Shapes: input ``(n, *, features)``, output the same; weight, bias, ``running_mean`` and
    ``running_var`` ``(features,)``. All axes but the last are those of the batch. (PyTorch's
    features are the axis after the batch.)

    Parameters
    ----------
    features : int
        At least 1.
    eps : float
        More than 0.
    momentum : float or None
        How much of the batch's statistics go into the running ones, from 0 to 1; None: these are
        the averages over all training steps.
    affine : bool
        Whether there are a weight and a bias.
    track : bool
        Whether there are running statistics (PyTorch's ``track_running_stats``). Without them, the
        batch's are used everywhere: in ``predict`` and in a validation those of all given rows, so
        that a row's output depends on the other rows. There is no Jacobian then, nor what else
        needs the derivatives of single rows, and no ONNX file.

    Raises
    ------
    ValueError
        If an argument is out of range; where a training step, or any batch with ``track=False``,
        has only one row.
    TypeError
        If an argument is no number.

    Notes
    -----
    The sums over the rows are the same to the bit with any number of threads. A step of :func:`fit`
    or :func:`train_step` whose loss is not finite leaves the running statistics as they are;
    ``net.forward``, which knows no loss, does not. Sample weights do not count for them.

    References
    ----------
    Ioffe and Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift*, ICML 2015.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.BatchNorm(2, eps=1e-9), dtype="float64")
    >>> net.forward([[1.0, 10.0], [3.0, 30.0]]).round(6)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> net.buffers()["0.running_mean"]
    array([0.2, 2. ])
    """

    operation: ClassVar[str] = "batch_norm"
    differs_in_training: ClassVar[bool] = True
    torch_axis: ClassVar[int | None] = 1
    number_checks: ClassVar = {
        "eps": above_zero,
        "momentum": optional(fraction),
        "affine": flag,
        "track": flag,
    }
    features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track: bool = True

    @property
    def rows_are_independent(self) -> bool:
        return self.track

    def buffers(self) -> dict[str, Buffer]:
        if not self.track:
            return {}
        shape = (self.features,)
        return {
            "running_mean": Buffer(shape),
            "running_var": Buffer(shape, 1.0),
            "num_batches_tracked": Buffer((), is_count=True),
        }

    def check_training_batch(self, rows: int, input_shape: Shape) -> None:
        if rows * prod(input_shape[:-1]) < 2:
            where = "training step" if self.track else "batch"
            raise DoesNotFit(
                f"expects at least two values of each feature in a {where}",
                "LayerNorm and GroupNorm normalize each row by itself",
            )

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        buffers = {  # functions get numbers as arrays of one
            name: plan.parameter(name, own.shape or (1,)) for name, own in self.buffers().items()
        }
        eps, k = float(self.eps), self.features
        if plan.training or not self.track:
            # Derivatives, which a plan of predictions is for, have a tangent of each step.
            uses = self.uses_of_parameters(plan) if plan.training else {}
            momentum = -1.0 if self.momentum is None else float(self.momentum)
            y = plan.apply(
                self.operation,
                x,
                parameters=uses,
                buffers=buffers,
                numbers={"eps": eps, "momentum": momentum},
                sums={"moments": (4, k), "products": (2, k)},
            )
            if plan.training:
                return y
        else:
            known = {"mean": buffers["running_mean"], "variance": buffers["running_var"]}
            y = plan.apply("standardize", x, buffers=known, numbers={"eps": eps})
        return self.scale_and_shift(plan, y)

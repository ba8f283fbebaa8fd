"""Activations: elementwise functions, and the softmaxes along the last axis."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from chainrule.layers.layer import Layer
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import at_least_zero

__all__ = [
    "ELU",
    "GELU",
    "Hardswish",
    "Identity",
    "LeakyReLU",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]


@dataclass(frozen=True)
class Elementwise(Layer):
    """An elementwise function; the output has the input's shape."""

    in_any_order = True

    operation: ClassVar[str]  # a file's name in chainrule.operations
    # The largest slope, for functions that saturate at both ends; None for others.
    max_slope: ClassVar[float | None] = None

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.apply(self.operation, x)


@dataclass(frozen=True)
class ReLU(Elementwise):
    """Rectifier: ``relu(x) = max(x, 0)``, elementwise; its derivative at 0 is taken as 0.

    Shapes: input ``(n, *)``, output the same.

    References
    ----------
    Nair and Hinton, *Rectified Linear Units Improve Restricted Boltzmann Machines*, ICML 2010.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.ReLU()).predict([[-1.0, 2.0]])
    array([[0., 2.]], dtype=float32)
    """

    operation = "relu"


@dataclass(frozen=True)
class LeakyReLU(Elementwise):
    """Leaky rectifier: x where it is positive, else ``negative_slope * x``, elementwise.

    Shapes: input ``(n, *)``, output the same.

    Parameters
    ----------
    negative_slope : float
        At least 0. (PyTorch also takes negative ones.)

    References
    ----------
    Maas et al., *Rectifier Nonlinearities Improve Neural Network Acoustic Models*, ICML 2013.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.LeakyReLU(0.5)).predict([[-1.0, 2.0]])
    array([[-0.5,  2. ]], dtype=float32)
    """

    operation = "leaky_relu"
    # The output's sign must be the input's: the backward pass sees the output only.
    number_checks: ClassVar = {"negative_slope": at_least_zero}
    negative_slope: float = 0.01

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.apply(self.operation, x, numbers={"negative_slope": float(self.negative_slope)})


@dataclass(frozen=True)
class Tanh(Elementwise):
    """Hyperbolic tangent, elementwise.

    Shapes: input ``(n, *)``, output the same.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.Tanh()).predict([[0.0, 100.0]])
    array([[0., 1.]], dtype=float32)
    """

    operation = "tanh"
    max_slope = 1.0


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """Logistic function: ``sigmoid(x) = 1 / (1 + exp(-x))``, elementwise.

    Shapes: input ``(n, *)``, output the same.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.Sigmoid()).predict([[0.0, 1000.0, -1000.0]])
    array([[0.5, 1. , 0. ]], dtype=float32)
    """

    operation = "sigmoid"
    gives_probabilities = True
    max_slope = 0.25


@dataclass(frozen=True)
class Softplus(Elementwise):
    """Smooth rectifier: ``softplus(x) = log(1 + exp(x))``, elementwise.

    Shapes: input ``(n, *)``, output the same. (PyTorch's is linear above 20; this one is exact.)

    References
    ----------
    Dugas et al., *Incorporating Second-Order Functional Knowledge for Better Option Pricing*,
    NIPS 2000.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.Softplus()).predict([[-1000.0, 1000.0]])
    array([[   0., 1000.]], dtype=float32)
    """

    operation = "softplus"


@dataclass(frozen=True)
class ELU(Elementwise):
    """Exponential linear unit: x where it is positive, else ``alpha * (exp(x) - 1)``.

    Shapes: input ``(n, *)``, output the same.

    Parameters
    ----------
    alpha : float
        At least 0. (PyTorch also takes negative ones.)

    References
    ----------
    Clevert et al., *Fast and Accurate Deep Network Learning by Exponential Linear Units*,
    ICLR 2016.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.ELU()).predict([[-1000.0, 2.0]])
    array([[-1.,  2.]], dtype=float32)
    """

    operation = "elu"
    number_checks: ClassVar = {"alpha": at_least_zero}
    alpha: float = 1.0

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.apply(self.operation, x, numbers={"alpha": float(self.alpha)})


@dataclass(frozen=True)
class SiLU(Elementwise):
    """Sigmoid linear unit, also called swish: ``silu(x) = x * sigmoid(x)``, elementwise.

    Shapes: input ``(n, *)``, output the same.

    References
    ----------
    Elfwing et al., *Sigmoid-Weighted Linear Units for Neural Network Function Approximation in
    Reinforcement Learning*, Neural Networks 107, 2018.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.SiLU()).predict([[0.0, 100.0]])
    array([[  0., 100.]], dtype=float32)
    """

    operation = "silu"


@dataclass(frozen=True)
class GELU(Elementwise):
    """Gaussian error linear unit: x times the normal distribution's cumulative at x, elementwise.

    Shapes: input ``(n, *)``, output the same.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Exact, by the error function, or approximated by a hyperbolic tangent.

    References
    ----------
    Hendrycks and Gimpel, *Gaussian Error Linear Units*, arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.GELU()).predict([[0.0, 100.0]])
    array([[  0., 100.]], dtype=float32)
    """

    operation = "gelu"
    approximate: Literal["none", "tanh"] = "none"

    def __post_init__(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise ValueError(
                f"GELU's approximate must be 'none' or 'tanh', not {self.approximate!r}."
            )

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.apply("gelu_tanh" if self.approximate == "tanh" else self.operation, x)


@dataclass(frozen=True)
class Mish(Elementwise):
    """Mish: ``x * tanh(softplus(x))``, elementwise.

    Shapes: input ``(n, *)``, output the same.

    References
    ----------
    Misra, *Mish: A Self Regularized Non-Monotonic Activation Function*, BMVC 2020.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.Mish()).predict([[0.0, 100.0]])
    array([[  0., 100.]], dtype=float32)
    """

    operation = "mish"


@dataclass(frozen=True)
class Hardswish(Elementwise):
    """Piecewise approximation of swish: ``x * min(max(x + 3, 0), 6) / 6``, elementwise.

    Shapes: input ``(n, *)``, output the same.

    References
    ----------
    Howard et al., *Searching for MobileNetV3*, ICCV 2019.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.Hardswish()).predict([[-4.0, 0.0, 4.0]])
    array([[0., 0., 4.]], dtype=float32)
    """

    operation = "hardswish"


@dataclass(frozen=True)
class Softsign(Elementwise):
    """Softsign: ``x / (1 + abs(x))``, elementwise.

    Shapes: input ``(n, *)``, output the same.

    References
    ----------
    Turian et al., *Quadratic Features and Deep Architectures for Chunking*, NAACL HLT 2009.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.Softsign()).predict([[-1.0, 3.0]])
    array([[-0.5 ,  0.75]], dtype=float32)
    """

    operation = "softsign"


@dataclass(frozen=True)
class Rowwise(Layer):
    """A function of the vectors along the last axis; the output has the input's shape."""

    in_any_order = True

    operation: ClassVar[str]

    def output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape:
            raise ValueError("expects at least one axis after the batch")
        return input_shape

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.apply(self.operation, x)


@dataclass(frozen=True)
class Softmax(Rowwise):
    """Probabilities along the last axis: ``softmax(x) = exp(x) / sum(exp(x))``.

    Shapes: input ``(n, *, classes)``, output the same. ``CrossEntropyLoss`` contains it: a
    network trained with that loss ends in logits, without this layer.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.Softmax()).predict([[1000.0, 1000.0]])
    array([[0.5, 0.5]], dtype=float32)
    """

    operation = "softmax"
    gives_probabilities = True


@dataclass(frozen=True)
class LogSoftmax(Rowwise):
    """Logarithms of the probabilities along the last axis: ``x - log(sum(exp(x)))``.

    Shapes: input ``(n, *, classes)``, output the same.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.LogSoftmax()).predict([[1000.0, 0.0]])
    array([[    0., -1000.]], dtype=float32)
    """

    operation = "log_softmax"


@dataclass(frozen=True)
class Identity(Layer):
    """The identity: the output is the input.

    Shapes: input ``(n, *)``, output the same.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.Identity()).predict([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
    """

    in_any_order = True

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return x

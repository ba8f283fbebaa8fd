"""Activations and their derivatives, element by element.

Each derivative stands below its function. Its second argument is what the forward pass must retain
for it: the output ``y`` where that is enough, else the input ``x``.
"""

from typing import Any, Literal

from numpy.typing import ArrayLike

from chainrule.ops.elementwise import ElementwiseFunction
from chainrule.ops.entries import kernel_of
from chainrule.ops.validation import number
from chainrule.utils.arguments import at_least_zero

_relu = ElementwiseFunction(kernel_of("relu"), "x")
_relu_backward = ElementwiseFunction(kernel_of("relu", backward=True), "dy", "y")
_leaky_relu = ElementwiseFunction(kernel_of("leaky_relu"), "x", numbers=1)
_leaky_relu_backward = ElementwiseFunction(
    kernel_of("leaky_relu", backward=True), "dy", "y", numbers=1
)
_tanh = ElementwiseFunction(kernel_of("tanh"), "x")
_tanh_backward = ElementwiseFunction(kernel_of("tanh", backward=True), "dy", "y")
_sigmoid = ElementwiseFunction(kernel_of("sigmoid"), "x")
_sigmoid_backward = ElementwiseFunction(kernel_of("sigmoid", backward=True), "dy", "y")
_softplus = ElementwiseFunction(kernel_of("softplus"), "x")
_softplus_backward = ElementwiseFunction(kernel_of("softplus", backward=True), "dy", "y")
_elu = ElementwiseFunction(kernel_of("elu"), "x", numbers=1)
_elu_backward = ElementwiseFunction(kernel_of("elu", backward=True), "dy", "y", numbers=1)
_silu = ElementwiseFunction(kernel_of("silu"), "x")
_silu_backward = ElementwiseFunction(kernel_of("silu", backward=True), "dy", "x")
_gelu = ElementwiseFunction(kernel_of("gelu"), "x")
_gelu_backward = ElementwiseFunction(kernel_of("gelu", backward=True), "dy", "x")
_gelu_tanh = ElementwiseFunction(kernel_of("gelu_tanh"), "x")
_gelu_tanh_backward = ElementwiseFunction(kernel_of("gelu_tanh", backward=True), "dy", "x")
_GELU = {"none": (_gelu, _gelu_backward), "tanh": (_gelu_tanh, _gelu_tanh_backward)}


def relu(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any:
    """Rectifier: ``max(x, 0)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.relu([-1.0, 2.0])
    array([0., 2.])
    """
    return _relu((x,), out, where)


def relu_backward(dy: ArrayLike, y: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any:
    """Return ``dx`` of :func:`relu`, from its output.

    ``dy`` where the output is positive, else 0: at 0 the derivative is taken as 0.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.relu_backward([1.0, 1.0], [0.0, 2.0])
    array([0., 1.])
    """
    return _relu_backward((dy, y), out, where)


def leaky_relu(
    x: ArrayLike, negative_slope: float = 0.01, *, out: Any = None, where: ArrayLike = True
) -> Any:
    """Leaky rectifier: x where it is positive, else ``negative_slope * x``.

    Parameters
    ----------
    negative_slope : float
        At least 0.

    Raises
    ------
    ValueError
        If a number is negative, or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.leaky_relu([-1.0, 2.0])
    array([-0.01,  2.  ])
    """
    slope = number(at_least_zero, negative_slope, "negative_slope", x)
    return _leaky_relu((x,), out, where, slope)


def leaky_relu_backward(
    dy: ArrayLike,
    y: ArrayLike,
    negative_slope: float = 0.01,
    *,
    out: Any = None,
    where: ArrayLike = True,
) -> Any:
    """Return ``dx`` of :func:`leaky_relu`, from its output.

    ``dy`` where the output is positive, else ``negative_slope * dy``.

    Parameters
    ----------
    negative_slope : float
        At least 0.

    Raises
    ------
    ValueError
        If a number is negative, or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.leaky_relu_backward([1.0, 1.0], [-0.01, 2.0])
    array([0.01, 1.  ])
    """
    slope = number(at_least_zero, negative_slope, "negative_slope", dy, y)
    return _leaky_relu_backward((dy, y), out, where, slope)


def tanh(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any:
    """Hyperbolic tangent.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.tanh([0.0, 100.0])
    array([0., 1.])
    """
    return _tanh((x,), out, where)


def tanh_backward(dy: ArrayLike, y: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any:
    """Return ``dx`` of :func:`tanh`, from its output: ``dy * (1 - y**2)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.tanh_backward([1.0, 1.0], [0.0, 1.0])
    array([1., 0.])
    """
    return _tanh_backward((dy, y), out, where)


def sigmoid(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any:
    """Logistic function ``1 / (1 + exp(-x))``, without overflow.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.sigmoid([0.0, 1000.0, -1000.0])
    array([0.5, 1. , 0. ])
    """
    return _sigmoid((x,), out, where)


def sigmoid_backward(
    dy: ArrayLike, y: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any:
    """Return ``dx`` of :func:`sigmoid`, from its output: ``dy * y * (1 - y)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.sigmoid_backward([1.0, 1.0], [0.5, 1.0])
    array([0.25, 0.  ])
    """
    return _sigmoid_backward((dy, y), out, where)


def softplus(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any:
    """Smooth rectifier ``log(1 + exp(x))``, without overflow.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.softplus([-1000.0, 1000.0])
    array([   0., 1000.])
    """
    return _softplus((x,), out, where)


def softplus_backward(
    dy: ArrayLike, y: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any:
    """Return ``dx`` of :func:`softplus`, from its output.

    ``dy * sigmoid(x)``, and ``sigmoid(x) = 1 - exp(-y)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.softplus_backward([1.0, 1.0], [0.0, 1000.0])
    array([0., 1.])
    """
    return _softplus_backward((dy, y), out, where)


def elu(x: ArrayLike, alpha: float = 1.0, *, out: Any = None, where: ArrayLike = True) -> Any:
    """Exponential linear unit: x where it is positive, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    alpha : float
        At least 0.

    Raises
    ------
    ValueError
        If a number is negative, or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.elu([-1000.0, 2.0])
    array([-1.,  2.])
    """
    return _elu((x,), out, where, number(at_least_zero, alpha, "alpha", x))


def elu_backward(
    dy: ArrayLike, y: ArrayLike, alpha: float = 1.0, *, out: Any = None, where: ArrayLike = True
) -> Any:
    """Return ``dx`` of :func:`elu`, from its output.

    ``dy`` where the output is positive, else ``dy * (y + alpha)``.

    Parameters
    ----------
    alpha : float
        At least 0.

    Raises
    ------
    ValueError
        If a number is negative, or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.elu_backward([1.0, 1.0], [-1.0, 2.0])
    array([0., 1.])
    """
    return _elu_backward((dy, y), out, where, number(at_least_zero, alpha, "alpha", dy, y))


def silu(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any:
    """Sigmoid linear unit, also called swish: ``x * sigmoid(x)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.silu([0.0, 100.0])
    array([  0., 100.])
    """
    return _silu((x,), out, where)


def silu_backward(dy: ArrayLike, x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any:
    """Return ``dx`` of :func:`silu`, from its input.

    ``dy * (s + x * s * (1 - s))`` with ``s = sigmoid(x)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.silu_backward([1.0, 1.0], [0.0, 100.0])
    array([0.5, 1. ])
    """
    return _silu_backward((dy, x), out, where)


def gelu(
    x: ArrayLike,
    approximate: Literal["none", "tanh"] = "none",
    *,
    out: Any = None,
    where: ArrayLike = True,
) -> Any:
    """Gaussian error linear unit: x times the normal distribution's cumulative at x.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Exact, by the error function, or approximated by a hyperbolic tangent.

    Raises
    ------
    ValueError
        If ``approximate`` is something else, or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.gelu([0.0, 100.0])
    array([  0., 100.])
    """
    return _form_of_gelu(approximate)[0]((x,), out, where)


def gelu_backward(
    dy: ArrayLike,
    x: ArrayLike,
    approximate: Literal["none", "tanh"] = "none",
    *,
    out: Any = None,
    where: ArrayLike = True,
) -> Any:
    """Return ``dx`` of :func:`gelu`, from its input.

    ``dy * (Phi(x) + x * phi(x))``, Phi the normal distribution's cumulative, phi its density.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Exact, by the error function, or approximated by a hyperbolic tangent.

    Raises
    ------
    ValueError
        If ``approximate`` is something else, or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.gelu_backward([1.0, 1.0], [0.0, 100.0])
    array([0.5, 1. ])
    """
    return _form_of_gelu(approximate)[1]((dy, x), out, where)


def _form_of_gelu(approximate: str) -> tuple[ElementwiseFunction, ElementwiseFunction]:
    if approximate not in _GELU:
        raise ValueError(f"approximate must be 'none' or 'tanh', not {approximate!r}.")
    return _GELU[approximate]

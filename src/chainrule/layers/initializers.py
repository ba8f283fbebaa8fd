"""Initializers of parameters. Formulas and names follow torch.nn.init.

Each is a small spec that a layer takes, as in ``Linear(3, 2, weight_init=Orthogonal())``. For a
weight of shape ``(in, out)``, the fan-in is ``in`` and the fan-out is ``out``; a convolution
multiplies both by the size of its kernel.
"""

from __future__ import annotations  # naming np.random.Generator would load numpy.random

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod, sqrt
from typing import ClassVar

import numpy as np

from chainrule.utils.arguments import Numbers, at_least_zero, real
from chainrule.utils.arrays import FloatArray
from chainrule.utils.public import listing

Shape = tuple[int, ...]

__all__ = [
    "Constant",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "Normal",
    "Orthogonal",
    "Uniform",
    "UniformByFanIn",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
]

__dir__ = listing(__all__)


class Initializer(ABC):
    """Computes the initial values of a parameter; derive from it to make your own.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> class Identity(cr.initializers.Initializer):
    ...     def __call__(self, shape, fan_in, rng):
    ...         return np.eye(*shape)
    >>> net = cr.Sequential(cr.Linear(2, 2, weight_init=Identity()))
    >>> net.parameters()["0.weight"]
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    @abstractmethod
    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        """Return float64 values of ``shape``, drawn from ``rng``."""


class _OfNumbers(Numbers, Initializer):
    """An initializer that is made with numbers."""

    def __post_init__(self) -> None:
        self.check_numbers()


@dataclass(frozen=True)
class Constant(_OfNumbers):
    """The same value everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> Constant(0.5)((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5]])
    """

    number_checks: ClassVar = {"value": real}
    value: float = 0.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Zeros(Constant):
    """Zero everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> Zeros()((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[0., 0., 0.],
           [0., 0., 0.]])
    """


@dataclass(frozen=True)
class Normal(_OfNumbers):
    """Normally distributed, with a mean and a standard deviation.

    Examples
    --------
    >>> import numpy as np
    >>> Normal(std=0.1)((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[ 0.01, -0.01,  0.06],
           [ 0.01, -0.05,  0.04]])
    """

    number_checks: ClassVar = {"mean": real, "std": at_least_zero}
    mean: float = 0.0
    std: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Uniform(_OfNumbers):
    """Uniform between two bounds.

    Examples
    --------
    >>> import numpy as np
    >>> Uniform(-1, 1)((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[ 0.27, -0.46, -0.92],
           [-0.97,  0.63,  0.83]])
    """

    number_checks: ClassVar = {"low": real, "high": real}
    low: float = 0.0
    high: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class UniformByFanIn(Initializer):
    """Uniform within ``1 / sqrt(fan_in)``, as PyTorch initializes the bias of a linear layer.

    Examples
    --------
    >>> import numpy as np
    >>> UniformByFanIn()((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[ 0.19, -0.33, -0.65],
           [-0.68,  0.44,  0.58]])
    """

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        bound = 1 / sqrt(fan_in)
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class KaimingUniform(_OfNumbers):
    """Uniform, preserving the variance of the signal through leaky ReLUs of negative slope ``a``.

    The bound is ``gain * sqrt(3 / fan_in)`` with ``gain = sqrt(2 / (1 + a**2))``.

    References
    ----------
    He et al., *Delving Deep into Rectifiers*, ICCV 2015.

    Examples
    --------
    >>> import numpy as np
    >>> KaimingUniform()((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[ 0.47, -0.8 , -1.59],
           [-1.67,  1.09,  1.43]])
    """

    number_checks: ClassVar = {"a": real}
    a: float = 0.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        bound = sqrt(2 / (1 + self.a**2)) * sqrt(3 / fan_in)
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class KaimingNormal(_OfNumbers):
    """Normal, preserving the variance of the signal through leaky ReLUs of negative slope ``a``.

    The standard deviation is ``gain / sqrt(fan_in)`` with ``gain = sqrt(2 / (1 + a**2))``.

    References
    ----------
    He et al., *Delving Deep into Rectifiers*, ICCV 2015.

    Examples
    --------
    >>> import numpy as np
    >>> KaimingNormal()((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[ 0.13, -0.13,  0.64],
           [ 0.1 , -0.54,  0.36]])
    """

    number_checks: ClassVar = {"a": real}
    a: float = 0.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return rng.normal(0.0, sqrt(2 / (1 + self.a**2) / fan_in), shape)


def _fan_out(shape: Shape) -> int:
    """Return of how many outputs one input is a part; in a convolution, at most."""
    return prod(shape[:-2]) * shape[-1]


@dataclass(frozen=True)
class XavierUniform(_OfNumbers):
    """Uniform within ``gain * sqrt(6 / (fan_in + fan_out))``.

    References
    ----------
    Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural
    networks*, AISTATS 2010.

    Examples
    --------
    >>> import numpy as np
    >>> XavierUniform()((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[ 0.3 , -0.5 , -1.01],
           [-1.06,  0.69,  0.9 ]])
    """

    number_checks: ClassVar = {"gain": real}
    gain: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        bound = self.gain * sqrt(6 / (fan_in + _fan_out(shape)))
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class XavierNormal(_OfNumbers):
    """Normal with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    References
    ----------
    Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural
    networks*, AISTATS 2010.

    Examples
    --------
    >>> import numpy as np
    >>> XavierNormal()((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[ 0.08, -0.08,  0.41],
           [ 0.07, -0.34,  0.23]])
    """

    number_checks: ClassVar = {"gain": real}
    gain: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return rng.normal(0.0, self.gain * sqrt(2 / (fan_in + _fan_out(shape))), shape)


@dataclass(frozen=True)
class Orthogonal(_OfNumbers):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times ``gain``.

    References
    ----------
    Saxe et al., *Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks*, ICLR 2014.

    Examples
    --------
    >>> import numpy as np
    >>> Orthogonal()((2, 3), 2, np.random.default_rng(0)).round(2)
    array([[ 0.15,  0.76, -0.63],
           [-0.3 ,  0.65,  0.7 ]])
    """

    number_checks: ClassVar = {"gain": real}
    gain: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        rows, columns = prod(shape[:-1]), shape[-1]
        tall = rng.normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.sign(np.diag(r))  # so that the distribution is uniform
        return self.gain * (q if rows >= columns else q.T).reshape(shape)

"""How parameters begin. Formulas and names follow torch.nn.init.

Each is a small spec; calling it with a shape, a random generator and a dtype gives the values.
For a weight of shape ``(in, out)``, the fan-in is ``in`` and the fan-out is ``out``.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from chainrule.arrays import FloatArray

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


class Initializer(ABC):
    """Makes the first values of a parameter."""

    @abstractmethod
    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        """Return float64 values of ``shape``, drawn from ``rng``."""


@dataclass(frozen=True)
class Constant(Initializer):
    """The same value everywhere."""

    value: float = 0.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Zeros(Constant):
    """Zero everywhere."""


@dataclass(frozen=True)
class Normal(Initializer):
    """Normally distributed, with a mean and a standard deviation."""

    mean: float = 0.0
    std: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform between two bounds."""

    low: float = 0.0
    high: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class UniformByFanIn(Initializer):
    """Uniform within ``1 / sqrt(fan_in)``: how PyTorch begins the bias of a linear layer."""

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        bound = 1 / sqrt(fan_in)
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class KaimingUniform(Initializer):
    """Uniform, keeping the variance of the signal through leaky ReLUs of negative slope ``a``.

    The bound is ``gain * sqrt(3 / fan_in)`` with ``gain = sqrt(2 / (1 + a**2))``.

    References
    ----------
    He et al., *Delving Deep into Rectifiers*, ICCV 2015.
    """

    a: float = 0.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        bound = sqrt(2 / (1 + self.a**2)) * sqrt(3 / fan_in)
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class KaimingNormal(Initializer):
    """Normal, keeping the variance of the signal through leaky ReLUs of negative slope ``a``.

    The standard deviation is ``gain / sqrt(fan_in)`` with ``gain = sqrt(2 / (1 + a**2))``.

    References
    ----------
    He et al., *Delving Deep into Rectifiers*, ICCV 2015.
    """

    a: float = 0.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return rng.normal(0.0, sqrt(2 / (1 + self.a**2) / fan_in), shape)


@dataclass(frozen=True)
class XavierUniform(Initializer):
    """Uniform within ``gain * sqrt(6 / (fan_in + fan_out))``.

    References
    ----------
    Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural
    networks*, AISTATS 2010.
    """

    gain: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        bound = self.gain * sqrt(6 / (fan_in + shape[-1]))
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class XavierNormal(Initializer):
    """Normal with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    References
    ----------
    Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural
    networks*, AISTATS 2010.
    """

    gain: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        return rng.normal(0.0, self.gain * sqrt(2 / (fan_in + shape[-1])), shape)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times ``gain``.

    References
    ----------
    Saxe et al., *Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks*, ICLR 2014.
    """

    gain: float = 1.0

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        rows, columns = shape[0], prod(shape[1:])
        tall = rng.normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.sign(np.diag(r))  # so that the distribution is uniform
        return self.gain * (q if rows >= columns else q.T).reshape(shape)

"""Elementary functions of one number, without branches and calls: loops over them vectorise.

Each is an ordinary Python function on NumPy numbers, and beside it stands the formula that
compiled code takes instead, in the precision of its argument. The tests hold
them to 2 units in the last place of float32 and 4 of float64, and normal_cdf, a product, to 5.

Exponentials start from ``exp(x) = 2**n * (1 + e)`` with ``e = expm1(r)`` and ``|r| < log(2) / 2``
(W. Cody and W. Waite, *Software Manual for the Elementary Functions*, 1980).
"""

import math

import numpy as np

from chainrule.kernels.values import lowers, polynomial, where

INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
FLAT = 50.0  # from where GELU is 0 or x in both precisions


def exp(x):
    """Return e to the power of x."""
    return np.exp(x)


@lowers(exp)
def _exp(x):
    e, n = _reduce(_limit(x), factors=2)
    scale, rest = _two_powers(n)
    return (scale + scale * e) * rest


def expm1(x):
    """Return ``exp(x) - 1``, precise also near zero."""
    return np.expm1(x)


@lowers(expm1)
def _expm1(x):
    e, n = _reduce(_limit(x), factors=2)
    scale, rest = _two_powers(n)
    return _with_sign_of(x, (scale * e + (scale - _reciprocal(rest))) * rest)


def reciprocal(x):
    """Return ``1 / x`` of a positive x; both must be normal numbers."""
    return 1 / x


@lowers(reciprocal)
def _reciprocal_of(x):
    # Next to a square root a division would wait for it: both take the one unit for divisions.
    kind = x.format
    y = (kind.reciprocal_bits - x.bits).as_float  # within 5.1 %
    for _ in range(kind.reciprocal_steps):
        error = 1.0 - x * y
        y = y + y * (error + error * error)
    return y + y * (1.0 - x * y)


def tanh(x):
    """Return the hyperbolic tangent of x."""
    return np.tanh(x)


@lowers(tanh)
def _tanh(x):
    negative = _at_least(-x.format.tanh_limit, -abs(x))
    e, n = _reduce(negative + negative, factors=1)
    scale = _power_of_two(n)
    # (1 - exp(-2 * abs(x))) / (1 + exp(-2 * abs(x))): no term is large
    return _with_sign_of(x, ((1.0 - scale) - scale * e) / ((1.0 + scale) + scale * e))


def sigmoid(x):
    """Return ``1 / (1 + exp(-x))``, without overflow."""
    small = np.exp(-abs(x))
    return (small if x < 0 else x.dtype.type(1)) / (1 + small)


@lowers(sigmoid)
def _sigmoid(x):
    limit = -x.format.exp_range[0]
    e, n = _reduce(_at_most(limit, _at_least(-limit, -x)), factors=2)
    # 1 / (1 + exp(-x)), both sides of the fraction divided by a part of exp(-x), which may be huge
    scale, rest = _two_powers(n)
    inverse = _reciprocal(rest)
    return inverse / (scale + (inverse + scale * e))


def softplus(x):
    """Return ``log(1 + exp(x))``, without overflow."""
    return max(x, x.dtype.type(0)) + np.log1p(np.exp(-abs(x)))


@lowers(softplus)
def _softplus(x):
    z = _exp(-abs(x))
    # max(x, 0) + log1p(z), small terms first
    square = z * z
    curve = square * z * polynomial(x.format.log1p, z) - 0.5 * square
    return z + (where(x > 0.0, x, 0.0) + curve)


def log(x):
    """Return the natural logarithm of x."""
    return np.log(x)


@lowers(log)
def _log(x):
    # x = 2**k * (1 + w), with 1 + w from sqrt(1/2) to sqrt(2); subnormal numbers are lifted first
    places, bias = x.format.mantissa_bits, x.format.exponent_bias
    is_subnormal = x < x.format.smallest_normal
    bits = where(is_subnormal, x * 2.0**places, x).bits
    k = ((bits - x.like(math.sqrt(0.5)).bits + (bias << places)) >> places) - bias
    w = (bits - (k << places)).as_float - 1.0
    k = where(is_subnormal, k - places, k).to_float
    # log(1 + w) = 2 * atanh(s) with 2 * s = w - s * w, where w is exact and s is not
    s = w / (2.0 + w)
    series = s * s * polynomial(x.format.atanh, s * s)
    result = k * x.format.ln2_high + (w - (s * (w - series) - k * x.format.ln2_low))
    result = where(x < math.inf, result, x)
    return where(x > 0.0, result, where(x < 0.0, math.nan, x - math.inf))


def erf(x):
    """Return the error function of x."""
    return x.dtype.type(math.erf(x))


@lowers(erf)
def _erf(x):
    magnitude = _at_most(x.format.erf_limit, abs(x))
    log_erfc = magnitude * polynomial(x.format.log_erfc, magnitude) - magnitude
    e, n = _reduce(log_erfc, factors=1)
    scale = _power_of_two(n)
    return _with_sign_of(x, (1.0 - scale) - scale * e)


def normal_pdf(x):
    """Return the normal distribution's density, ``exp(-x**2 / 2) / sqrt(2 * pi)``."""
    x = float(x)
    return math.exp(-0.5 * x * x) * INVERSE_SQRT_2PI


@lowers(normal_pdf)
def _normal_pdf(x):
    return _gaussian(_at_most(x.format.normal_limit, abs(x))) * INVERSE_SQRT_2PI


def normal_cdf(x):
    """Return the normal distribution's cumulative, precise also where it is small."""
    return 0.5 * math.erfc(-float(x) * math.sqrt(0.5))


@lowers(normal_cdf)
def _normal_cdf(x):
    magnitude = _at_most(x.format.normal_limit, abs(x))
    inverse = x.like(1.0) / (magnitude + 4.0)
    series = polynomial(x.format.normal_tail, (magnitude - 4.0) * inverse)
    tail = _gaussian(magnitude) * (inverse * series)
    return where(x < 0.0, tail, 1.0 - tail)


def near_zero(x):
    """Return x, or 50 or -50 beyond these: GELU is flat there, and squares of x may overflow."""
    return min(max(x, x.dtype.type(-FLAT)), x.dtype.type(FLAT))


@lowers(near_zero)
def _near_zero(x):
    return _at_most(FLAT, _at_least(-FLAT, x))


def _at_least(low, x):
    return where(x < low, low, x)  # a NaN stays a NaN


def _at_most(high, x):
    return where(x > high, high, x)


def _limit(x):
    low, high = x.format.exp_range
    return _at_most(high, _at_least(low, x))


def _gaussian(x):
    """Return ``exp(-x**2 / 2)``, for x from 0 to where that is 0."""
    # The square of x would be rounded, and that counts as often as the exponent is large.
    high = (x.bits & x.format.high_bits).as_float
    rest = (x - high) * (x + high)
    e, n = _reduce(high * high * -0.5, factors=2, rest=rest * -0.5)
    scale, other = _two_powers(n)
    return (scale + scale * e) * other


def _reduce(x, factors, rest=None):
    """Return e, and n in a form to make so many powers of two from: ``exp(x) = 2**n * (1 + e)``.

    If there is a ``rest``, which is small, it belongs to x.
    """
    # Added to a number this large, x rounds to an integer, which then stands in the last bits;
    # there it already has the bias that exponents have.
    kind = x.format
    large = 1.5 * 2.0**kind.mantissa_bits + factors * kind.exponent_bias
    whole = x if rest is None else x + rest
    shifted = whole * (1.0 / math.log(2.0)) + large
    n = shifted - large
    r = x - n * kind.ln2_high
    r = (r if rest is None else r + rest) - n * kind.ln2_low
    return r + r * (r * polynomial(kind.expm1, r)), shifted.bits


def _power_of_two(n):
    """Return ``2**n``, n from a reduction with one factor."""
    return (n << n.format.mantissa_bits).as_float


def _two_powers(n):
    """Return two powers of two whose product is ``2**n``, which may overflow or be subnormal."""
    half = n >> 1
    return _power_of_two(half), _power_of_two(n - half)


def _reciprocal(power_of_two):
    kind = power_of_two.format
    return ((2 * kind.exponent_bias << kind.mantissa_bits) - power_of_two.bits).as_float


def _with_sign_of(x, y):
    """Return y, which has the sign of x unless it is zero, where the sign may have got lost."""
    return (y.bits | (x.bits & x.sign_bit)).as_float

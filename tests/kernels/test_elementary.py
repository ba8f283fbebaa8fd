"""Elementary functions: their error over the whole range, special values, and coefficients."""

import math

import mpmath
import numpy as np
import pytest

from chainrule.kernels import elementary, formats
from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.reference import elementary as reference

NORMAL = ["normal_pdf", "normal_cdf"]
PRODUCT = {"normal_cdf": 5}  # more units in the last place for what has several factors
NAMES = ["exp", "expm1", "log", "tanh", "sigmoid", "softplus", "erf", *NORMAL]
each_name = pytest.mark.parametrize("name", NAMES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def apply(name, x):
    """Return the function's values as a loop in compiled code gets them."""
    function = getattr(elementary, name)

    @kernel
    def each(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    y = np.empty_like(x)
    with np.errstate(all="ignore"):  # NumPy's own functions stand in where the JIT is off
        each(x, y)
    return y


def worst_error(y, exact, rounded):
    """Return the largest error in units in the last place; ``exact`` may be more precise."""
    with np.errstate(under="ignore"):
        ulp = np.spacing(np.abs(rounded)).astype(float)
        return float((np.abs((y - exact).astype(float)) / ulp).max())


@each_name
def test_float32_is_within_2_ulp_over_all_bit_patterns(name):
    step = 1_000_003 if JIT_DISABLED else 997
    x = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    y = apply(name, x)
    with np.errstate(all="ignore"):
        exact = getattr(reference, name)(x.astype(np.float64))
        rounded = exact.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(y[~finite], rounded[~finite])
    assert worst_error(y[finite], exact[finite], rounded[finite]) <= PRODUCT.get(name, 2)


@each_dtype
def test_reciprocals_of_normal_numbers_are_within_2_ulp(dtype):
    limits = np.finfo(dtype)
    exponents = np.linspace(np.log2(limits.tiny) + 2.1, -np.log2(limits.tiny) - 0.1, 20_001)
    x = np.exp2(exponents).astype(dtype)
    y = apply("reciprocal", x)
    # y = (1 + error) / x, and x * y - 1 is the error
    error = np.abs(x.astype(np.longdouble) * y.astype(np.longdouble) - 1)
    assert (error <= 2 * np.spacing(y) / y).all()


EXACT = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "erf": mpmath.erf,
    "normal_pdf": mpmath.npdf,
    "normal_cdf": lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
}


def float64_points(name):
    """Return numbers of all sizes, more of them where the function changes, and hard ones."""
    rng = np.random.default_rng(0)
    exponents = rng.uniform(-1074, 1024 if name == "log" else 10, 1000)
    turns = np.arange(-60, 60) * math.log(2) / 2  # where range reductions go on to the next n
    middle = [rng.normal(size=1000), rng.uniform(-40, 40, 1000), rng.uniform(-750, 710, 1000)]
    steps = [limit + rng.uniform(-1e-3, 1e-3, 50) for limit in (-745, -708, 19.06, 5.92, 709.7)]
    near_one = 1 + rng.uniform(-1, 1, 200) * 2.0 ** rng.uniform(-53, -1, 200)
    points = [np.exp2(exponents), -np.exp2(exponents), turns, turns + 1e-9, *middle, *steps]
    x = np.concatenate([*points, near_one, [0.0, 5e-324, 2.2e-308]])
    return np.abs(x[x != 0]) if name == "log" else x


@each_name
def test_float64_is_within_4_ulp(name):
    if JIT_DISABLED and name in NORMAL:
        pytest.skip("as plain functions they round x**2")
    x = float64_points(name)
    y = apply(name, x)
    with mpmath.workdps(40):
        exact = [EXACT[name](mpmath.mpf(float(number))) for number in x]
        rounded = np.array([float(number) for number in exact])
        error = np.array([float(abs(a - b)) for a, b in zip(y.tolist(), exact, strict=True)])
    assert worst_error(error, 0.0, rounded) <= PRODUCT.get(name, 4)


INF, NAN = math.inf, math.nan
SPECIAL = {
    "exp": [(-INF, 0), (-1e4, 0), (-0.0, 1), (0.0, 1), (1e4, INF), (INF, INF)],
    "expm1": [(-INF, -1), (-1e4, -1), (-0.0, -0.0), (0.0, 0.0), (1e4, INF), (INF, INF)],
    "log": [(-INF, NAN), (-1.0, NAN), (-0.0, -INF), (0.0, -INF), (1.0, 0.0), (INF, INF)],
    "tanh": [(-INF, -1), (-1e4, -1), (-0.0, -0.0), (0.0, 0.0), (1e4, 1), (INF, 1)],
    "sigmoid": [(-INF, 0), (-1e4, 0), (-0.0, 0.5), (0.0, 0.5), (1e4, 1), (INF, 1)],
    "softplus": [(-INF, 0), (-1e4, 0), (1e4, 1e4), (INF, INF)],
    "erf": [(-INF, -1), (-1e4, -1), (-0.0, -0.0), (0.0, 0.0), (1e4, 1), (INF, 1)],
    "normal_pdf": [(-INF, 0), (-1e4, 0), (1e4, 0), (INF, 0)],
    "normal_cdf": [(-INF, 0), (-1e4, 0), (-0.0, 0.5), (0.0, 0.5), (1e4, 1), (INF, 1)],
}


@each_name
@each_dtype
def test_special_values(name, dtype):
    # Twenty of each, so that whole vectors and the loop's remainder both meet them.
    x, expected = np.repeat(np.array([*SPECIAL[name], (NAN, NAN)], dtype), 20, axis=0).T
    y = apply(name, x.copy())
    np.testing.assert_array_equal(y, expected)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[number]), np.signbit(expected[number]))


@each_dtype
@pytest.mark.parametrize("name", ["tanh", "erf", "sigmoid", "normal_cdf"])
def test_nothing_exceeds_one(name, dtype):
    assert np.abs(apply(name, np.linspace(-40, 40, 20_001, dtype=dtype))).max() == 1


# Where the coefficients come from.


def fit(target, low, high, terms, weight, number):
    """Return coefficients of a polynomial with almost the least weighted error there can be.

    Least squares on Chebyshev nodes; one coefficient after the other is rounded, and those that
    follow are fitted again to what the rounding left.
    """
    count = 6 * terms
    cosines = [mpmath.cos(mpmath.pi * (k + 0.5) / count) for k in range(count)]
    nodes = [(low + high) / 2 + (high - low) / 2 * cosine for cosine in cosines]
    weights, rest = [weight(x) for x in nodes], [target(x) for x in nodes]
    coefficients = []
    for power in range(terms):
        rows = [
            [w * x**k for k in range(power, terms)] for w, x in zip(weights, nodes, strict=True)
        ]
        values = [w * value for w, value in zip(weights, rest, strict=True)]
        solution = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix(values))
        coefficients.append(float(number(float(solution[0]))))
        rest = [value - coefficients[-1] * x**power for value, x in zip(rest, nodes, strict=True)]
    return coefficients


def normal_tail(s):
    x = 4 * (1 + s) / (1 - s)
    return (x + 4) * mpmath.exp(x**2 / 2) * mpmath.erfc(x / mpmath.sqrt(2)) / 2


# For each polynomial: what it approximates, where, and what the error there counts. The formulas
# that it completes stand in ``formats``; the weight is its share in their value.
FITS = {
    "expm1": (
        lambda r: (mpmath.expm1(r) - r) / r**2,
        lambda kind: (-mpmath.log(2) / 2, mpmath.log(2) / 2),
        lambda r: r**2 / mpmath.expm1(r),
    ),
    "log1p": (
        lambda z: (mpmath.log1p(z) - z + z**2 / 2) / z**3,
        lambda kind: (mpmath.mpf(0), mpmath.mpf(1)),
        lambda z: z**3 / mpmath.log1p(z),
    ),
    "atanh": (
        lambda v: (2 * mpmath.atanh(mpmath.sqrt(v)) / mpmath.sqrt(v) - 2) / v,
        lambda kind: (mpmath.mpf(0), (3 - mpmath.sqrt(8)) ** 2),
        lambda v: v,
    ),
    "log_erfc": (
        lambda x: mpmath.log(mpmath.erfc(x)) / x + 1,
        lambda kind: (mpmath.mpf(0), mpmath.mpf(str(kind.erf_limit))),
        lambda x: x * mpmath.erfc(x) / mpmath.erf(x),  # the error of erf
    ),
    "normal_tail": (
        normal_tail,
        lambda kind: (
            -1,
            (mpmath.mpf(kind.normal_limit) - 4) / (mpmath.mpf(kind.normal_limit) + 4),
        ),
        lambda s: 1 / normal_tail(s),
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize(
    ("kind", "number"), [(formats.SINGLE, np.float32), (formats.DOUBLE, np.float64)]
)
def test_coefficients_are_what_a_fit_gives(name, kind, number):
    coefficients = [float(number(c)) for c in getattr(kind, name)]
    target, interval, weight = FITS[name]
    with mpmath.workdps(60):
        assert coefficients == fit(target, *interval(kind), len(coefficients), weight, number)

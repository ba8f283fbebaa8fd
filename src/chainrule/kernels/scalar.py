"""Elementary functions of one number, without branches and calls: loops over them vectorise.

Each is an ordinary Python function on NumPy numbers; compiled code takes the version that is
registered for it here. Both precisions share one formula and differ in their constants.

Source of the range reduction: W. Cody and W. Waite, *Software Manual for the Elementary
Functions*, 1980.
"""

import math
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from chainrule.kernels.jit import EXACT_FLAGS


def exp(x):
    """Return e to the power of x."""
    return np.exp(x)


def expm1(x):
    """Return ``exp(x) - 1``, precise also near zero."""
    return np.expm1(x)


def tanh(x):
    """Return the hyperbolic tangent of x."""
    return np.tanh(x)


def sigmoid(x):
    """Return ``1 / (1 + exp(-x))``, without overflow."""
    small = np.exp(-abs(x))
    return (small if x < 0 else x.dtype.type(1)) / (1 + small)


class _Precision(NamedTuple):
    """What the formulas need to know of a floating-point format."""

    float_type: type
    int_type: type
    mantissa_bits: int
    exponent_bias: int
    exp_range: tuple[float, float]  # outside, exp is 0 or inf
    ln2_high: float  # few enough bits that n * ln2_high is exact
    ln2_low: float
    tanh_limit: float  # beyond, tanh is 1
    terms: int  # of the Taylor series of expm1 on [-ln2/2, ln2/2]


_PRECISIONS = {
    types.float32: _Precision(
        np.float32, np.int32, 23, 127, (-104.0, 89.0), 0.693359375, -2.12194440e-4, 10.0, 8
    ),
    types.float64: _Precision(
        np.float64, np.int64, 52, 1023, (-746.0, 710.0),
        6.93147180369123816490e-01, 1.90821492927058770002e-10, 20.0, 14,
    ),
}  # fmt: skip


def _polynomial(coefficients):
    """Return a compiled Horner scheme; an intrinsic, for a loop over a tuple does not vectorise."""

    @intrinsic
    def polynomial(typing_context, x):
        def codegen(context, builder, signature, arguments):
            x_type = arguments[0].type
            suffix = "f32" if isinstance(x_type, ir.FloatType) else "f64"
            multiply_add = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(x_type, [x_type] * 3),
                f"llvm.fmuladd.{suffix}",
            )
            result = ir.Constant(x_type, coefficients[-1])
            for coefficient in reversed(coefficients[:-1]):
                addend = ir.Constant(x_type, coefficient)
                result = builder.call(multiply_add, [result, arguments[0], addend])
            return result

        return x(x), codegen

    return polynomial


def _compiled_expm1_parts(precision):
    """Return functions that split exp into ``2**n * (1 + e)`` and put powers of two together."""
    number, integer = precision.float_type, precision.int_type
    low, high = number(precision.exp_range[0]), number(precision.exp_range[1])
    log2_e = number(1 / math.log(2))
    # Adding 1.5 * 2**mantissa_bits rounds to an integer, which then stands in the low bits.
    rounder = number(1.5 * 2.0**precision.mantissa_bits)
    rounder_bits = integer(rounder.view(integer))
    ln2_high, ln2_low = number(precision.ln2_high), number(precision.ln2_low)
    bias, shift = integer(precision.exponent_bias), integer(precision.mantissa_bits)
    series = _polynomial([1 / math.factorial(k + 1) for k in range(precision.terms)])

    def reduce(x):
        x = low if x < low else x  # comparisons let a NaN through
        x = high if x > high else x
        shifted = x * log2_e + rounder
        n = shifted - rounder
        r = (x - n * ln2_high) - n * ln2_low
        return r * series(r), integer(number(shifted).view(integer) - rounder_bits)

    def power_of_two(n):
        return integer((n + bias) << shift).view(number)

    return reduce, power_of_two


def _jit(function):
    from numba.extending import register_jitable

    return register_jitable(**EXACT_FLAGS)(function)


def _make_exp(precision):
    reduce, power_of_two = map(_jit, _compiled_expm1_parts(precision))
    one, integer = precision.float_type(1), precision.int_type

    def exp_compiled(x):
        e, n = reduce(x)
        # In two steps, since 2**n itself may overflow or be subnormal.
        half = integer(n >> 1)
        return (one + e) * power_of_two(half) * power_of_two(integer(n - half))

    return exp_compiled


def _make_expm1(precision):
    reduce, power_of_two = map(_jit, _compiled_expm1_parts(precision))
    integer = precision.int_type

    def expm1_compiled(x):
        e, n = reduce(x)
        half = integer(n >> 1)
        rest = integer(n - half)
        scale = power_of_two(half)
        return (scale * e + (scale - power_of_two(integer(-rest)))) * power_of_two(rest)

    return expm1_compiled


def _make_tanh(precision):
    expm1_compiled = _jit(_make_expm1(precision))
    limit, two = precision.float_type(precision.tanh_limit), precision.float_type(2)

    def tanh_compiled(x):
        magnitude = abs(x)
        magnitude = limit if magnitude > limit else magnitude
        e = expm1_compiled(two * magnitude)
        return math.copysign(e / (e + two), x)

    return tanh_compiled


def _make_sigmoid(precision):
    exp_compiled = _jit(_make_exp(precision))
    one, zero = precision.float_type(1), precision.float_type(0)

    def sigmoid_compiled(x):
        small = exp_compiled(-abs(x))
        return (small if x < zero else one) / (one + small)

    return sigmoid_compiled


def _register(function, make):
    implementations = {kind: make(precision) for kind, precision in _PRECISIONS.items()}

    @overload(function, jit_options=EXACT_FLAGS)
    def compiled(x):
        return implementations.get(x)


_register(exp, _make_exp)
_register(expm1, _make_expm1)
_register(tanh, _make_tanh)
_register(sigmoid, _make_sigmoid)

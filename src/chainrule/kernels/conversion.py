"""Rows of any dtype become float32 or float64: one function for all of them, as LLVM instructions.

As a loop for each dtype they made the interpreter take half as long again to compile.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.vectors import INDEX, LANE

ELEMENTS = (
    "float32", "float64", "float16", "bool",
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
)  # fmt: skip
# Bytes of an element, by the code of its dtype.
SIZES = np.zeros(128, np.int64)
for _dtype in map(np.dtype, ELEMENTS):
    SIZES[ord(_dtype.char)] = _dtype.itemsize

CACHE_LINE = 64
# Reading a row that lies far from the one before begins with a wait; then the processor sees by
# itself what comes next. Shorter rows are over before asking for them pays.
AHEAD = 512


@intrinsic
def convert_row(typing_context, dtype, source, destination, columns, scale, offset):
    """Write ``x * scale + offset`` for the numbers x of one row, from address to address.

    ``dtype`` is the code of the character that NumPy has for what lies at ``source``, which need
    not be aligned; what lies at ``destination`` has the type of ``scale``.
    """
    signature = types.void(*[types.int64] * 4, scale, offset)

    def codegen(context, builder, signature, values):
        dtype, source, destination, columns, scale, offset = values
        result = builder.inttoptr(destination, scale.type.as_pointer())
        done = builder.append_basic_block("done")
        choice = builder.switch(dtype, done)
        for name in ELEMENTS:
            block = builder.append_basic_block(name)
            choice.add_case(ir.Constant(INDEX, ord(np.dtype(name).char)), block)
            builder.position_at_end(block)
            with cgutils.for_range(builder, columns) as loop:
                x = _load(builder, source, loop.index, np.dtype(name), scale.type)
                y = builder.fmul(x, scale, flags=("contract",))
                y = builder.fadd(y, offset, flags=("contract",))
                builder.store(y, builder.gep(result, [loop.index]))
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


def _load(builder, source, index, dtype, result):
    """Load a number of ``dtype`` and make it one of the LLVM type ``result``."""
    floats = {4: ir.FloatType(), 8: ir.DoubleType()}
    bits = ir.IntType(8 * dtype.itemsize)
    kind = floats.get(dtype.itemsize, bits) if dtype.kind == "f" else bits
    pointer = builder.inttoptr(source, kind.as_pointer())
    number = builder.load(builder.gep(pointer, [index]), align=1)
    if dtype.kind in "bu":
        return builder.uitofp(number, result)
    if dtype.kind == "i":
        return builder.sitofp(number, result)
    if dtype.itemsize == 2:
        number = _half(builder, number)
    if number.type == result:
        return number
    return builder.fpext(number, result) if dtype.itemsize < 8 else builder.fptrunc(number, result)


def _half(builder, bits):
    """Return as float32 the float16 of these bits, by instructions that every CPU has as vectors.

    Put where a float32 has them, exponent and mantissa are a number that is too small by the
    difference of the exponents' biases, subnormal or not.
    """

    def constant(value):
        return ir.Constant(LANE, value)

    bits = builder.zext(bits, LANE)
    magnitude = builder.and_(bits, constant(0x7FFF))
    small = builder.bitcast(builder.shl(magnitude, constant(13)), ir.FloatType())
    number = builder.fmul(small, ir.Constant(ir.FloatType(), 2.0**112))
    is_special = builder.icmp_unsigned(">=", magnitude, constant(0x7C00))
    infinity = builder.select(is_special, constant(0x7F800000), constant(0))
    sign = builder.shl(builder.and_(bits, constant(0x8000)), constant(16))
    result = builder.or_(builder.bitcast(number, LANE), builder.or_(infinity, sign))
    return builder.bitcast(result, ir.FloatType())


@intrinsic
def prefetch(typing_context, address):
    """Tell the processor that the ``AHEAD`` bytes at ``address`` will be read next."""

    def codegen(context, builder, signature, arguments):
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, LANE, LANE, LANE])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        to_read, into_all_caches, data = (ir.Constant(LANE, value) for value in (0, 3, 1))
        for line in range(0, AHEAD, CACHE_LINE):
            place = builder.add(arguments[0], ir.Constant(INDEX, line))
            place = builder.inttoptr(place, pointer)
            builder.call(function, [place, to_read, into_all_caches, data])
        return context.get_dummy_value()

    return types.void(types.int64), codegen

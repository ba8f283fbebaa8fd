"""Numbers that several threads read and write, as indivisible steps."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

INT64 = ir.IntType(64)


@intrinsic
def load(typing_context, address):
    """Return the int64 at ``address``, and see all that was written before it."""

    def codegen(context, builder, signature, values):
        pointer = builder.inttoptr(values[0], INT64.as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def add(typing_context, address, number):
    """Add ``number`` to the int64 at ``address`` as one indivisible step; return what it was."""

    def codegen(context, builder, signature, values):
        pointer = builder.inttoptr(values[0], INT64.as_pointer())
        return builder.atomic_rmw("add", pointer, values[1], "acq_rel")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def exchange(typing_context, address, expected, new):
    """Write ``new`` where ``expected`` is, as one indivisible step; return whether it was there."""

    def codegen(context, builder, signature, values):
        pointer = builder.inttoptr(values[0], INT64.as_pointer())
        result = builder.cmpxchg(pointer, values[1], values[2], "acq_rel", "acquire")
        return builder.extract_value(result, 1)

    return types.boolean(types.int64, types.int64, types.int64), codegen

"""The largest number of a row.

LLVM leaves a loop that looks for it as it is, number by number, because of NaNs.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.vectors import INDEX, LANE, VECTOR_BYTES, Vectors


@intrinsic
def largest_of(typing_context, like, source, columns):
    """Return the largest of so many numbers at an address, or some number if there is a NaN.

    ``like`` is any number of the element type.
    """
    signature = like(like, types.int64, types.int64)
    width = VECTOR_BYTES // (like.bitwidth // 8)

    def codegen(context, builder, signature, values):
        vectors = Vectors(builder, context.get_value_type(like), width)
        _, source, columns = values
        source = builder.inttoptr(source, vectors.pointer)
        least = ir.Constant(vectors.vector, [float("-inf")] * width)
        slot = cgutils.alloca_once_value(builder, least)
        builder.store(least, slot)

        def larger(x, y):
            return builder.select(builder.fcmp_ordered(">", x, y), x, y)

        whole = builder.sdiv(columns, ir.Constant(INDEX, width))
        done = builder.mul(whole, ir.Constant(INDEX, width))
        rest = builder.sub(columns, done)
        with cgutils.for_range(builder, whole) as vector:
            first = builder.mul(vector.index, ir.Constant(INDEX, width))
            x = vectors.load(builder.gep(source, [first]), 0, None)
            builder.store(larger(x, builder.load(slot)), slot)
        with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(INDEX, 0))):
            mask = vectors.lanes_below(rest, 0)
            x = builder.select(mask, vectors.load(builder.gep(source, [done]), 0, mask), least)
            builder.store(larger(x, builder.load(slot)), slot)
        result, distance = builder.load(slot), width // 2
        while distance > 0:
            lanes = ir.VectorType(LANE, width)
            order = ir.Constant(lanes, [(lane + distance) % width for lane in range(width)])
            result = larger(builder.shuffle_vector(result, result, order), result)
            distance //= 2
        return builder.extract_element(result, ir.Constant(LANE, 0))

    return signature, codegen

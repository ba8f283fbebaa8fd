"""Copies of blocks from address to address, a vector at a time."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.vectors import INDEX, VECTOR_BYTES, Vectors


@intrinsic
def copy_block(typing_context, like, source, source_row, target, target_row, rows, columns):
    """Copy ``rows`` rows of ``columns`` elements; ``like`` is any number of the element type.

    The rows lie ``source_row`` and ``target_row`` elements apart.
    """
    signature = types.void(like, *[types.int64] * 6)
    width = VECTOR_BYTES // (like.bitwidth // 8)

    def codegen(context, builder, signature, values):
        vectors = Vectors(builder, context.get_value_type(like), width)
        source, source_row, target, target_row, rows, columns = values[1:]
        source, target = (builder.inttoptr(x, vectors.pointer) for x in (source, target))
        whole = builder.sdiv(columns, ir.Constant(INDEX, width))
        done = builder.mul(whole, ir.Constant(INDEX, width))
        rest = builder.sub(columns, done)
        has_rest = builder.icmp_signed(">", rest, ir.Constant(INDEX, 0))
        mask = vectors.lanes_below(rest, 0)
        with cgutils.for_range(builder, rows) as row:
            from_row = builder.gep(source, [builder.mul(row.index, source_row)])
            to_row = builder.gep(target, [builder.mul(row.index, target_row)])

            def copy(first, mask, from_row=from_row, to_row=to_row):
                value = vectors.load(builder.gep(from_row, [first]), 0, mask)
                vectors.store(value, builder.gep(to_row, [first]), 0, mask)

            with cgutils.for_range(builder, whole) as vector:
                copy(builder.mul(vector.index, ir.Constant(INDEX, width)), None)
            with builder.if_then(has_rest):
                copy(done, mask)
        return context.get_dummy_value()

    return signature, codegen

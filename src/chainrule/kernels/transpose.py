"""Transposes from address to address, square block by square block in vector registers."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.jit import kernel
from chainrule.kernels.vectors import INDEX, VECTOR_BYTES, Vectors


@kernel
def transpose_block(like, size, source, source_row, target, target_row, rows, columns):
    """Transpose a block of ``rows`` rows from address to address.

    ``like`` is a number of the element type, of ``size`` bytes; rows lie ``source_row`` and
    ``target_row`` elements apart.
    """
    width = VECTOR_BYTES // size
    height, length = min(width, rows), min(width, columns)
    for i in range(0, rows, width):
        top = min(i, rows - height)  # the last squares overlap, for parts of squares are slow
        for j in range(0, columns, width):
            left = min(j, columns - length)
            from_square = source + (top * source_row + left) * size
            to_square = target + (left * target_row + top) * size
            _transpose_square(like, from_square, source_row, to_square, target_row, height, length)


@intrinsic
def _transpose_square(typing_context, like, source, source_row, target, target_row, rows, columns):
    """Transpose a block that is at most as wide and as high as a vector is long."""
    signature = types.void(like, *[types.int64] * 6)
    width = VECTOR_BYTES // (like.bitwidth // 8)

    def codegen(context, builder, signature, values):
        vectors = Vectors(builder, context.get_value_type(like), width)
        source, source_row, target, target_row, rows, columns = values[1:]
        source, target = (builder.inttoptr(x, vectors.pointer) for x in (source, target))

        def is_there(number, count):
            return builder.icmp_signed("<", ir.Constant(INDEX, number), count)

        def exchange_all(square):
            # Blocks of the upper right and the lower left change places, ever smaller ones.
            step = width // 2
            while step:
                for i in range(width):
                    if i & step == 0:
                        pair = vectors.exchange(square[i], square[i + step], step)
                        square[i], square[i + step] = pair
                step //= 2

        def emit_whole():
            square = [
                vectors.load(vectors.row(source, source_row, i), 0, None) for i in range(width)
            ]
            exchange_all(square)
            for j, vector in enumerate(square):
                vectors.store(vector, vectors.row(target, target_row, j), 0, None)

        def emit_part():
            # Rows that are not there are not touched, for a mask without lanes is slow.
            row_mask, column_mask = (vectors.lanes_below(n, 0) for n in (columns, rows))
            slots = [cgutils.alloca_once_value(builder, vectors.zero) for _ in range(width)]
            for i, slot in enumerate(slots):
                builder.store(vectors.zero, slot)
                with builder.if_then(is_there(i, rows)):
                    builder.store(
                        vectors.load(vectors.row(source, source_row, i), 0, row_mask), slot
                    )
            square = [builder.load(slot) for slot in slots]
            exchange_all(square)
            for j, vector in enumerate(square):
                with builder.if_then(is_there(j, columns)):
                    vectors.store(vector, vectors.row(target, target_row, j), 0, column_mask)

        whole = builder.and_(
            builder.icmp_signed("==", rows, ir.Constant(INDEX, width)),
            builder.icmp_signed("==", columns, ir.Constant(INDEX, width)),
        )
        with builder.if_else(whole) as (then, otherwise):
            with then:
                emit_whole()
            with otherwise:
                emit_part()
        return context.get_dummy_value()

    return signature, codegen

"""Transposes from address to address, square block by square block in vector registers."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from chainrule.kernels.jit import kernel
from chainrule.kernels.vectors import INDEX, LANE, VECTOR_BYTES, Vectors


@kernel
def transpose_block(like, size, source, source_row, target, target_row, rows, columns):
    """Transpose a block of ``rows`` rows from address to address.

    ``like`` is a number of the element type, of ``size`` bytes; rows lie ``source_row`` and
    ``target_row`` elements apart.
    """
    width = VECTOR_BYTES // size
    for i in range(0, rows, width):
        for j in range(0, columns, width):
            from_square = source + (i * source_row + j) * size
            to_square = target + (j * target_row + i) * size
            height, length = min(width, rows - i), min(width, columns - j)
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

        def emit(masked):
            def mask(number, count, length):
                if not masked:
                    return None
                is_there = builder.icmp_signed("<", ir.Constant(INDEX, number), count)
                return vectors.lanes_below(builder.select(is_there, length, zero), 0)

            def at(start, stride, number):
                return builder.gep(start, [builder.mul(stride, ir.Constant(INDEX, number))])

            square = [
                vectors.load(at(source, source_row, i), 0, mask(i, rows, columns))
                for i in range(width)
            ]
            # Blocks of the upper right and the lower left change places, ever smaller ones.
            step = width // 2
            while step:
                for i in range(width):
                    if i & step == 0:
                        pair = _exchange(builder, square[i], square[i + step], step)
                        square[i], square[i + step] = pair
                step //= 2
            for j, vector in enumerate(square):
                vectors.store(vector, at(target, target_row, j), 0, mask(j, columns, rows))

        zero = ir.Constant(INDEX, 0)
        whole = builder.and_(
            builder.icmp_signed("==", rows, ir.Constant(INDEX, width)),
            builder.icmp_signed("==", columns, ir.Constant(INDEX, width)),
        )
        with builder.if_else(whole) as (then, otherwise):
            with then:
                emit(masked=False)
            with otherwise:
                emit(masked=True)
        return context.get_dummy_value()

    return signature, codegen


def _exchange(builder, upper, lower, step):
    """Swap the lanes of ``upper`` that have the bit ``step`` with those of ``lower`` without it."""
    lanes = range(upper.type.count)
    width = upper.type.count
    first = [lane if lane & step == 0 else width + lane - step for lane in lanes]
    second = [lane + step if lane & step == 0 else width + lane for lane in lanes]
    kind = ir.VectorType(LANE, width)
    return (
        builder.shuffle_vector(upper, lower, ir.Constant(kind, first)),
        builder.shuffle_vector(upper, lower, ir.Constant(kind, second)),
    )

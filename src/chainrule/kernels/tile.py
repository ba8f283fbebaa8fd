"""The register tile: a small block of a matrix product, held in vector registers from start to end.

Sizes are literals, so that each use compiles to straight code and stays cacheable.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.vectors import INDEX, MANY_REGISTERS, VECTOR_BYTES, Vectors

# Two vectors wide, and rows that leave registers for the operands. Twelve rows would fit into 32
# registers, but their addresses not into x86's 16 integer registers: 95 instead of 255 GFLOP/s.
ROWS_1, ROWS_2, ROWS_3, ROWS_4 = (8, 5, 3, 2) if MANY_REGISTERS else (6, 4, 3, 2)
TILE_VECTORS = 2


@intrinsic(prefer_literal=True)
def tile(typing_context, rows, like, a, a_row, a_k, b, b_row, c, c_row, depth, columns, bias):
    """``c = a @ b + bias`` for a block of ``rows`` rows and at most ``TILE_VECTORS`` vectors.

    ``rows`` is a literal and ``like`` any number of the element type; ``a``, ``b``, ``c`` and
    ``bias`` are addresses (bias 0: none), ``a_row`` and ``a_k`` how many elements apart the rows
    and the columns of ``a`` lie, ``b_row`` and ``c_row`` the same for rows; ``depth`` is the
    length of the sums, and ``columns`` how many columns of the block are there.
    """
    if not isinstance(rows, types.IntegerLiteral):
        return None
    arguments = (a, a_row, a_k, b, b_row, c, c_row, depth, columns, bias)
    signature = types.void(rows, like, *[types.int64] * len(arguments))
    width = VECTOR_BYTES // (like.bitwidth // 8)

    def codegen(context, builder, signature, values):
        vectors = Vectors(builder, context.get_value_type(like), width)
        operands = values[2:]
        columns = values[-2]

        def at_least(count):
            return builder.icmp_signed(">=", columns, ir.Constant(INDEX, count))

        # Edges pay for masks, narrow outputs (ten classes) for one vector only.
        with builder.if_else(at_least(TILE_VECTORS * width)) as (whole, edge):
            with whole:
                _emit_block(vectors, rows.literal_value, TILE_VECTORS, False, *operands)
            with edge, builder.if_else(at_least(width + 1)) as (wide, narrow):
                with wide:
                    _emit_block(vectors, rows.literal_value, TILE_VECTORS, True, *operands)
                with narrow:
                    _emit_block(vectors, rows.literal_value, 1, True, *operands)
        return context.get_dummy_value()

    return signature, codegen


def _emit_block(
    vectors, rows, count, masked, a, a_row, a_k, b, b_row, c, c_row, depth, columns, bias
):
    """Emit the product for ``rows`` rows and ``count`` vectors of columns."""
    builder, width = vectors.builder, vectors.width
    a, b, c, bias_start = (builder.inttoptr(x, vectors.pointer) for x in (a, b, c, bias))
    masks = [vectors.lanes_below(columns, v * width) if masked else None for v in range(count)]

    # Sums live in stack slots that LLVM turns into registers.
    sums = [[cgutils.alloca_once_value(builder, vectors.zero) for _ in masks] for _ in range(rows)]
    for row in sums:  # a tile inside a loop starts anew each time
        for slot in row:
            builder.store(vectors.zero, slot)
    with builder.if_then(builder.icmp_signed("!=", bias, ir.Constant(INDEX, 0))):
        for v, mask in enumerate(masks):
            start = vectors.load(bias_start, v * width, mask)
            for row in sums:
                builder.store(start, row[v])

    with cgutils.for_range(builder, depth) as loop:
        b_k = builder.gep(b, [builder.mul(loop.index, b_row)])
        b_vectors = [vectors.load(b_k, v * width, mask) for v, mask in enumerate(masks)]
        a_k_offset = builder.mul(loop.index, a_k)
        for r, row in enumerate(sums):
            offset = builder.add(builder.mul(a_row, ir.Constant(INDEX, r)), a_k_offset)
            factor = vectors.splat(builder.load(builder.gep(a, [offset])))
            for slot, b_vector in zip(row, b_vectors, strict=True):
                builder.store(vectors.multiply_add(factor, b_vector, builder.load(slot)), slot)

    for r, row in enumerate(sums):
        c_r = builder.gep(c, [builder.mul(c_row, ir.Constant(INDEX, r))])
        for v, mask in enumerate(masks):
            vectors.store(builder.load(row[v]), c_r, v * width, mask)

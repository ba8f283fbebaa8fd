"""The register tile: a small block of a matrix product, held in vector registers from start to end.

Sizes are literals, so that each use compiles to straight code and stays cacheable.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.blocks import MOST_ROWS
from chainrule.kernels.vectors import INDEX, MANY_REGISTERS, VECTOR_BYTES, Vectors

# Two vectors wide, and rows that leave registers for the operands. Twelve rows would fit into 32
# registers, but their addresses not into x86's 16 integer registers: 95 instead of 255 GFLOP/s.
ROWS_1, ROWS_2, ROWS_3, ROWS_4 = (MOST_ROWS, 5, 3, 2) if MANY_REGISTERS else (6, 4, 3, 2)
TILE_VECTORS = 2


@intrinsic(prefer_literal=True)
def tile(
    typing_context,
    rows, floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns,
):  # fmt: skip
    """``c = max(start + a @ b, floor)``, for ``rows`` rows and up to ``TILE_VECTORS`` vectors.

    ``rows`` is a literal, and ``floor`` a number of the element type: 0 makes a ReLU of the
    product, -inf leaves it as it is. ``a``, ``b``, ``c`` and ``start`` are addresses (start 0:
    zeros), ``a_row`` and ``a_k`` how many elements apart the rows and the columns of ``a`` lie,
    and so on (start_row 0: the same for all rows, a bias); ``depth`` is the length of the sums,
    and ``columns`` how many columns of the block are there.
    """
    if not isinstance(rows, types.IntegerLiteral):
        return None
    arguments = (a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns)
    signature = types.void(rows, floor, *[types.int64] * len(arguments))
    width = VECTOR_BYTES // (floor.bitwidth // 8)

    def codegen(context, builder, signature, values):
        vectors = Vectors(builder, context.get_value_type(floor), width)
        operands = values[1:]
        columns = values[-1]

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
    vectors, rows, count, masked,
    floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns,
):  # fmt: skip
    """Emit the product for ``rows`` rows and ``count`` vectors of columns."""
    builder, width = vectors.builder, vectors.width
    has_start = builder.icmp_signed("!=", start, ir.Constant(INDEX, 0))
    a, b, c, start = (builder.inttoptr(x, vectors.pointer) for x in (a, b, c, start))
    masks = [vectors.lanes_below(columns, v * width) if masked else None for v in range(count)]

    # Sums live in stack slots that LLVM turns into registers.
    sums = [[cgutils.alloca_once_value(builder, vectors.zero) for _ in masks] for _ in range(rows)]
    for row in sums:  # a tile inside a loop starts anew each time
        for slot in row:
            builder.store(vectors.zero, slot)
    with builder.if_then(has_start):
        for r, row in enumerate(sums):
            start_r = vectors.row(start, start_row, r)
            for v, mask in enumerate(masks):
                builder.store(vectors.load(start_r, v * width, mask), row[v])

    with cgutils.for_range(builder, depth) as loop:
        b_k = builder.gep(b, [builder.mul(loop.index, b_row)])
        b_vectors = [vectors.load(b_k, v * width, mask) for v, mask in enumerate(masks)]
        a_k_offset = builder.mul(loop.index, a_k)
        for r, row in enumerate(sums):
            offset = builder.add(builder.mul(a_row, ir.Constant(INDEX, r)), a_k_offset)
            factor = vectors.splat(builder.load(builder.gep(a, [offset])))
            for slot, b_vector in zip(row, b_vectors, strict=True):
                builder.store(vectors.multiply_add(factor, b_vector, builder.load(slot)), slot)

    floors = vectors.splat(floor)
    for r, row in enumerate(sums):
        c_r = vectors.row(c, c_row, r)
        for v, mask in enumerate(masks):
            vectors.store(vectors.at_least(builder.load(row[v]), floors), c_r, v * width, mask)

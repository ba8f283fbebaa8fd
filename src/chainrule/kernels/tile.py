"""The register tile: a small block of a matrix product, held in vector registers from start to end.

Each height and width has code of its own, without a branch inside its loop.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.blocks import MOST_ROWS
from chainrule.kernels.vectors import INDEX, MANY_REGISTERS, VECTOR_BYTES, Vectors

# Two vectors wide, and rows that leave registers for the operands. Twelve rows would fit into 32
# registers, but their addresses not into x86's 16 integer registers: 95 instead of 255 GFLOP/s.
HEIGHTS = (MOST_ROWS if MANY_REGISTERS else 6), 4, 3, 2, 1
ROWS_1, ROWS_2, ROWS_3 = HEIGHTS[:3]
TILE_VECTORS = 2
GROUP = 4
ROW_VECTORS = 4

# The least that a tile computes of a row. AVX-512 works by halves (Zen 4): half a vector takes half
# the time.
PART_BYTES = min(VECTOR_BYTES, 32)


@intrinsic
def tile(
    typing_context,
    rows, floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns, ahead,
):  # fmt: skip
    """``c = max(start + a @ b, floor)``, for ``rows`` rows and up to ``TILE_VECTORS`` vectors.

    One row may also have ``ROW_VECTORS`` whole vectors.
    ``rows`` is one of ``HEIGHTS``, and ``floor`` a number of the element type: 0 makes a ReLU of
    the product, -inf leaves it as it is. ``a``, ``b``, ``c`` and ``start`` are addresses (start 0:
    zeros), ``a_row`` and ``a_k`` how many elements apart the rows and the columns of ``a`` lie,
    and so on (start_row 0: the same for all rows, a bias); ``depth`` is the length of the sums,
    and ``columns`` how many columns of the block are there. Unless ``ahead`` is 0, the processor is
    told that the rows of c after these come next.
    """
    signature = types.void(types.int64, floor, *[types.int64] * 12)
    width = VECTOR_BYTES // (floor.bitwidth // 8)

    def codegen(context, builder, signature, values):
        rows, *operands = values
        element = context.get_value_type(floor)
        full, half = (Vectors(builder, element, w) for w in (width, width // 2))
        done = builder.append_basic_block()
        chosen_height = builder.switch(rows, done)
        for height in HEIGHTS:
            block = builder.append_basic_block()
            chosen_height.add_case(ir.Constant(INDEX, height), block)
            builder.position_at_end(block)
            for least, parts in _choices(height, full, half):
                is_chosen = builder.icmp_signed(">=", values[-2], ir.Constant(INDEX, least))
                with builder.if_then(is_chosen):
                    _emit_block(builder, parts, least % width != 0, height, *operands)
                    builder.branch(done)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


def opaque(builder, value):
    """Return a value of which LLVM does not know what it follows from."""
    kind = ir.FunctionType(value.type, [value.type])
    return builder.asm(kind, "", "=r,0", [value], side_effect=False)


def _choices(rows, full, half):
    """List from how many columns on which vectors take them; the last vector may be masked."""
    width = full.width
    if rows == 1:  # more sums at once, lest each multiply-add waits for the one before
        yield ROW_VECTORS * width, [full] * ROW_VECTORS
    yield 2 * width, [full, full]
    if PART_BYTES < VECTOR_BYTES:
        yield width + half.width + 1, [full, full]
        yield width + 1, [full, half]
        yield half.width + 1, [full]
        yield 1, [half]
    else:
        yield width + 1, [full, full]
        yield 1, [full]


def _emit_block(
    builder, parts, is_masked, rows,
    floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns, ahead,
):  # fmt: skip
    """Emit the product for ``rows`` rows and the vectors ``parts`` of columns."""
    has_start = builder.icmp_signed("!=", start, ir.Constant(INDEX, 0))
    a, b, c, start = (builder.inttoptr(x, parts[0].pointer) for x in (a, b, c, start))
    firsts = [parts[0].width * v for v in range(len(parts))]
    masks = [None for _ in parts]
    if is_masked:
        masks[-1] = parts[-1].lanes_below(columns, firsts[-1])
    pieces = list(zip(parts, firsts, masks, strict=True))

    # Sums live in stack slots that LLVM turns into registers.
    sums = [[cgutils.alloca_once_value(builder, part.zero) for part in parts] for _ in range(rows)]
    for row in sums:  # a tile inside a loop starts anew each time
        for slot, part in zip(row, parts, strict=True):
            builder.store(part.zero, slot)
    with builder.if_then(has_start):
        for r, row in enumerate(sums):
            start_r = parts[0].row(start, start_row, r)
            for slot, (part, first, mask) in zip(row, pieces, strict=True):
                builder.store(part.load(start_r, first, mask), slot)

    if rows == ROWS_1 and not is_masked:  # most tiles of a large product are whole
        with builder.if_then(builder.icmp_signed("!=", ahead, ir.Constant(INDEX, 0))):
            for r in range(rows):
                next_r = parts[0].row(c, c_row, rows + r)
                for first in firsts:
                    parts[0].prefetch(next_r, first)

    # LLVM would step from row to row, by additions that wait for each other as long as the
    # multiply-adds of all rows take. Of addresses that it cannot derive from one another, four rows
    # need two registers for their distances.
    distances = [ir.Constant(INDEX, 0), a_row, builder.shl(a_row, ir.Constant(INDEX, 1))]
    distances.append(opaque(builder, builder.add(a_row, distances[2])))
    groups = [a]
    for r in range(GROUP, rows, GROUP):
        groups.append(opaque(builder, builder.gep(a, [builder.mul(a_row, ir.Constant(INDEX, r))])))

    with cgutils.for_range(builder, depth) as loop:
        b_k = builder.gep(b, [builder.mul(loop.index, b_row)])
        b_vectors = [part.load(b_k, first, mask) for part, first, mask in pieces]
        a_k_offset = builder.mul(loop.index, a_k)
        for r, row in enumerate(sums):
            a_group = builder.gep(groups[r // GROUP], [a_k_offset])
            factor = builder.load(builder.gep(a_group, [distances[r % GROUP]]))
            for slot, part, b_vector in zip(row, parts, b_vectors, strict=True):
                total = part.multiply_add(part.splat(factor), b_vector, builder.load(slot))
                builder.store(total, slot)

    # The comparison would take multiply-adds' time from the next tile.
    no_floor = ir.Constant(floor.type, float("-inf"))
    with builder.if_then(builder.fcmp_ordered("!=", floor, no_floor)):
        for row in sums:
            for slot, part in zip(row, parts, strict=True):
                builder.store(part.at_least(builder.load(slot), part.splat(floor)), slot)
    for r, row in enumerate(sums):
        c_r = parts[0].row(c, c_row, r)
        for slot, (part, first, mask) in zip(row, pieces, strict=True):
            part.store(builder.load(slot), c_r, first, mask)

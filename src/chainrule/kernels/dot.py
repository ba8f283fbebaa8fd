"""Sums along rows: the product of some rows of a matrix with one vector.

A product with one or two columns would leave most lanes of a tile empty. Here, vectors lie along
the sums, and only the last step adds lanes together.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.vectors import INDEX, LANE, VECTOR_BYTES, Vectors

DOT_ROWS = VECTOR_BYTES // 8  # as many as a vector of float64 has lanes


@intrinsic(prefer_literal=True)
def dot(typing_context, rows, floor, a, a_row, b, start, start_row, c, c_row, depth):
    """``c = max(start + a @ b, floor)``, for ``rows`` rows of a.

    ``rows`` is a literal, a power of two up to the width of a vector, and ``floor`` a number of
    the element type. ``a``, ``b``, ``c`` and ``start`` are addresses (start 0: zero), ``a_row``,
    ``c_row`` and ``start_row`` how many elements apart the rows lie (start_row 0: the same for all
    rows), and ``depth`` is their length.
    """
    if not isinstance(rows, types.IntegerLiteral):
        return None
    signature = types.void(rows, floor, *[types.int64] * 8)
    width = VECTOR_BYTES // (floor.bitwidth // 8)

    def codegen(context, builder, signature, values):
        floor, a, a_row, b, start, start_row, c, c_row, depth = values[1:]
        vectors = Vectors(builder, context.get_value_type(signature.args[1]), width)
        has_start = builder.icmp_signed("!=", start, ir.Constant(INDEX, 0))
        a, b, c, start = (builder.inttoptr(x, vectors.pointer) for x in (a, b, c, start))
        step = ir.Constant(INDEX, width)

        a_rows = [vectors.row(a, a_row, r) for r in range(rows.literal_value)]
        sums = [cgutils.alloca_once_value(builder, vectors.zero) for _ in a_rows]
        for slot in sums:
            builder.store(vectors.zero, slot)

        def accumulate(first, mask):
            b_vector = vectors.load(builder.gep(b, [first]), 0, mask)
            for a_r, slot in zip(a_rows, sums, strict=True):
                a_vector = vectors.load(builder.gep(a_r, [first]), 0, mask)
                total = vectors.multiply_add(a_vector, b_vector, builder.load(slot))
                builder.store(total, slot)

        whole = builder.mul(builder.sdiv(depth, step), step)
        with cgutils.for_range_slice(builder, ir.Constant(INDEX, 0), whole, step, INDEX) as (at, _):
            accumulate(at, None)
        rest = builder.sub(depth, whole)
        with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(INDEX, 0))):
            accumulate(whole, vectors.lanes_below(rest, 0))

        # Rows go together in pairs: each half of the lanes of a pair's vector is about one of them.
        parts, distance = [builder.load(slot) for slot in sums], 1
        while distance < width:
            if len(parts) > 1:
                half = len(parts) // 2
                pairs = zip(parts[:half], parts[half:], strict=True)
                parts = [
                    builder.fadd(*vectors.exchange(upper, lower, distance))
                    for upper, lower in pairs
                ]
            else:
                parts = [builder.fadd(*vectors.exchange(parts[0], parts[0], distance))]
            distance *= 2
        bits = rows.literal_value.bit_length() - 1
        # The first pairing, by the highest bit of the row, went into the lanes' lowest bit.
        lanes = [
            ir.Constant(LANE, int(f"{r:0{max(bits, 1)}b}"[::-1], 2))
            for r in range(rows.literal_value)
        ]
        total = cgutils.alloca_once_value(builder, vectors.zero)
        builder.store(parts[0], total)
        with builder.if_then(has_start):
            starts = vectors.zero
            for r, lane in enumerate(lanes):
                first = builder.load(vectors.row(start, start_row, r))
                starts = builder.insert_element(starts, first, lane)
            builder.store(builder.fadd(parts[0], starts), total)
        result = vectors.at_least(builder.load(total), vectors.splat(floor))
        for r, lane in enumerate(lanes):
            builder.store(builder.extract_element(result, lane), vectors.row(c, c_row, r))
        return context.get_dummy_value()

    return signature, codegen

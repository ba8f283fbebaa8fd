"""Sums along columns: all rows of a matrix added up.

Rows are often shorter than a vector, or not much longer: a loop over a row is over before it has
paid for its start. Here the loop runs over the rows, and the sums stay in registers.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.vectors import INDEX, VECTOR_BYTES, Vectors

# Sums that do not wait for each other: an addition takes so many times as long as a load.
SUMS = 4


@intrinsic
def add_rows(typing_context, like, source, rows, columns, adds, target):
    """Write the sum of ``rows`` rows of ``columns`` elements, from address to address.

    Unless ``adds`` is 0, it is added to what was there.

    ``like`` is any number of the element type.
    """
    signature = types.void(like, *[types.int64] * 5)
    width = VECTOR_BYTES // (like.bitwidth // 8)

    def codegen(context, builder, signature, values):
        vectors = Vectors(builder, context.get_value_type(like), width)
        source, rows, columns, adds, target = values[1:]
        adds = builder.icmp_signed("!=", adds, ir.Constant(INDEX, 0))
        source, target = (builder.inttoptr(x, vectors.pointer) for x in (source, target))
        slots = [cgutils.alloca_once_value(builder, vectors.zero) for _ in range(SUMS)]
        in_turn = ir.Constant(INDEX, SUMS)
        rounds = builder.sdiv(rows, in_turn)

        def add_up(first, mask):
            def add(slot, row):
                from_row = builder.gep(source, [builder.mul(row, columns)])
                value = vectors.load(builder.gep(from_row, [first]), 0, mask)
                builder.store(builder.fadd(builder.load(slot), value), slot)

            for slot in slots:
                builder.store(vectors.zero, slot)
            with cgutils.for_range(builder, rounds) as loop:
                row = builder.mul(loop.index, in_turn)
                for number, slot in enumerate(slots):
                    add(slot, builder.add(row, ir.Constant(INDEX, number)))
            with cgutils.for_range(builder, rows, start=builder.mul(rounds, in_turn)) as loop:
                add(slots[0], loop.index)
            sums = [builder.load(slot) for slot in slots]
            while len(sums) > 1:
                sums = [builder.fadd(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)]
            place = builder.gep(target, [first])
            builder.store(sums[0], slots[0])
            with builder.if_then(adds):
                before = vectors.load(place, 0, mask)
                builder.store(builder.fadd(before, sums[0]), slots[0])
            vectors.store(builder.load(slots[0]), place, 0, mask)

        whole = builder.sdiv(columns, ir.Constant(INDEX, width))
        done = builder.mul(whole, ir.Constant(INDEX, width))
        rest = builder.sub(columns, done)
        with cgutils.for_range(builder, whole) as vector:
            add_up(builder.mul(vector.index, ir.Constant(INDEX, width)), None)
        with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(INDEX, 0))):
            add_up(done, vectors.lanes_below(rest, 0))
        return context.get_dummy_value()

    return signature, codegen

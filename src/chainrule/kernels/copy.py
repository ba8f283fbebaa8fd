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
        element = context.get_value_type(like)
        full, half = (Vectors(builder, element, w) for w in (width, width // 2))
        source, source_row, target, target_row, rows, columns = values[1:]
        source, target = (builder.inttoptr(x, full.pointer) for x in (source, target))
        done, otherwise = (builder.append_basic_block() for _ in range(2))
        widths = builder.switch(columns, otherwise)
        # Those of tiles, without a loop along the row.
        for parts in ([full, full], [full], [half]):
            block = builder.append_basic_block()
            widths.add_case(ir.Constant(INDEX, sum(part.width for part in parts)), block)
            with builder.goto_block(block):
                with cgutils.for_range(builder, rows) as row:
                    from_row = builder.gep(source, [builder.mul(row.index, source_row)])
                    to_row = builder.gep(target, [builder.mul(row.index, target_row)])
                    for number, part in enumerate(parts):
                        value = part.load(from_row, number * width, None)
                        part.store(value, to_row, number * width, None)
                builder.branch(done)
        builder.position_at_end(otherwise)
        _for_each_vector(builder, full, source, source_row, target, target_row, rows, columns)
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


def _for_each_vector(
    builder, vectors, source, source_row, target, target_row, rows, columns, *, adds=False
):  # fmt: skip
    """Write a loop over rows, and in it one over vectors, of which the last one is masked."""
    width = ir.Constant(INDEX, vectors.width)
    whole = builder.sdiv(columns, width)
    done = builder.mul(whole, width)
    rest = builder.sub(columns, done)
    has_rest = builder.icmp_signed(">", rest, ir.Constant(INDEX, 0))
    mask = vectors.lanes_below(rest, 0)
    with cgutils.for_range(builder, rows) as row:
        from_row = builder.gep(source, [builder.mul(row.index, source_row)])
        to_row = builder.gep(target, [builder.mul(row.index, target_row)])

        def copy(first, mask):
            value = vectors.load(builder.gep(from_row, [first]), 0, mask)
            place = builder.gep(to_row, [first])
            if adds:
                value = builder.fadd(vectors.load(place, 0, mask), value)
            vectors.store(value, place, 0, mask)

        with cgutils.for_range(builder, whole) as vector:
            copy(builder.mul(vector.index, width), None)
        with builder.if_then(has_rest):
            copy(done, mask)


@intrinsic
def add_block(typing_context, like, source, source_row, target, target_row, rows, columns):
    """Do as :func:`copy_block`, but add to what is there; rows of the target may overlap."""
    signature = types.void(like, *[types.int64] * 6)
    width = VECTOR_BYTES // (like.bitwidth // 8)

    def codegen(context, builder, signature, values):
        vectors = Vectors(builder, context.get_value_type(like), width)
        source, source_row, target, target_row, rows, columns = values[1:]
        source, target = (builder.inttoptr(x, vectors.pointer) for x in (source, target))
        _for_each_vector(
            builder, vectors, source, source_row, target, target_row, rows, columns, adds=True
        )
        return context.get_dummy_value()

    return signature, codegen

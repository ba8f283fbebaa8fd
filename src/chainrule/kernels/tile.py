"""The register tile: a small block of a matrix product, held in vector registers from start to end.

Each height and width has code of its own, without a branch inside its loop.
"""

from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from chainrule.kernels.blocks import MOST_ROWS
from chainrule.kernels.jit import kernel
from chainrule.kernels.vectors import INDEX, MANY_REGISTERS, VECTOR_BYTES, Vectors

# Two vectors wide, and rows that leave registers for the operands. Twelve rows would fit into 32
# registers, but their addresses not into x86's 16 integer registers: 95 instead of 255 GFLOP/s.
HEIGHTS = (MOST_ROWS if MANY_REGISTERS else 6), 4, 3, 2, 1
ROWS_1, ROWS_2, ROWS_3 = HEIGHTS[:3]
TILE_VECTORS = 2
GROUP = 4
ROW_VECTORS = 4
PARTS = MOST_ROWS  # of the sums of a tile that asks for what comes next

# The least that a tile computes of a row. AVX-512 works by halves (Zen 4): half a vector takes half
# the time.
PART_BYTES = min(VECTOR_BYTES, 32)


@kernel
def tile_rows(left):
    """Return the rows of the next tile, of ``left`` rows that are to do."""
    if left >= ROWS_1:
        return ROWS_1
    if left > ROWS_2:  # not a row alone: too few sums for the multiply-adds to follow each other
        return ROWS_2 if left > 2 * ROWS_3 else ROWS_3
    return left


@intrinsic
def tile(
    typing_context,
    rows, floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns,
    next_b, next_row,
):  # fmt: skip
    """``c = max(start + a @ b, floor)``, for ``rows`` rows and up to ``TILE_VECTORS`` vectors.

    One row may also have ``ROW_VECTORS`` whole vectors.
    ``rows`` is one of ``HEIGHTS``, and ``floor`` a number of the element type: 0 makes a ReLU of
    the product, -inf leaves it as it is. ``a``, ``b``, ``c`` and ``start`` are addresses (start 0:
    zeros), ``a_row`` and ``a_k`` how many elements apart the rows and the columns of ``a`` lie,
    and so on (start_row 0: the same for all rows, a bias); ``depth`` is the length of the sums,
    and ``columns`` how many columns of the block are there. Unless ``next_b`` is 0, a whole tile
    asks for what comes next while it computes: as many rows of c, and ``PARTS`` pieces as wide as
    the tile from ``next_b`` on, ``next_row`` elements apart.
    """
    signature = types.void(types.int64, floor, *[types.int64] * 13)
    width = VECTOR_BYTES // (floor.bitwidth // 8)

    def codegen(context, builder, signature, values):
        rows, least, a, a_row, a_k, b, b_row, start, start_row, c, c_row, *others = values
        depth, columns, next_b, next_row = others
        element = context.get_value_type(floor)
        has_next = builder.icmp_signed("!=", next_b, ir.Constant(INDEX, 0))
        a, b, c, start, next_b = (
            builder.inttoptr(x, element.as_pointer()) for x in (a, b, c, start, next_b)
        )

        def sums_of(block, sums, add_term):
            places = _places_of_rows(builder, a, a_row, a_k, block.height)

            def add(k, sums):
                return add_term(builder.gep(b, [builder.mul(k, b_row)]), places(k), sums)

            def add_from(first_k, count, sums):
                return folded(
                    builder, count, sums, lambda k, sums: add(builder.add(first_k, k), sums)
                )

            def add_all(sums):
                return folded(builder, depth, sums, add)

            def add_and_prefetch(sums):
                # All at once, the requests would keep waiting what the tile itself reads from the
                # cache.
                parts_of_sums = ir.Constant(INDEX, PARTS)
                part_depth = builder.udiv(depth, parts_of_sums)
                next_c = builder.gep(c, [builder.mul(c_row, ir.Constant(INDEX, block.height))])

                def add_part(number, sums):
                    for at, row in ((next_c, c_row), (next_b, next_row)):
                        piece = builder.gep(at, [builder.mul(number, row)])
                        for first in block.firsts:
                            block.parts[0].prefetch(piece, first, into_first=at is next_c)
                    return add_from(builder.mul(number, part_depth), part_depth, sums)

                sums = folded(builder, parts_of_sums, sums, add_part)
                done = builder.mul(part_depth, parts_of_sums)
                return add_from(done, builder.sub(depth, done), sums)

            if block.is_whole:
                return _one_of(builder, has_next, sums, add_and_prefetch, add_all)
            return add_all(sums)

        emit_tile(
            builder, element, width, rows, least, start, start_row, c, c_row, columns, sums_of
        )  # fmt: skip
        return context.get_dummy_value()

    return signature, codegen


def _places_of_rows(builder, a, a_row, a_k, height):
    """Return a function of k that lists where the factors in column k of a tile's rows are."""
    # LLVM would step from row to row, by additions that wait for each other as long as the
    # multiply-adds of all rows take. Of addresses that it cannot derive from one another, four rows
    # need two registers for their distances.
    distances = [ir.Constant(INDEX, 0), a_row, builder.shl(a_row, ir.Constant(INDEX, 1))]
    if height >= GROUP:
        distances.append(opaque(builder, builder.add(a_row, distances[2])))
    groups = [a]
    for r in range(GROUP, height, GROUP):
        distance = builder.mul(a_row, ir.Constant(INDEX, r))
        groups.append(opaque(builder, builder.gep(a, [distance])))

    def places(k):
        offset = builder.mul(k, a_k)
        for r in range(height):
            group = builder.gep(groups[r // GROUP], [offset])
            yield builder.gep(group, [distances[r % GROUP]])

    return places


class Block(NamedTuple):
    """A form of the tile that has code of its own: its rows, and the vectors of each."""

    height: int
    parts: list[Vectors]
    is_masked: bool  # whether the last vector has columns that are not there

    @property
    def firsts(self):
        """The first column of each vector."""
        return [self.parts[0].width * v for v in range(len(self.parts))]

    @property
    def is_whole(self):
        """Whether it is the largest form, as most tiles of a large product are."""
        whole = [self.parts[0]] * TILE_VECTORS
        return self.height == ROWS_1 and self.parts == whole and not self.is_masked


def emit_tile(
    builder, element, width, rows, floor, start, start_row, c, c_row, columns, sums_of
):  # fmt: skip
    """Emit a tile of which only the sums of products are left to ``sums_of``.

    ``sums_of(block, sums, add_term)`` emits a loop over the terms, and returns the sums after it.
    In the loop, ``add_term(b, places, sums)`` returns the sums with the products of the row at
    ``b`` and of the factors at ``places``, one for each row of the tile. The other arguments are
    those of :func:`tile`, where ``c`` and ``start`` are pointers.
    """
    full, half = (Vectors(builder, element, w) for w in (width, width // 2))
    nothing = ir.Constant(INDEX, 0)
    has_start = builder.icmp_signed("!=", builder.ptrtoint(start, INDEX), nothing)
    # The comparison of all sums would take multiply-adds' time from the next tile.
    has_floor = builder.fcmp_ordered("!=", floor, ir.Constant(element, float("-inf")))
    done = builder.append_basic_block()
    chosen_height = builder.switch(rows, done)
    for height in HEIGHTS:
        block = builder.append_basic_block()
        chosen_height.add_case(ir.Constant(INDEX, height), block)
        builder.position_at_end(block)
        for least_columns, parts in _choices(height, full, half):
            is_chosen = builder.icmp_signed(">=", columns, ir.Constant(INDEX, least_columns))
            with builder.if_then(is_chosen):
                _emit_block(
                    builder, Block(height, parts, least_columns % width != 0), has_floor, floor,
                    has_start, start, start_row, c, c_row, columns, sums_of,
                )  # fmt: skip
                builder.branch(done)
        builder.branch(done)
    builder.position_at_end(done)


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
    builder, block, has_floor, floor, has_start, start, start_row, c, c_row, columns, sums_of
):  # fmt: skip
    """Emit the product for a form of the tile."""
    rows, parts, firsts = block.height, block.parts, block.firsts
    masks = [None for _ in parts]
    if block.is_masked:
        masks[-1] = parts[-1].lanes_below(columns, firsts[-1])
    pieces = list(zip(parts, firsts, masks, strict=True))

    def load(matrix, stride):
        lines = [parts[0].row(matrix, stride, r) for r in range(rows)]
        return [part.load(line, first, mask) for line in lines for part, first, mask in pieces]

    # Sums are lists, row by row: LLVM takes less time for these than for places in memory.
    sums = [part.zero for _ in range(rows) for part in parts]
    sums = _replaced_if(builder, has_start, sums, lambda _: load(start, start_row))

    def add_term(b_row, places, sums):
        b_vectors = [part.load(b_row, first, mask) for part, first, mask in pieces]
        totals = iter(sums)
        for place in places:
            factor = builder.load(place)
            factors = {part: part.splat(factor) for part in dict.fromkeys(parts)}
            for part, b_vector in zip(parts, b_vectors, strict=True):
                yield part.multiply_add(factors[part], b_vector, next(totals))

    sums = sums_of(block, sums, add_term)

    def at_least(sums):
        floors = {part: part.splat(floor) for part in dict.fromkeys(parts)}
        return [part.at_least(x, floors[part]) for part, x in zip(parts * rows, sums, strict=True)]

    totals = iter(_replaced_if(builder, has_floor, sums, at_least))
    for r in range(rows):
        c_r = parts[0].row(c, c_row, r)
        for part, first, mask in pieces:
            part.store(next(totals), c_r, first, mask)


def _replaced_if(builder, condition, values, replace):
    """Emit ``replace(values) if condition else values``."""
    return _one_of(builder, condition, values, replace, lambda values: values)


def _one_of(builder, condition, values, replace, otherwise):
    """Emit ``replace(values) if condition else otherwise(values)``."""
    with builder.if_else(condition) as branches:
        ends = []
        for branch, do in zip(branches, (replace, otherwise), strict=True):
            with branch:
                ends.append((list(do(values)), builder.block))
    results = []
    for i, value in enumerate(values):
        results.append(builder.phi(value.type))
        for end, block in ends:
            results[-1].add_incoming(end[i], block)
    return results


def folded(builder, count, values, step):
    """Emit a loop that replaces values by ``step(i, values)``, ``count`` times."""
    before = builder.block
    condition, body, after = (builder.append_basic_block() for _ in range(3))
    builder.branch(condition)
    builder.position_at_end(condition)
    i, *results = (builder.phi(kind) for kind in (INDEX, *(value.type for value in values)))
    builder.cbranch(builder.icmp_signed("<", i, count), body, after)
    builder.position_at_end(body)
    following = *step(i, results), builder.add(i, ir.Constant(INDEX, 1))
    last = builder.block
    builder.branch(condition)
    first = *values, ir.Constant(INDEX, 0)
    for result, at_first, other in zip((*results, i), first, following, strict=True):
        result.add_incoming(at_first, before)
        result.add_incoming(other, last)
    builder.position_at_end(after)
    return results

"""The register tile of convolutions: a matrix product whose left factor is found by two tables.

A window of an image is a row of the left factor, though it does not lie in one piece: a table says
where each window begins, and a second one where its pieces lie in it. So no window is copied
(Dukhan, *The Indirect Convolution Algorithm*, 2019).
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from chainrule.kernels.gemm import NOWHERE
from chainrule.kernels.routine import routine
from chainrule.kernels.tile import TILE_VECTORS, emit_tile, folded, opaque, tile_rows
from chainrule.kernels.vectors import INDEX, VECTOR_BYTES, size_of

PANEL_BYTES = TILE_VECTORS * VECTOR_BYTES  # of a row of b
PLACE_BYTES = 8  # of an item of a table


@intrinsic
def indirect_tile(
    typing_context,
    rows, floor, a, row_places, piece_places, pieces, run, a_k, b, b_row, start, start_row, c,
    c_row, columns,
):  # fmt: skip
    """Do as :func:`chainrule.kernels.tile.tile`, with a left factor that lies in pieces.

    Row r of ``a`` consists of the ``run`` elements, ``a_k`` apart from each other, that begin at
    ``row_places[r] + piece_places[i]``, for each i less than ``pieces``. The two tables are
    addresses of int64s that count elements from the address ``a`` on. ``b`` has a row for each of
    these elements.
    """
    signature = types.void(types.int64, floor, *[types.int64] * 13)
    width = VECTOR_BYTES // (floor.bitwidth // 8)

    def codegen(context, builder, signature, values):
        rows, least, a, row_places, piece_places, pieces, run, a_k, b, b_row, *others = values
        start, start_row, c, c_row, columns = others
        element = context.get_value_type(floor)
        a, b, c, start = (builder.inttoptr(x, element.as_pointer()) for x in (a, b, c, start))
        row_places, piece_places = (
            builder.inttoptr(x, INDEX.as_pointer()) for x in (row_places, piece_places)
        )

        def sums_of(block, sums, add_term):
            begins = []
            for r in range(block.height):
                place = builder.load(builder.gep(row_places, [ir.Constant(INDEX, r)]))
                # LLVM would keep pointers that it steps along all rows.
                begins.append(opaque(builder, builder.gep(a, [place])))

            def add_piece(i, values):
                def add(k, values):
                    *sums, b_k, offset = values
                    # One offset for all rows: LLVM would rather step a pointer for each of them.
                    offset = opaque(builder, offset)
                    places = (builder.gep(begin, [offset]) for begin in begins)
                    yield from add_term(b_k, places, sums)
                    yield builder.gep(b_k, [b_row])
                    yield builder.add(offset, a_k)

                first = builder.load(builder.gep(piece_places, [i]))
                return folded(builder, run, [*values, first], add)[:-1]

            return folded(builder, pieces, [*sums, b], add_piece)[:-1]

        emit_tile(
            builder, element, width, rows, least, start, start_row, c, c_row, columns, sums_of
        )  # fmt: skip
        return context.get_dummy_value()

    return signature, codegen


@routine
def indirect_product(
    floor, a, row_places, piece_places, pieces, run, a_k, b, b_row, b_panel, start, start_row, c,
    c_row, m, n,
):  # fmt: skip
    """Compute ``m`` rows and ``n`` columns by :func:`indirect_tile`.

    ``b`` consists of panels of as many columns as a tile has, ``b_panel`` elements apart.
    """
    size = size_of(floor)
    most = PANEL_BYTES // size
    for j in range(0, n, most):
        columns = min(n - j, most)
        b_j = b + j // most * b_panel * size
        start_j = start + j * size if start != NOWHERE else NOWHERE
        i = 0
        while i < m:
            rows = tile_rows(m - i)
            start_i = start_j + i * start_row * size if start != NOWHERE else NOWHERE
            indirect_tile(
                rows, floor, a, row_places + i * PLACE_BYTES, piece_places, pieces, run, a_k, b_j,
                b_row, start_i, start_row, c + (i * c_row + j) * size, c_row, columns,
            )  # fmt: skip
            i += rows

"""The transpose of a matrix, square block by square block in vector registers."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.vectors import INDEX, LANE, VECTOR_BYTES, Vectors


@kernel
def transpose(a, out):
    like, size = a.dtype.type(0), a.itemsize
    width = VECTOR_BYTES // size
    rows, columns = a.shape
    whole_rows, whole_columns = rows - rows % width, columns - columns % width
    for i in range(0, whole_rows, width):
        for j in range(0, whole_columns, width):
            source = a.ctypes.data + (i * columns + j) * size
            target = out.ctypes.data + (j * rows + i) * size
            transpose_block(like, source, columns, target, rows)
        for j in range(whole_columns, columns):
            for ii in range(i, i + width):
                out[j, ii] = a[ii, j]
    for i in range(whole_rows, rows):
        for j in range(columns):
            out[j, i] = a[i, j]


@intrinsic
def transpose_block(typing_context, like, source, source_row, target, target_row):
    """Transpose a block as wide and as high as a vector is long, from address to address.

    ``like`` is any number of the element type; rows lie ``source_row`` and ``target_row`` elements
    apart.
    """
    signature = types.void(like, *[types.int64] * 4)
    width = VECTOR_BYTES // (like.bitwidth // 8)

    def codegen(context, builder, signature, values):
        vectors = Vectors(builder, context.get_value_type(like), width)
        source, source_row, target, target_row = values[1:]
        source, target = (builder.inttoptr(x, vectors.pointer) for x in (source, target))

        def row(start, stride, number):
            return builder.gep(start, [builder.mul(stride, ir.Constant(INDEX, number))])

        rows = [vectors.load(row(source, source_row, i), 0, None) for i in range(width)]
        # Blocks of the upper right and the lower left change places, ever smaller ones.
        step = width // 2
        while step:
            for i in range(width):
                if i & step == 0:
                    rows[i], rows[i + step] = _exchange(builder, rows[i], rows[i + step], step)
            step //= 2
        for i, vector in enumerate(rows):
            vectors.store(vector, row(target, target_row, i), 0, None)
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


if JIT_DISABLED:  # a block exists only as machine code

    def transpose(a, out):
        out[...] = a.T

"""Other shapes of the same memory, made of a few instructions.

Numba's own ``reshape`` handles all layouts, by a call; it takes ten times as long to compile.
"""

from numba import types
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import make_array, populate_array


def flat(matrix):
    """Return the elements of a C-contiguous matrix as a vector."""
    return matrix.reshape(-1)


@type_callable(flat)
def _type_of_flat(context):
    return lambda matrix: types.Array(matrix.dtype, 1, "C")


@lower_builtin(flat, types.Array)
def _flat(context, builder, signature, arguments):
    source = make_array(signature.args[0])(context, builder, arguments[0])
    vector = make_array(signature.return_type)(context, builder)
    populate_array(
        vector,
        data=source.data,
        shape=[source.nitems],
        strides=[source.itemsize],
        itemsize=source.itemsize,
        meminfo=source.meminfo,
        parent=source.parent,
    )
    return vector._getvalue()  # kernels count no references

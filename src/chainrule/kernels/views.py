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
    return _view(context, builder, signature.return_type, source, [source.nitems])


def matrix(vector, rows, columns):
    """Return a C-contiguous vector of ``rows * columns`` elements as a matrix."""
    return vector.reshape((rows, columns))


@type_callable(matrix)
def _type_of_matrix(context):
    return lambda vector, rows, columns: types.Array(vector.dtype, 2, "C")


@lower_builtin(matrix, types.Array, types.Integer, types.Integer)
def _matrix(context, builder, signature, arguments):
    vector, rows, columns = arguments
    source = make_array(signature.args[0])(context, builder, vector)
    return _view(context, builder, signature.return_type, source, [rows, columns])


def as_numbers(memory, like):
    """Return a vector of bytes as a vector of numbers like those of another one."""
    return memory.view(like.dtype)


@type_callable(as_numbers)
def _type_of_as_numbers(context):
    return lambda memory, like: types.Array(like.dtype, 1, "C")


@lower_builtin(as_numbers, types.Array, types.Array)
def _as_numbers(context, builder, signature, arguments):
    source, like = (
        make_array(kind)(context, builder, value)
        for kind, value in zip(signature.args, arguments, strict=True)
    )
    count = builder.sdiv(source.nitems, like.itemsize)
    data = builder.bitcast(source.data, like.data.type)
    view = make_array(signature.return_type)(context, builder)
    populate_array(view, data, [count], [like.itemsize], like.itemsize, None)
    return view._getvalue()


def _view(context, builder, kind, source, shape):
    """Return the memory of ``source`` as an array of another shape."""
    strides = [source.itemsize]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    view = make_array(kind)(context, builder)
    populate_array(
        view,
        data=source.data,
        shape=shape,
        strides=strides,
        itemsize=source.itemsize,
        meminfo=source.meminfo,
        parent=source.parent,
    )
    return view._getvalue()  # kernels count no references


def vector_at(address, size, like):
    """Return ``size`` numbers of the type of ``like`` that begin at an address."""
    raise NotImplementedError("addresses are for machine code")


@type_callable(vector_at)
def _type_of_vector_at(context):
    return lambda address, size, like: types.Array(types.unliteral(like), 1, "C")


@lower_builtin(vector_at, types.Integer, types.Integer, types.Number)
def _vector_at(context, builder, signature, arguments):
    address, size, _ = arguments
    number = context.get_data_type(signature.return_type.dtype)
    item = context.get_constant(types.intp, context.get_abi_sizeof(number))
    view = make_array(signature.return_type)(context, builder)
    data = builder.inttoptr(address, number.as_pointer())
    populate_array(view, data, [size], [item], item, None)
    return view._getvalue()

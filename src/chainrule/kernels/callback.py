"""A user's compiled function as a C function, whose arrays come as addresses.

The table that stands for it holds its address; the address of its form in Python, which is asked
again what is wrong if it raises an error; and for each array where it begins, in elements after
its address, and its lengths.
"""

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from chainrule.kernels.jit import user_function
from chainrule.kernels.vectors import INDEX

HEAD = 2  # entries of the table before those of the arrays

# What a function takes: how many rows there are, where its seven arrays begin, and its table. It
# returns 0 if all is well.
NUMBERS = 9
SIGNATURE = types.int64(*[types.int64] * NUMBERS)


def call_address(builder, address, numbers):
    """Write the call of the function at ``address``; return what it returns."""
    kind = ir.FunctionType(INDEX, [INDEX] * NUMBERS)
    return builder.call(builder.inttoptr(address, kind.as_pointer()), numbers)


def make_callback(function, kinds, dtype):
    """Compile ``function`` as one that :func:`chainrule.kernels.foreign.call` can call.

    ``kinds`` are those of its arrays: see ``chainrule.engine.foreign.Kind``.
    """
    function = user_function(function)
    arrays = _make_arrays(kinds, numba.from_dtype(dtype))

    def callback(rows, x, y, saved, dy, dx, params, grads, table):
        try:
            function(*arrays(rows, x, y, saved, dy, dx, params, grads, table))
        except Exception:
            return _call_again(rows, x, y, saved, dy, dx, params, grads, table)
        return 0

    return numba.cfunc(SIGNATURE, error_model="numpy")(callback)


def _make_arrays(kinds, dtype):
    """Return what makes the arrays of these kinds of the numbers that a function takes."""
    array_types = [
        types.Array(types.int64 if kind.is_label else dtype, kind.ndim, "C") for kind in kinds
    ]

    @intrinsic
    def arrays(typing_context, rows, x, y, saved, dy, dx, params, grads, table):
        result = types.Tuple(array_types)

        def codegen(context, builder, signature, values):
            rows, *addresses, table = values
            entries = builder.inttoptr(table, INDEX.as_pointer())
            position = HEAD

            def take():
                nonlocal position
                entry = builder.load(builder.gep(entries, [ir.Constant(INDEX, position)]))
                position += 1
                return entry

            made = []
            for kind, array_type in zip(kinds, array_types, strict=True):
                item = context.get_data_type(array_type.dtype)
                size = ir.Constant(INDEX, context.get_abi_sizeof(item))
                data = builder.inttoptr(addresses[kind.address], item.as_pointer())
                data = builder.gep(data, [take()])
                shape = [rows] if kind.by_row else []
                shape += [take() for _ in range(kind.ndim - kind.by_row)]
                strides = [size]
                for length in reversed(shape):
                    strides.insert(0, builder.mul(strides[0], length))
                if kind.cleared:
                    cgutils.memset(builder, data, strides[0], 0)
                array = make_array(array_type)(context, builder)
                populate_array(array, data, shape, strides[1:], size, None)
                made.append(array._getvalue())
            return context.make_tuple(builder, result, made)

        return result(*[types.int64] * NUMBERS), codegen

    return arrays


@intrinsic
def _call_again(typing_context, rows, x, y, saved, dy, dx, params, grads, table):
    """Call the function's form in Python, which stands second in the table."""

    def codegen(context, builder, signature, values):
        entries = builder.inttoptr(values[-1], INDEX.as_pointer())
        address = builder.load(builder.gep(entries, [ir.Constant(INDEX, 1)]))
        return call_address(builder, address, values)

    return SIGNATURE, codegen

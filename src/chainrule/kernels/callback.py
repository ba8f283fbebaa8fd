"""A user's compiled function as a C function, whose arrays come as addresses.

It is given the address of a *call*, int64s on its caller's stack: the address of the function's
table, how many rows there are, where the function's seven arrays begin, and a last one, which the
function sets to 1 when all is done. Whatever ends a function before, such as the exception of a
signal handler at its first instruction, leaves it 0.

The table that stands for a function holds its address; whether a call has raised an error, and the
first such call, from which the error is found again in Python; and for each array where it begins,
in elements after its address, and its lengths.
"""

from functools import cache, lru_cache

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from chainrule.kernels.jit import user_function
from chainrule.kernels.same import MOST_KEPT, canonical
from chainrule.kernels.vectors import INDEX

# Words of a call, whose first one is the table.
ROWS, ADDRESSES, DONE, CALL_SIZE = 1, 2, 9, 10
# Words of a table, whose first one is the function's address. After RAISED comes the call that
# has, but for its table, and then what is said of each array.
RAISED, LENGTHS = 1, 10


def compiled_form(function, kinds, dtype):
    """Return the form of ``function`` that :func:`chainrule.kernels.foreign.call` can call.

    It serves all lengths of its arrays; see ``chainrule.plan.functions.Kind`` for their kinds.
    """
    return _compile(canonical(function), kinds, dtype)


@lru_cache(MOST_KEPT)
def _compile(function, kinds, dtype):
    function = user_function(function)
    arrays = _make_arrays(kinds, numba.from_dtype(dtype))

    def callback(call):
        try:
            function(*arrays(call))
        except Exception:
            _keep_failed(call)
        else:
            _complete(call)

    return numba.cfunc(types.void(types.int64), error_model="numpy")(callback)


@cache
def _make_arrays(kinds, dtype):
    """Return what makes the arrays of these kinds of a call."""
    array_types = [
        types.Array(types.int64 if kind.is_label else dtype, kind.ndim, "C") for kind in kinds
    ]

    @intrinsic
    def arrays(typing_context, call):
        result = types.Tuple(array_types)

        def codegen(context, builder, signature, values):
            call, table = _words(builder, values)
            rows = builder.load(word(builder, call, ROWS))
            position = LENGTHS

            def take():
                nonlocal position
                entry = builder.load(word(builder, table, position))
                position += 1
                return entry

            made = []
            for kind, array_type in zip(kinds, array_types, strict=True):
                item = context.get_data_type(array_type.dtype)
                size = ir.Constant(INDEX, context.get_abi_sizeof(item))
                address = builder.load(word(builder, call, ADDRESSES + kind.address))
                data = builder.inttoptr(address, item.as_pointer())
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

        return result(types.int64), codegen

    return arrays


@intrinsic
def _complete(typing_context, call):
    """Say that a call has done all that it should."""

    def codegen(context, builder, signature, values):
        call, _ = _words(builder, values)
        builder.store(ir.Constant(INDEX, 1), word(builder, call, DONE))
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def _keep_failed(typing_context, call):
    """Write a call that has raised an error into its table, if it is the first one there."""

    def codegen(context, builder, signature, values):
        call, table = _words(builder, values)
        one = ir.Constant(INDEX, 1)
        # Several threads may fail at once.
        before = builder.atomic_rmw("xchg", word(builder, table, RAISED), one, "acq_rel")
        with builder.if_then(builder.icmp_signed("==", before, ir.Constant(INDEX, 0))):
            for i in range(ROWS, DONE):
                value = builder.load(word(builder, call, i))
                builder.store(value, word(builder, table, RAISED + i))
        return context.get_dummy_value()

    return types.void(types.int64), codegen


def word(builder, words, i):
    """Return the address of the int64 with this number."""
    return builder.gep(words, [ir.Constant(INDEX, i)])


def _words(builder, values):
    """Return where the words of a call begin, and those of its table."""
    call = builder.inttoptr(values[0], INDEX.as_pointer())
    return call, builder.inttoptr(builder.load(call), INDEX.as_pointer())

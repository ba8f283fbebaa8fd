"""A plan's functions as machine code that is called by its address.

Such a function gets two addresses: that of its row in a program, and that of the thread's context.
From them it makes the arguments, by their kinds (see :mod:`chainrule.kernels.argument`), and
calls the operation's own function. So all have one signature, by which the interpreter, compiled
once, calls each one.
"""

from functools import cache

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, type_callable
from numba.np.arrayobj import make_array, populate_array

from chainrule.kernels import context as words
from chainrule.kernels.argument import HEADER, Rows
from chainrule.kernels.jit import kernel
from chainrule.kernels.vectors import INDEX

NUMBERS = {"i8": types.int64, "f8": types.float64, "u1": types.uint8}


@cache
def arguments_of(kinds, dtype):
    """Return what makes a function's arguments: whether there is anything to do, and a tuple."""
    made = [_type(kind, numba.from_dtype(dtype)) for kind in kinds]

    @intrinsic
    def arguments(typing_context, row, context):
        result = types.Tuple([types.boolean, types.Tuple(made)])

        def codegen(target, builder, signature, values):
            reader = _ArgumentCode(target, builder, values)
            built = [reader.argument(*pair) for pair in zip(kinds, made, strict=True)]
            inner = target.make_tuple(builder, result.types[1], built)
            return target.make_tuple(builder, result, [reader.is_any, inner])

        return result(types.int64, types.int64), codegen

    return arguments


def _type(kind, dtype):
    number = NUMBERS.get(kind.dtype, dtype)
    if kind.rows in (Rows.PARTITION_START, Rows.POSITION):
        return types.int64
    return number if kind.rows in (Rows.NUMBER, Rows.WORD) else types.Array(number, kind.ndim, "C")


class _ArgumentCode:
    """Writes the LLVM instructions that read one argument after the other from a row."""

    def __init__(self, target, builder, values):
        self.target, self.builder = target, builder
        self.row, self.context = (builder.inttoptr(v, INDEX.as_pointer()) for v in values)
        self.position = HEADER
        self._has_rows = ir.Constant(ir.IntType(1), 1)
        self._has_part = None

    @property
    def is_any(self):
        """Whether there is anything to do: rows, and a partition of some parameter."""
        if self._has_part is None:
            return self._has_rows
        return self.builder.and_(self._has_rows, self._has_part)

    def next(self):
        """Return the next word of the row."""
        place = self.builder.gep(self.row, [ir.Constant(INDEX, self.position)])
        self.position += 1
        return self.builder.load(place)

    def word(self, index):
        """Return a word of the context."""
        index = ir.Constant(INDEX, index) if isinstance(index, int) else index
        return self.builder.load(self.builder.gep(self.context, [index]))

    def argument(self, kind, type_):
        """Return the next argument."""
        builder = self.builder
        if kind.rows in (Rows.NUMBER, Rows.WORD):
            value = self.next() if kind.rows == Rows.NUMBER else self.word(kind.word)
            return builder.bitcast(value, ir.DoubleType()) if kind.dtype == "f8" else value
        if kind.rows == Rows.POSITION:
            return builder.mul(self.word(words.FIRST), self.next())
        if kind.rows == Rows.PARTITION_START:
            start, units, unit = self.next(), self.next(), self.next()
            return self._partition(start, units, unit)[0]
        return self._array(kind, type_)

    def _partition(self, start, units, unit):
        """Return the first unit of a partition, and the one after the last."""
        builder, zero = self.builder, ir.Constant(INDEX, 0)

        def bound(word):
            number = builder.sub(self.word(word), start)
            number = builder.add(number, builder.sub(unit, ir.Constant(INDEX, 1)))
            number = builder.sdiv(number, unit)  # rounded up
            number = builder.select(builder.icmp_signed("<", number, zero), zero, number)
            return builder.select(builder.icmp_signed(">", number, units), units, number)

        return bound(words.PARTITION_BEGIN), bound(words.PARTITION_END)

    def _array(self, kind, type_):
        builder = self.builder
        item = self.target.get_abi_sizeof(self.target.get_data_type(type_.dtype))
        size = ir.Constant(INDEX, item)
        base, place = self.word(self.next()), self.next()
        if kind.rows == Rows.COUNTED:  # place counts columns
            count = self.word(kind.word)
            address = builder.add(base, builder.mul(builder.mul(place, count), size))
            shape = [count]
        else:
            address, shape = builder.add(base, place), []
        if kind.rows in (Rows.SLICE, Rows.BATCH):
            address = self._rows(kind, address, shape)
        elif kind.rows == Rows.CHUNK:
            chunk = builder.sdiv(self.word(words.FIRST), self.word(words.CHUNK))
            address = builder.add(address, builder.mul(chunk, self.next()))
        elif kind.rows == Rows.CHUNKS:
            chunk, rows = self.word(words.CHUNK), self.word(words.ROWS)
            rows = builder.add(rows, builder.sub(chunk, ir.Constant(INDEX, 1)))
            shape.append(builder.sdiv(rows, chunk))
        elif kind.rows == Rows.PARTITION:
            start, units, unit = self.next(), self.next(), self.next()
            first, last = self._partition(start, units, unit)
            before = builder.add(start, builder.mul(first, unit))
            address = builder.add(address, builder.mul(before, size))
            count = builder.sub(last, first)
            has_part = builder.icmp_signed(">", count, ir.Constant(INDEX, 0))
            others = has_part if self._has_part is None else self._has_part
            self._has_part = builder.or_(has_part, others)
            shape.append(builder.mul(count, self.next()))
        shape += [self.next() for _ in range(kind.ndim - len(shape))]
        return self._view(kind, type_, address, shape, size)

    def _rows(self, kind, address, shape):
        """Append how many rows there are to ``shape``; return the address of the first one."""
        builder, row_bytes, repeat = self.builder, self.next(), self.next()
        first, rows = ir.Constant(INDEX, 0), self.word(words.ROWS)
        if kind.rows == Rows.SLICE:
            first = self.word(words.FIRST)
            rows = builder.sub(self.word(words.LAST), first)
        if kind.word >= 0:
            first = builder.add(first, self.word(kind.word))
        has_rows = builder.icmp_signed(">", rows, ir.Constant(INDEX, 0))
        self._has_rows = builder.and_(self._has_rows, has_rows)
        shape.append(builder.mul(rows, repeat))
        return builder.add(address, builder.mul(first, row_bytes))

    def _view(self, kind, type_, address, shape, size):
        builder = self.builder
        data = builder.inttoptr(address, self.target.get_data_type(type_.dtype).as_pointer())
        strides = [size]
        for length in reversed(shape):
            strides.insert(0, builder.mul(strides[0], length))
        if kind.cleared:
            with builder.if_then(self.is_any):
                cgutils.memset(builder, data, strides[0], 0)
        array = make_array(type_)(self.target, builder)
        populate_array(array, data, shape, strides[1:], size, None)
        return array._getvalue()


@intrinsic
def _call(typing_context, function, row, context):
    """Call the machine code at an address; return Numba's status, 0 if nothing was raised."""

    def codegen(target, builder, signature, values):
        address, *given = values
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(
            ir.IntType(32), [pointer.as_pointer(), pointer.as_pointer(), INDEX, INDEX]
        )
        result = cgutils.alloca_once(builder, pointer)
        raised = cgutils.alloca_once(builder, pointer)
        code = builder.inttoptr(address, kind.as_pointer())
        return builder.zext(builder.call(code, [result, raised, *given]), INDEX)

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def _call_python(typing_context, function, context):
    """Call a function that takes the address of a context and returns nothing."""

    def codegen(target, builder, signature, values):
        code = builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), [INDEX]).as_pointer())
        builder.call(code, values[1:])
        return target.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


def address(array):
    """Return where an array begins."""
    return array.ctypes.data


@type_callable(address)
def _type_of_address(context):
    return lambda array: types.int64


@lower_builtin(address, types.Array)
def _address(context, builder, signature, arguments):
    return builder.ptrtoint(
        make_array(signature.args[0])(context, builder, arguments[0]).data, INDEX
    )


def write_addresses(context, first, *arrays):
    """Write where arrays begin into the words of a context from ``first`` on."""
    for i, array in enumerate(arrays):
        context[first + i] = address(array)


@infer_global(write_addresses)
class _TypeOfWriteAddresses(AbstractTemplate):
    def generic(self, arguments, keywords):
        return types.void(*arguments)


@lower_builtin(write_addresses, types.Array, types.Integer, types.VarArg(types.Array))
def _write_addresses(context, builder, signature, arguments):
    words, first = make_array(signature.args[0])(context, builder, arguments[0]).data, arguments[1]
    for i, (kind, array) in enumerate(zip(signature.args[2:], arguments[2:], strict=True)):
        begin = builder.ptrtoint(make_array(kind)(context, builder, array).data, INDEX)
        place = builder.add(first, ir.Constant(INDEX, i))
        builder.store(begin, builder.gep(words, [place]))
    return context.get_dummy_value()


@kernel
def call(program, i, context):
    """Call the function of row i; return 0 if all went well."""
    row = program.ctypes.data + i * program.shape[1] * 8
    return _call(program[i, 0], row, context.ctypes.data)


@kernel
def call_python(program, i, context):
    """Call the function of row i, which takes the GIL, and sets a flag in the context when done."""
    _call_python(program[i, 0], context.ctypes.data)

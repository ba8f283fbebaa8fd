"""Vectors for intrinsics: how wide this CPU's are, and operations on them as LLVM instructions.

LLVM lowers each to what the machine has, whatever its width, fused multiply-add or not.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

INDEX = ir.IntType(64)
LANE = ir.IntType(32)


def _vector_bytes() -> int:
    """Ask LLVM how wide this target's registers are: compile a wide sum and look what it used."""
    codegen = cpu_target.target_context.codegen()
    name, features = codegen.magic_tuple()[1:]
    triple = llvm.get_process_triple()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=name, features=features)
    wide = ir.VectorType(ir.FloatType(), 16)
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(wide, [wide, wide]), "probe")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(builder.fadd(*function.args))
    assembly = machine.emit_assembly(llvm.parse_assembly(str(module)))
    if "zmm" in assembly:
        return 64
    return 32 if "ymm" in assembly else 16


VECTOR_BYTES = _vector_bytes()

# AVX-512 and NEON have 32 vector registers, AVX2 and SSE 16.
MANY_REGISTERS = VECTOR_BYTES == 64 or not llvm.get_process_triple().startswith(("x86", "i"))


@intrinsic
def size_of(typing_context, number):
    """Return how many bytes a number takes: a constant, where an array's itemsize is loaded."""

    def codegen(context, builder, signature, values):
        return context.get_constant(types.int64, number.bitwidth // 8)

    return types.int64(number), codegen


class Vectors:
    """Vector operations of one width, written into the function that ``builder`` builds."""

    def __init__(self, builder, element, width):
        self.builder, self.width = builder, width
        self.pointer = element.as_pointer()
        self.vector = ir.VectorType(element, width)
        # One constant each, as their text is made once.
        self.zero = ir.Constant(self.vector, [0.0] * width)
        self._undefined = ir.Constant(self.vector, ir.Undefined)
        self._everywhere = ir.Constant(ir.VectorType(LANE, width), [0] * width)
        self.alignment = 4 if isinstance(element, ir.FloatType) else 8
        self.suffix = f"v{width}f{8 * self.alignment}"

    def _call(self, name, result, *arguments):
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def _at(self, pointer, offset):
        return self.builder.gep(pointer, [ir.Constant(INDEX, offset)]) if offset else pointer

    def row(self, matrix, stride, number):
        """Return where a row of a matrix begins, whose rows lie ``stride`` elements apart."""
        if number == 0:
            return matrix
        return self.builder.gep(matrix, [self.builder.mul(stride, ir.Constant(INDEX, number))])

    def splat(self, value):
        return self._splat(value, self._undefined)

    def _splat(self, value, undefined):
        first = self.builder.insert_element(undefined, value, ir.Constant(LANE, 0))
        return self.builder.shuffle_vector(first, undefined, self._everywhere)

    def lanes_below(self, count, first):
        """Return the mask of the lanes whose column, ``first + lane``, is less than ``count``."""
        kind = ir.VectorType(INDEX, self.width)
        numbers = ir.Constant(kind, [first + lane for lane in range(self.width)])
        counts = self._splat(count, ir.Constant(kind, ir.Undefined))
        return self.builder.icmp_signed("<", numbers, counts)

    def multiply_add(self, x, y, z):
        return self._call(f"llvm.fmuladd.{self.suffix}", self.vector, x, y, z)

    def at_least(self, x, floor):
        """Return the larger of the two, lane by lane; a NaN in ``x`` stays."""
        return self.builder.select(self.builder.fcmp_ordered("<", x, floor), floor, x)

    def load(self, pointer, offset, mask):
        address = self._at(pointer, offset)
        if mask is None:
            return self.builder.load(address, align=self.alignment, typ=self.vector)
        alignment = ir.Constant(LANE, self.alignment)
        name = f"llvm.masked.load.{self.suffix}.p0"
        return self._call(name, self.vector, address, alignment, mask, self.zero)

    def prefetch(self, pointer, offset, into_first):
        """Ask for a place in memory, for all caches or all but the first; it need not exist."""
        to_read, locality, data = (ir.Constant(LANE, x) for x in (0, 3 if into_first else 2, 1))
        arguments = self._at(pointer, offset), to_read, locality, data
        self._call("llvm.prefetch.p0", ir.VoidType(), *arguments)

    def store(self, value, pointer, offset, mask):
        address = self._at(pointer, offset)
        if mask is None:
            address = self.builder.bitcast(address, self.vector.as_pointer())
            self.builder.store(value, address, align=self.alignment)
        else:
            alignment = ir.Constant(LANE, self.alignment)
            name = f"llvm.masked.store.{self.suffix}.p0"
            self._call(name, ir.VoidType(), value, address, alignment, mask)

    def exchange(self, upper, lower, step):
        """Swap lanes with the bit ``step`` of ``upper`` for those without it of ``lower``."""
        lanes = range(self.width)
        first = [lane if lane & step == 0 else self.width + lane - step for lane in lanes]
        second = [lane + step if lane & step == 0 else self.width + lane for lane in lanes]
        kind = ir.VectorType(LANE, self.width)
        return (
            self.builder.shuffle_vector(upper, lower, ir.Constant(kind, first)),
            self.builder.shuffle_vector(upper, lower, ir.Constant(kind, second)),
        )

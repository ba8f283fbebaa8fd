"""Numbers of a function that is being compiled, with Python's operators.

A formula on them writes LLVM instructions straight into the loop that calls it: no function to
type, to compile and to inline again, and nothing that could stop the loop from vectorising.
"""

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, type_callable

from chainrule.kernels.formats import DOUBLE, SINGLE

# Contraction to fused multiply-adds is all that exact formulas allow: reordered, their range
# reductions and their corrections would cancel to nothing.
FLAGS = ("contract",)

_INTEGER_OF = {ir.FloatType(): ir.IntType(32), ir.DoubleType(): ir.IntType(64)}
_FORMATS = {
    ir.FloatType(): SINGLE,
    ir.IntType(32): SINGLE,
    ir.DoubleType(): DOUBLE,
    ir.IntType(64): DOUBLE,
}
_FLOAT_OF = {integer: number for number, integer in _INTEGER_OF.items()}


class Value:
    """A float or an integer; Python numbers combined with it become constants of its type."""

    def __init__(self, builder, llvm):
        self.builder, self.llvm = builder, llvm

    @property
    def is_float(self):
        return self.llvm.type in _INTEGER_OF

    @property
    def format(self):
        """The floating-point format of the number, or of the float that has these bits."""
        return _FORMATS[self.llvm.type]

    @property
    def bits(self):
        """The float's bits as an integer."""
        return Value(self.builder, self.builder.bitcast(self.llvm, _INTEGER_OF[self.llvm.type]))

    @property
    def as_float(self):
        """The float that has these bits."""
        return Value(self.builder, self.builder.bitcast(self.llvm, _FLOAT_OF[self.llvm.type]))

    @property
    def to_float(self):
        """The float of the same value."""
        number = self.builder.sitofp(self.llvm, _FLOAT_OF[self.llvm.type])
        return Value(self.builder, number)

    @property
    def sign_bit(self):
        """The integer whose only bit is the float's sign."""
        return -1 << (_INTEGER_OF[self.llvm.type].width - 1)

    def like(self, number):
        """Return a number as a value of this one's type."""
        if isinstance(number, Value):
            return number
        return Value(self.builder, ir.Constant(self.llvm.type, number))

    def _write(self, name, left, right):
        left, right = self.like(left).llvm, self.like(right).llvm
        if self.is_float:
            return Value(self.builder, getattr(self.builder, f"f{name}")(left, right, flags=FLAGS))
        return Value(self.builder, getattr(self.builder, name)(left, right))

    def _compare(self, sign, other):
        compare = self.builder.fcmp_ordered if self.is_float else self.builder.icmp_signed
        return Value(self.builder, compare(sign, self.llvm, self.like(other).llvm))

    def __add__(self, other):
        return self._write("add", self, other)

    def __radd__(self, other):
        return self._write("add", other, self)

    def __sub__(self, other):
        return self._write("sub", self, other)

    def __rsub__(self, other):
        return self._write("sub", other, self)

    def __mul__(self, other):
        return self._write("mul", self, other)

    def __rmul__(self, other):
        return self._write("mul", other, self)

    def __truediv__(self, other):
        return self._write("div", self, other)

    def __neg__(self):
        return Value(self.builder, self.builder.fneg(self.llvm))

    def __lshift__(self, places):
        return Value(self.builder, self.builder.shl(self.llvm, self.like(places).llvm))

    def __rshift__(self, places):
        """Shift zeros in from the left."""
        return Value(self.builder, self.builder.lshr(self.llvm, self.like(places).llvm))

    def __and__(self, other):
        return Value(self.builder, self.builder.and_(self.llvm, self.like(other).llvm))

    def __or__(self, other):
        return Value(self.builder, self.builder.or_(self.llvm, self.like(other).llvm))

    def __abs__(self):
        return (self.bits & ~self.sign_bit).as_float

    def __lt__(self, other):
        return self._compare("<", other)

    def __gt__(self, other):
        return self._compare(">", other)


def where(condition, yes, no):
    """Choose by a comparison, without a branch; one of the two must be a value."""
    yes, no = (no.like(yes), no) if isinstance(no, Value) else (yes, yes.like(no))
    return Value(no.builder, no.builder.select(condition.llvm, yes.llvm, no.llvm))


def polynomial(coefficients, x):
    """Evaluate by Horner's scheme; coefficients stand in the order of their powers.

    A long one would wait for each multiply-add longer than they all take. It is two in ``x**2``
    therefore, of the even and of the odd powers; float32 has no bits to spare for that.
    """
    if len(coefficients) > 6 and isinstance(x.llvm.type, ir.DoubleType):
        square = x * x
        return polynomial(coefficients[::2], square) + x * polynomial(coefficients[1::2], square)
    result = x.like(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result


def lowers(function):
    """Let compiled code that calls ``function`` on a float take the decorated formula."""

    def register(formula):
        @type_callable(function)
        def result_type(context):
            return lambda x: x if isinstance(x, types.Float) else None

        @lower_builtin(function, types.Float)
        def write(context, builder, signature, arguments):
            return formula(Value(builder, arguments[0])).llvm

        return formula

    return register

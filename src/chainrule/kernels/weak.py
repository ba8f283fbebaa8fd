"""Numbers in a function of one number have the precision of its argument, as in NumPy.

To Numba, 0.5 is a float64 and 1 an int64, and what a float32 is combined with becomes float64: half
as many numbers in a vector, and conversions to and fro.
"""

import operator

from numba.core import ir, types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.imputils import impl_ret_borrowed
from numba.core.ir_utils import build_definitions
from numba.core.untyped_passes import ReconstructSSA
from numba.extending import intrinsic

from chainrule.kernels.jit import user_function

COMBINED = ("binop", "inplace_binop")
POWERS = (operator.pow, operator.ipow)


def scalar_function(function):
    """Return a function of one or two numbers as one that compiled code can call."""
    return user_function(function, pipeline_class=_Compiler)


@register_pass(mutates_CFG=False, analysis_only=False)
class NumbersLikeTheArgument(FunctionPass):
    """Converts numbers that do not depend on a float32 argument where they are combined with it."""

    _name = "numbers_like_the_argument"

    def __init__(self):
        super().__init__()

    def run_pass(self, state):
        if state.args[0] != types.float32:
            return False
        blocks = state.func_ir.blocks
        steps = [step for block in blocks.values() for step in block.find_insts(ir.Assign)]
        follows = _following(steps)
        argument = next(step.target for step in steps if isinstance(step.value, ir.Arg))
        for block in blocks.values():
            for step in list(block.find_insts(ir.Assign)):
                if isinstance(step.value, ir.Expr):
                    _convert(step, block, blocks, follows, argument)
        state.func_ir._definitions = build_definitions(blocks)
        return True


def _following(steps):
    """Return the names of what follows from the arguments."""
    follows = {step.target.name for step in steps if isinstance(step.value, ir.Arg)}
    before = -1
    while before < len(follows):
        before = len(follows)
        follows |= {step.target.name for step in steps if _used(step.value) & follows}
    return follows


def _used(value):
    """Return the names that are used in the right side of an assignment."""
    if isinstance(value, ir.Var):
        return {value.name}
    return {used.name for used in value.list_vars()} if isinstance(value, ir.Expr) else set()


def _convert(step, block, blocks, follows, argument):
    """Convert those operands of one step that do not follow from the argument, if others do."""
    value = step.value

    def converted(operand, others, by, block=block, before=step):
        if not isinstance(operand, ir.Var) or operand.name in follows:
            return operand
        for other in others:
            operand = _insert_call(by, operand, other, block, before)
        return operand

    if value.op in COMBINED:
        left, right = value.lhs, value.rhs
        if right.name in follows:
            value.lhs = converted(left, [right], by=number_like)
        if left.name in follows:  # a power of whole numbers is a product
            value.rhs = converted(right, [left], by=float_like if _is_power(value) else number_like)
    elif value.op == "call":
        others = [operand for operand in value.args if operand.name in follows]
        value.args = [converted(operand, others, by=float_like) for operand in value.args]
    elif value.op == "cast":  # what is returned
        value.value = converted(value.value, [argument], by=float_like)
    elif value.op == "phi" and step.target.name in follows:
        value.incoming_values = [
            converted(operand, [argument], float_like, blocks[label], blocks[label].terminator)
            for operand, label in zip(value.incoming_values, value.incoming_blocks, strict=True)
        ]


def _is_power(value):
    return value.fn in POWERS


def _insert_call(function, operand, other, block, before):
    """Let ``function(operand, other)`` be called before a step; return its result."""
    name, result = (block.scope.make_temp(before.loc) for _ in range(2))
    call = ir.Expr.call(name, [operand, other], (), before.loc)
    at = block.body.index(before)
    block.body[at:at] = [
        ir.Assign(ir.Global(function.__name__, function, before.loc), name, before.loc),
        ir.Assign(call, result, before.loc),
    ]
    return result


def _like(value, other, kinds):
    value = types.misc.unliteral(value)
    converts = other == types.float32 and isinstance(value, kinds)
    result = types.float32 if converts else value

    def codegen(context, builder, signature, values):
        number = context.cast(builder, values[0], value, result)
        return impl_ret_borrowed(context, builder, result, number)

    return result(value, other), codegen


@intrinsic
def number_like(typing_context, value, other):
    """Return a real number as a float32 if the other one is one; all else as it is."""
    return _like(value, other, types.Float | types.Integer)


@intrinsic
def float_like(typing_context, value, other):
    """Return a float as a float32 if the other number is one; all else as it is."""
    return _like(value, other, types.Float)


class _Compiler(CompilerBase):
    def define_pipelines(self):
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.add_pass_after(NumbersLikeTheArgument, ReconstructSSA)
        pipeline.finalize()
        return [pipeline]

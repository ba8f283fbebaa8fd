"""Numbers in a function of one number have the precision of its argument, as in NumPy.

To Numba, 0.5 is a float64 and 1 an int64, and what a float32 is combined with becomes float64: half
as many numbers in a vector, and conversions to and fro.
"""

import operator

import numpy as np
from numba.core import ir, types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.untyped_passes import ReconstructSSA

from chainrule.kernels.jit import user_function

COMBINED = ("binop", "inplace_binop")


def scalar_function(function):
    """Return a function of one or two numbers as one that compiled code can call."""
    return user_function(function, pipeline_class=_Compiler)


@register_pass(mutates_CFG=False, analysis_only=False)
class NumbersLikeTheArgument(FunctionPass):
    """Gives the numbers in a function of float32 this type."""

    _name = "numbers_like_the_argument"

    def __init__(self):
        super().__init__()

    def run_pass(self, state):
        if state.args[0] != types.float32:
            return False
        blocks = state.func_ir.blocks.values()
        steps = [step for block in blocks for step in block.find_insts(ir.Assign)]
        combined = _combined_with_the_argument(steps)
        for step in steps:
            value = step.value
            if isinstance(value, ir.Const | ir.Global | ir.FreeVar):
                is_float = type(value.value) is float
                if is_float or (type(value.value) is int and step.target.name in combined):
                    step.value = ir.Const(np.float32(value.value), value.loc)
        return True


def _combined_with_the_argument(steps):
    """Return the names of what is combined with something that follows from the argument."""
    follows = {step.target.name for step in steps if isinstance(step.value, ir.Arg)}
    before = -1
    while before < len(follows):
        before = len(follows)
        follows |= {
            step.target.name
            for step in steps
            if isinstance(step.value, ir.Expr | ir.Var)
            and any(used.name in follows for used in step.value.list_vars())
        }
    names = set()
    for step in steps:
        if isinstance(step.value, ir.Expr) and step.value.op in COMBINED:
            left, right = step.value.lhs.name, step.value.rhs.name
            if right in follows:
                names.add(left)
            # A power of whole numbers is a product.
            if left in follows and step.value.fn not in (operator.pow, operator.ipow):
                names.add(right)
    return names - follows


class _Compiler(CompilerBase):
    def define_pipelines(self):
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.add_pass_after(NumbersLikeTheArgument, ReconstructSSA)
        pipeline.finalize()
        return [pipeline]

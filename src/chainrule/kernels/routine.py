"""Kernels that are compiled by themselves, once for all kernels that call them.

Whatever calls a part (see :mod:`chainrule.kernels.jit`) contains its machine code. That of a
routine is there once, and its callers know it by a symbol.
"""

import inspect

from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from chainrule.kernels import symbols
from chainrule.kernels.cache import SharedCache
from chainrule.kernels.jit import JIT_DISABLED, address_of, native
from chainrule.kernels.pipelines import Vectorised


def routine(function):
    """Let kernels call a function of numbers that neither returns anything nor raises."""
    if JIT_DISABLED:
        return function
    module, name = function.__module__, function.__name__
    whole = native(function, SharedCache(function, name.strip("_")), pipeline_class=Vectorised)
    symbols.register(module, name, lambda arguments: address_of(whole, arguments))

    def typed(*arguments):
        return types.void(*map(types.unliteral, arguments))

    # Numba would take *arguments for a tuple.
    typed.pysig = inspect.signature(function)  # type: ignore[attr-defined]
    type_callable(function)(lambda context: typed)

    @lower_builtin(function, types.VarArg(types.Any))
    def call(context, builder, signature, arguments):
        convention, kind = context.call_conv, signature.return_type
        code = cgutils.get_or_insert_function(
            builder.module,
            convention.get_function_type(kind, signature.args),
            symbols.define(module, name, signature.args),
        )
        convention.call_function(builder, code, kind, signature.args, arguments)
        return context.get_dummy_value()

    return function

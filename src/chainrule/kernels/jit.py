"""The jit decorators for kernels and for the interpreter, and their flags.

A kernel that another kernel calls is a *part* of it; one that Python calls, or a plan's program, is
compiled as a whole (see :mod:`chainrule.kernels.pipelines`).
"""

import gc
from contextlib import contextmanager
from functools import cache, partial

import numba
import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from chainrule.kernels.cache import FunctionCache, SharedCache
from chainrule.kernels.pipelines import Part, Whole

# Without "_nrt", Numba's runtime, nothing counts references: kernels allocate nothing, and what
# they are given outlives them.
_COMMON_FLAGS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}
# No "nnan" and no "ninf": a NaN must stay visible to the user.
FLAGS = _COMMON_FLAGS | {"fastmath": {"contract", "reassoc", "nsz", "arcp"}}

COLLECTION_THRESHOLD = 50_000  # new objects, where Python has 700

JIT_DISABLED = bool(numba.config.DISABLE_JIT)


def kernel(function=None, *, inline=False):
    """Compile a function on its first call: whole, and kept on disk, when Python calls it.

    With ``inline``, compiled callers contain its code. A call costs, for each array, a dozen
    instructions that write down its eight fields: nothing for a loop, a lot for a small product.
    """
    if function is None:
        return partial(kernel, inline=inline)
    if JIT_DISABLED:
        return function
    whole = numba.njit(pipeline_class=Whole, **FLAGS)(function)
    whole._cache = FunctionCache(function)

    @cache
    def part():  # a process that finds its code on disk needs none
        return numba.njit(pipeline_class=Part, forceinline=inline, **FLAGS)(function)

    # What compiled callers ask for.
    whole.get_call_template = lambda *types: part().get_call_template(*types)
    whole.get_overload = lambda *types: part().get_overload(*types)
    return whole


def entry_point(function):
    """Do as :func:`kernel`, where compiling takes long: once for all processes, and announced."""
    if JIT_DISABLED:
        return function
    whole = kernel(function)
    _compile_in_turn(whole, SharedCache(function, "the interpreter"))
    return whole


def native(function, cache, **flags):
    """Return a dispatcher for a function of integers that is called by its address only.

    It has no wrapper for Python. The address is :func:`address_of` it.
    """
    flags = {"pipeline_class": Whole, "no_cpython_wrapper": True} | FLAGS | flags
    whole = numba.njit(**flags)(function)
    _compile_in_turn(whole, cache)
    return whole


def address_of(whole, signature):
    """Return where the machine code is that :func:`native` has compiled for a signature."""
    whole.compile(signature)
    compiled = whole.overloads[signature]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def is_compiled(whole, signature):
    """Tell whether an entry point's code is in this process, or on the disk."""
    return signature in whole.overloads or whole._cache.has(signature)


def _compile_in_turn(whole, cache):
    whole._cache = cache
    compile_or_load = whole.compile

    def compile_in_turn(signature):
        with global_compiler_lock, cache.turn(), _rare_collections():
            return compile_or_load(signature)

    whole.compile = compile_in_turn


@contextmanager
def _rare_collections():
    """Let Python look for garbage less often: it would take a tenth of the time to compile."""
    thresholds = gc.get_threshold()
    if thresholds[0] > 0:
        gc.set_threshold(max(thresholds[0], COLLECTION_THRESHOLD), *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def compiled_for(function, *types):
    """Return what Python calls for arguments of these types, without anything between.

    The types of the arguments are not checked. The code depends on arrays' memory layout only, so
    read-only ones need no code of their own.
    """
    if JIT_DISABLED:  # as silent as compiled code
        return np.errstate(divide="ignore", over="ignore", invalid="ignore")(function)
    return function.compile(types)


def user_function(function, **options):
    """Return a user's function as one that compiled code can call.

    A plain one gets the kernels' flags, but that it may allocate; one that is compiled by Numba
    already keeps its own.
    """
    if JIT_DISABLED or hasattr(function, "py_func"):
        return function
    flags = {name: FLAGS[name] for name in ("nogil", "error_model", "fastmath")}
    return numba.njit(**flags | options)(function)

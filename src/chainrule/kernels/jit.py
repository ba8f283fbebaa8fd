"""The jit decorators for kernels and for the interpreter, and their flags.

A kernel that another kernel calls is a *part*: Numba infers its types and writes its LLVM code,
but it is neither optimised nor turned into machine code before it is linked into what Python
calls. There LLVM sees everything at once. Numba alone would optimise and emit each kernel by
itself, and again in each of its callers: twice the time to compile, and slower code.
"""

from functools import partial

import numba
import numpy as np
from llvmlite.binding import Linkage
from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary, RuntimeLinker
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_lock import global_compiler_lock

from chainrule.kernels.cache import FunctionCache, SharedCache

# Without "_nrt", Numba's runtime, nothing counts references: kernels allocate nothing, and what
# they are given outlives them.
_COMMON_FLAGS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}
# No "nnan" and no "ninf": a NaN must stay visible to the user.
FLAGS = _COMMON_FLAGS | {"fastmath": {"contract", "reassoc", "nsz", "arcp"}}

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
    whole = numba.njit(pipeline_class=_Whole, **FLAGS)(function)
    whole._cache = FunctionCache(function)
    part = numba.njit(pipeline_class=_Part, forceinline=inline, **FLAGS)(function)
    # What compiled callers ask for.
    whole.get_call_template, whole.get_overload = part.get_call_template, part.get_overload
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
    flags = {"pipeline_class": _Whole, "no_cpython_wrapper": True} | FLAGS | flags
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
        with global_compiler_lock, cache.turn():
            return compile_or_load(signature)

    whole.compile = compile_in_turn


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


class _Whole(CompilerBase):
    """Compiles what Python calls."""

    def define_pipelines(self):
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]

    def compile_extra(self, function):
        result = super().compile_extra(function)
        # A kernel that prints needs its environment. Numba sets it when it loads a function, but
        # parts are not loaded.
        for environment in result._find_referenced_environments():
            result.codegen.set_env(environment.env_name, environment)
        return result


class Private(_Whole):
    """Compiles what is called by its address only, and defines no other name.

    Names of functions hold a number that is counted up in each process. Those of two functions
    that were compiled in two processes, loaded into a third one, may be the same.
    """

    def define_pipelines(self):
        codegen = self.state.targetctx.codegen()
        self.state.library = _PrivateLibrary(codegen, self.state.func_id.func_qualname)
        self.state.library.enable_object_caching()
        return super().define_pipelines()


class _PrivateLibrary(JITCodeLibrary):
    """LLVM code whose functions, but for the one that is called, cannot be seen from outside."""

    def _optimize_final_module(self):
        names = {variable.name for variable in self._final_module.global_variables}
        # A function that calls itself may be looked up by its name.
        if not any(name.startswith(RuntimeLinker.PREFIX) for name in names):
            for function in self._final_module.functions:
                if function.linkage == Linkage.linkonce_odr and not function.is_declaration:
                    function.linkage = Linkage.internal
        super()._optimize_final_module()


class _Part(CompilerBase):
    """Compiles what other kernels call, as far as LLVM code."""

    def define_pipelines(self):
        flags = self.state.flags
        flags.no_compile = flags.no_cpython_wrapper = True
        codegen = self.state.targetctx.codegen()
        self.state.library = _PartLibrary(codegen, self.state.func_id.func_qualname)
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]

    def compile_extra(self, function):
        result = super().compile_extra(function)
        # Numba finds code by what Python would call; the address 0 says that there is nothing.
        key = _dynfunc.make_function(
            result.fndesc.lookup_module(), function.__name__, "", 0, result.environment, ()
        )
        self.state.targetctx.insert_user_function(key, result.fndesc, [result.library])
        return result._replace(entry_point=key)


class _PartLibrary(JITCodeLibrary):
    """LLVM code that is only linked into other code."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True

"""A plan's functions, each compiled by itself when a plan first needs it, and kept on disk."""

import ctypes
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from numba import types
from numba.core.compiler_lock import global_compiler_lock

from chainrule.kernels.cache import CustomCache, NativeCache, NoCache
from chainrule.kernels.fingerprint import fingerprint_of
from chainrule.kernels.jit import address_of, is_compiled, native, user_function
from chainrule.kernels.native import arguments_of
from chainrule.kernels.pipelines import Private
from chainrule.kernels.same import MOST_KEPT, canonical
from chainrule.utils.announcement import Announcement

SIGNATURE = types.int64, types.int64  # addresses of a row and of a context
FROM_PYTHON = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
)


class NativeFunction:
    """Machine code that :func:`chainrule.kernels.native.call` can call, as long as this lives.

    Attributes
    ----------
    handle : int
        Its address.
    """

    def __init__(self, code, kinds, dtype, code_cache, **flags):
        make_arguments = arguments_of(kinds, dtype)

        def call(row, context):
            is_any, arguments = make_arguments(row, context)
            if is_any:
                code(*arguments)

        call.__qualname__ = code_cache.symbol
        self._code = native(call, code_cache, **flags)
        self.handle = address_of(self._code, SIGNATURE)

    def __call__(self, row, context):
        """Call it from Python, with the addresses of a row and of a context."""
        result, raised = ctypes.c_void_p(), ctypes.c_void_p()
        FROM_PYTHON(self.handle)(ctypes.byref(result), ctypes.byref(raised), row, context)


def compile_functions(wanted, dtype, interpreter, signature):
    """Compile those functions of a plan, and the interpreter, that are in no cache; print progress.

    Users' functions are left out: they exist only in this process.

    Parameters
    ----------
    wanted : pairs of a function and the kinds of its arguments.
    dtype : of the plan.
    interpreter, signature : an entry point, and the types of its arguments.

    Returns
    -------
    int
        How many there were to compile.
    """
    keys = {(f.code, kinds, dtype) for f, kinds in wanted if f.can_compile and not f.label}
    if keys <= _in_process and signature in interpreter.overloads:
        return 0
    with global_compiler_lock:
        todo = {}  # in the plan's order
        for function, kinds in wanted:
            key = function.code, kinds, dtype
            if key in keys - _in_process and not _cache_of(*key).has(SIGNATURE):
                todo[key] = function.code.__name__
        compiles_interpreter = not is_compiled(interpreter, signature)
        if total := len(todo) + compiles_interpreter:
            with Announcement(total, f"all networks in {dtype}") as announcement:
                for key, name in todo.items():
                    announcement.next(name)
                    _of_kernel(*key)
                if compiles_interpreter:
                    announcement.next(interpreter._cache.what)
                    interpreter.compile(signature)
        return total


def native_function(function, kinds, dtype):
    """Return the machine code of a function of a plan, for arguments of these kinds."""
    if not function.label:
        return _of_kernel(function.code, kinds, dtype)
    try:
        return _of_user(canonical(function.code), kinds, dtype)
    except Exception as error:
        error.add_note(f"Numba could not compile {function.label}.")
        raise


def compiled_for_python(code: Callable[..., Any]) -> Callable[..., Any]:
    """Return a user's function as compiled code that Python calls."""
    compiled: Callable[..., Any] = _for_python(canonical(code))
    return compiled


_in_process: set[object] = set()  # what _of_kernel was called with


@cache
def _of_kernel(code, kinds, dtype):
    made = NativeFunction(code, kinds, dtype, _cache_of(code, kinds, dtype))
    _in_process.add((code, kinds, dtype))
    return made


def _cache_of(code, kinds, dtype):
    name = f"{code.__module__}.{code.__qualname__}"
    return NativeCache(name, code.__name__, repr((kinds, dtype.str)))


@lru_cache(MOST_KEPT)
def _of_user(code, kinds, dtype):
    function = user_function(code)
    with global_compiler_lock:
        found = fingerprint_of(function)
        kept = NoCache() if found is None else CustomCache(found.key, repr((kinds, dtype.str)))
        # It may allocate, so that references are counted.
        made = NativeFunction(function, kinds, dtype, kept, pipeline_class=Private, _nrt=True)
        if found is not None:
            found.note()
    return made


@lru_cache(MOST_KEPT)
def _for_python(code):
    return user_function(code)

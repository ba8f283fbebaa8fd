"""A plan's functions, each compiled by itself when a plan first needs it, and kept on disk."""

from functools import cache, lru_cache

from numba import types

from chainrule.kernels.cache import NativeCache, NoCache
from chainrule.kernels.jit import address_of, native, user_function
from chainrule.kernels.native import arguments_of
from chainrule.kernels.same import MOST_KEPT, canonical

SIGNATURE = types.int64, types.int64  # addresses of a row and of a context


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

        self._code = native(call, code_cache, **flags)
        self.handle = address_of(self._code, SIGNATURE)


def native_function(function, kinds, dtype):
    """Return the machine code of a function of a plan, for arguments of these kinds."""
    if not function.label:
        return _of_kernel(function.code, kinds, dtype)
    try:
        return _of_user(canonical(function.code), kinds, dtype)
    except Exception as error:
        error.add_note(f"Numba could not compile {function.label}.")
        raise


@cache
def _of_kernel(code, kinds, dtype):
    name = f"{code.__module__}.{code.__qualname__}"
    code_cache = NativeCache(name, code.__name__, repr((kinds, dtype.str)))
    return NativeFunction(code, kinds, dtype, code_cache)


@lru_cache(MOST_KEPT)
def _of_user(code, kinds, dtype):
    # It may allocate, so that references are counted.
    return NativeFunction(user_function(code), kinds, dtype, NoCache(), _nrt=True)

"""Machine code by dtype, called from Python directly.

Numba's dispatcher looks up the types of all arguments at each call, and takes a read-only array
for another type. The functions of this package look at their arguments anyway, so they call what
the dispatcher would have chosen.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from chainrule.kernels.jit import compiled_for

COMPUTED = SINGLE, DOUBLE = np.dtype("float32"), np.dtype("float64")
_NUMBERS = {SINGLE: types.float32, DOUBLE: types.float64}
_FIXED = {
    "f": types.float64,
    "i": types.int64,
    "b": types.boolean,
    "l": types.Array(types.int64, 1, "C"),
}


class Entries(dict[np.dtype, Callable[..., Any]]):
    """A kernel's machine code for each dtype that it was loaded for.

    Parameters
    ----------
    kernel : function with the decorator ``@kernel``
    form : str
        A letter for each argument: ``v`` a vector, ``m`` a matrix, both C-contiguous, and ``n`` a
        number, of the dtype; ``f`` a float, ``i`` an integer, ``b`` a bool, and ``l`` a vector of
        labels, int64.
    """

    def __init__(self, kernel: Callable[..., Any], form: str) -> None:
        self._kernel, self._form = kernel, form

    def __missing__(self, dtype: np.dtype) -> Callable[..., Any]:
        """Compile the kernel, or load it from the disk cache, on the first call."""
        number = _NUMBERS[dtype]
        kinds = _FIXED | {
            "n": number,
            "v": types.Array(number, 1, "C"),
            "m": types.Array(number, 2, "C"),
        }
        entry: Callable[..., Any] = compiled_for(  # type: ignore[no-untyped-call]
            self._kernel, *[kinds[letter] for letter in self._form]
        )
        self[dtype] = entry
        return entry

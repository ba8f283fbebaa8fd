"""Two ways to run a plan: compiled with Numba, or the same source on the NumPy twins."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np

from chainrule.threads import get_num_threads

BACKENDS = ("numba", "numpy")
WITHOUT_TWIN = ("entry_point", "kernel", "matrix")  # what the interpreter needs besides kernels


def check_backend(backend: str) -> str:
    """Return ``backend``; raise ValueError if there is none of that name."""
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}.")
    return backend


@cache
def get_run(backend: str) -> Callable[..., int]:
    """Return the interpreter's ``run`` for a backend; the first call loads Numba."""
    from chainrule.engine import interpreter

    run: Callable[..., int] = interpreter.run
    if check_backend(backend) == "numpy":
        run = _with_twins(vars(interpreter))["run"]
    if isinstance(run, FunctionType):  # plain Python: as silent about overflow as compiled code
        run = np.errstate(divide="ignore", over="ignore", invalid="ignore")(run)
    return run


def is_compiled(backend: str) -> bool:
    """Tell whether a backend's ``run`` is compiled, or plain Python."""
    return not isinstance(get_run(backend), FunctionType)


def threads_for(backend: str) -> int:
    """Return how many threads may run a plan: plain Python uses one."""
    return get_num_threads() if is_compiled(backend) else 1


def _with_twins(interpreter: dict[str, Any]) -> dict[str, Any]:
    """Return the interpreter's functions as plain Python whose kernels are the NumPy twins."""
    namespace = dict(interpreter)
    for name, value in interpreter.items():
        module = getattr(value, "__module__", "") or ""
        function = getattr(value, "py_func", value)
        if not isinstance(function, FunctionType):
            continue
        if module == interpreter["__name__"]:
            namespace[name] = FunctionType(function.__code__, namespace, name)
        elif module.startswith("chainrule.kernels.") and name not in WITHOUT_TWIN:
            twin = import_module(module.replace(".kernels.", ".reference."))
            namespace[name] = getattr(twin, name)
    return namespace

"""The backends: a plan runs in code compiled by Numba, or in the same source with NumPy twins."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np

from chainrule.engine import python_calls
from chainrule.utils.threads import get_num_threads

BACKENDS = ("numba", "numpy")
WITHOUT_TWIN = ("jit", "thread_group", "views")  # modules without kernels


def check_backend(backend: str) -> str:
    """Return ``backend``; raise ValueError if there is none of that name."""
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}.")
    return backend


@cache
def get_function(backend: str, module: str, name: str) -> Callable[..., Any]:
    """Return a function of one of the engine's modules for a backend; the first call loads Numba.

    >>> get_function("numpy", "interpreter", "run") is get_run("numpy")
    True
    """
    from chainrule.kernels.jit import JIT_DISABLED

    namespace = vars(import_module(f"chainrule.engine.{module}"))
    if check_backend(backend) == "numpy" or JIT_DISABLED:
        namespace = _with_twins(namespace)
    function: Callable[..., Any] = namespace[name]
    if isinstance(function, FunctionType):  # no warnings of overflow, as in compiled code
        function = np.errstate(divide="ignore", over="ignore", invalid="ignore")(function)
    return function


def get_run(backend: str) -> Callable[..., int]:
    """Return the interpreter's ``run`` for a backend."""
    return get_function(backend, "interpreter", "run")


@cache
def compiled_run(dtype: np.dtype) -> Callable[..., int]:
    """Return the compiled ``run`` for a dtype, called without a look at the types of arguments."""
    from chainrule.engine.interpreter import run, signature_of
    from chainrule.kernels.jit import compiled_for

    function: Callable[..., int] = compiled_for(run, *signature_of(dtype))
    return function


@cache
def is_compiled(backend: str) -> bool:
    """Tell whether a backend's ``run`` is compiled, or plain Python."""
    return not isinstance(get_run(backend), FunctionType)


def threads_for(backend: str) -> int:
    """Return how many threads may run a plan: plain Python uses one."""
    return get_num_threads() if is_compiled(backend) else 1


def _with_twins(engine: dict[str, Any]) -> dict[str, Any]:
    """Return a module's functions as plain Python, in which a plan's functions are called."""
    namespace = dict(engine)
    for name, value in engine.items():
        module = getattr(value, "__module__", "") or ""
        function = getattr(value, "py_func", value)
        if not isinstance(function, FunctionType):
            continue
        if module == engine["__name__"]:
            namespace[name] = FunctionType(function.__code__, namespace, name)
        elif module.startswith("chainrule.engine."):
            namespace[name] = _with_twins(vars(import_module(module)))[name]
        elif module.startswith("chainrule.kernels."):
            subject = module.removeprefix("chainrule.kernels.")
            if subject == "native":
                namespace[name] = getattr(python_calls, name)
            elif subject not in WITHOUT_TWIN:
                namespace[name] = getattr(import_module(f"chainrule.reference.{subject}"), name)
    return namespace

"""Symbols: names by which machine code calls other machine code, which is compiled by itself.

LLVM looks them up when it loads code. One that has no address ends the process, so whatever
compiles or loads code that has symbols defines these first.
"""

from importlib import import_module
from typing import Any

import llvmlite.binding as llvm

# By a function's module and name: what returns its address, for types of arguments.
_providers: dict[tuple[str, str], Any] = {}
# By symbol: the function's module and name, and the types of its arguments.
_defined: dict[str, tuple[str, str, Any]] = {}


def register(module, function, provider):
    """Note what compiles or loads a function when somebody needs it."""
    _providers[module, function] = provider


def define(module, function, arguments):
    """Give the symbol of a function, for arguments of these types, its address; return its name."""
    name = ".".join([module, function, *map(str, arguments)])
    if name not in _defined:
        import_module(module)  # which registers it
        llvm.add_symbol(name, _providers[module, function](arguments))
        _defined[name] = module, function, arguments
    return name


def symbols_of(llvm_module):
    """Return what :func:`define` takes, for each symbol that a module needs."""
    names = [function.name for function in llvm_module.functions if function.is_declaration]
    return tuple(_defined[name] for name in names if name in _defined)

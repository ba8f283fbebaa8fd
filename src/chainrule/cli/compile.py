"""``chainrule compile``: compiles functions ahead of their first use, into the cache on disk."""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.cli.command import Report, add_command, make_console
from chainrule.utils.wording import plural


def add(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands,
        "compile",
        _run,
        "Compile ahead, for containers, clusters and classrooms.\n\n"
        "Compiled functions are stored in the folder that chainrule info shows, or in\n"
        "CHAINRULE_CACHE_DIR. Without --all, these are the functions of networks of linear layers\n"
        "and ReLU in float32, and of all losses and optimizers.",
        "  chainrule compile\n  CHAINRULE_CACHE_DIR=/opt/chainrule chainrule compile --all",
    )
    command.add_argument(
        "--all", action="store_true", help="every operation, in float32 and in float64"
    )


def _run(options: argparse.Namespace) -> Report:
    from chainrule.engine.ahead import compile_ahead
    from chainrule.kernels.cache import cache_folder, compiled_on_disk
    from chainrule.kernels.jit import JIT_DISABLED

    if JIT_DISABLED:
        raise ValueError("Nothing is compiled, as NUMBA_DISABLE_JIT is set.")
    folder = cache_folder()
    if folder is None:
        raise ValueError("There is no folder for compiled code; the warning above says why.")
    began = perf_counter()
    dtypes = ["float32", "float64"] if options.all else ["float32"]
    compiled = sum(compile_ahead(np.dtype(dtype), everything=options.all) for dtype in dtypes)
    seconds = perf_counter() - began
    functions, size = compiled_on_disk()
    console = make_console()
    console.print(f"{plural(compiled, 'function')} compiled, in {seconds:.1f} s.")
    console.print(f"{folder} holds {functions}, {size / 1e6:.1f} MB.", soft_wrap=True)
    return {
        "compiled": compiled,
        "seconds": round(seconds, 1),
        "cache folder": str(folder),
        "compiled functions": functions,
        "compiled bytes": size,
    }

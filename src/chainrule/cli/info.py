"""``chainrule info``: versions, CPU, threads and cache."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import version
from typing import Any

from rich.table import Table

import chainrule as cr
from chainrule.cli.command import Report, add_command, make_console


def add(commands: Any) -> None:
    """Add the command."""
    add_command(
        commands,
        "info",
        _run,
        "Show versions, CPU, threads and cache.",
        "  chainrule info\n  chainrule info --json",
    )


def _run(options: argparse.Namespace) -> Report:
    import llvmlite.binding as llvm

    from chainrule.kernels.cache import cache_folder, compiled_on_disk
    from chainrule.kernels.vectors import VECTOR_BYTES

    features = llvm.get_host_cpu_features()
    relevant = ("avx2", "fma", "avx512f", "avx512bf16", "amx-bf16", "neon", "sve")
    folder = cache_folder()
    functions, size = compiled_on_disk()
    rows = {
        "chainrule": cr.__version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "llvmlite")},
        "CPU": llvm.get_host_cpu_name(),
        "features": ", ".join(name for name in relevant if features.get(name)),
        "vector": f"{VECTOR_BYTES} bytes",
        "cores": str(os.cpu_count()),
        "threads": f"up to {cr.get_num_threads()}",
        "threading layer": "chainrule's own threads, not Numba's",
        "cache folder": str(folder) if folder else "none: compiled code is not stored",
        "compiled functions": f"{functions}, {size / 1e6:.1f} MB",
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, value)
    make_console().print(table)
    return rows

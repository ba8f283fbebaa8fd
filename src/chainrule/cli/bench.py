"""``chainrule bench``: training steps on this machine, in the repository beside other libraries."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.table import Table

from chainrule.cli.command import Report, add_command, make_console
from chainrule.utils.arguments import integer
from chainrule.utils.wording import plural

WORKLOADS = {
    "tiny": "4-32-32-2, tanh, squared error, batches of 32",
    "digits": "64-64-32-10, ReLU, cross-entropy, batches of 64",
    "mnist": "784-128-64-10, ReLU, cross-entropy, batches of 128",
    "tabular": "30-256-256-1, ReLU, yes or no, batches of 512",
}

# The repository that this package lies in, if it is an editable install of it.
ROOT = Path(__file__).parents[3]


def add(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands,
        "bench",
        _run,
        "Measure training steps on this machine.\n\n"
        "If chainrule is installed from its repository by pip install -e, it is compared with\n"
        "baselines: NumPy by hand and, if installed, scikit-learn, PyTorch and JAX. They train\n"
        "the same networks with Adam, from the same parameters, on the same batches, and their\n"
        "losses are compared first. They run in turn, on the same cores with the same number of\n"
        "threads, and the shortest time of each is shown.",
        "  chainrule bench\n"
        "  chainrule bench --workloads mnist tabular --threads 2\n"
        "  chainrule bench --baselines numpy torch --json",
    )
    command.add_argument(
        "--workloads",
        nargs="+",
        choices=WORKLOADS,
        default=["tiny", "digits", "mnist"],
        help="networks to train (default: tiny digits mnist)",
    )
    command.add_argument(
        "--baselines",
        nargs="+",
        metavar="NAME",
        help="compare with numpy, sklearn, torch, torch-compile, jax-step or jax-scan "
        "(default: those installed, without torch-compile, which takes a while)",
    )
    command.add_argument("--threads", type=int, default=1, help="that each may use (default: 1)")
    command.add_argument("--rounds", type=int, default=3, help="measurements (default: 3)")


def _run(options: argparse.Namespace) -> Report:
    from chainrule.cli.measurement.measure import CHAINRULE, measure  # loads the engine

    threads = integer(options.threads, "--threads", least=1)
    cores = os.cpu_count() or 1
    if threads > cores:
        raise ValueError(f"--threads is {threads}, but this machine has {plural(cores, 'core')}.")
    rounds = integer(options.rounds, "--rounds", least=1)
    implementations = [CHAINRULE, *_find_baselines(options.baselines)]
    console = make_console()
    results = []
    for workload in options.workloads:
        with console.status(workload):
            result = measure(workload, implementations, threads, rounds)
        results.append(asdict(result))
        console.print(f"\n{workload}: {WORKLOADS[workload]}")
        console.print(_table(result.microseconds))
    return {"results": results}


def _find_baselines(wanted: list[str] | None) -> list[str]:
    """Return the baselines to compare with, as ``"module:class"``."""
    if not (ROOT / "benchmarks" / "peers" / "__init__.py").is_file():
        if wanted:
            raise ValueError(
                "--baselines needs chainrule's repository, installed by pip install -e."
            )
        return []
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    others = import_module("benchmarks.peers")
    ours = "chainrule", "train-step", "engine"
    known = {name: path for name, path in others.IMPLEMENTATIONS.items() if name not in ours}
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        raise ValueError(f"--baselines must be of {', '.join(known)}, not {', '.join(unknown)}.")
    missing = [name for name in wanted or () if not others.is_installed(name)]
    if missing:
        raise ValueError(f"The package of {', '.join(missing)} is not installed.")
    usual = [name for name in known if name != "torch-compile" and others.is_installed(name)]
    return [known[name] for name in dict.fromkeys(wanted or usual)]


def _table(microseconds: dict[str, float]) -> Table:
    table = Table(box=None)
    for name in ("", "us a step", "times chainrule's"):
        table.add_column(name, justify="right" if name else "left")
    ours = microseconds["chainrule"]
    for name, time in microseconds.items():
        table.add_row(name, f"{time:.4g}", f"{time / ours:.2f}")
    return table

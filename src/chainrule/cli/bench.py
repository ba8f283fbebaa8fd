"""``chainrule bench``: how fast it is on this machine, beside others where its repository is."""

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
        "Where chainrule is installed from its repository by pip install -e, NumPy by hand and\n"
        "scikit-learn, PyTorch and JAX, if they are installed, train the same networks with Adam\n"
        "from the same parameters on the same batches; that their losses are the same is checked\n"
        "first. They work in turn, with the same cores and threads, and the least time of each\n"
        "counts.",
        "  chainrule bench\n"
        "  chainrule bench --workloads mnist tabular --threads 2\n"
        "  chainrule bench --peers numpy torch --json",
    )
    command.add_argument(
        "--workloads",
        nargs="+",
        choices=WORKLOADS,
        default=["tiny", "digits", "mnist"],
        help="networks to train (default: tiny digits mnist)",
    )
    command.add_argument(
        "--peers",
        nargs="+",
        metavar="PEER",
        help="whom to compare: numpy, sklearn, torch, torch-compile, jax-step or jax-scan "
        "(default: who is installed, but torch-compile, which takes a while)",
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
    peers = [CHAINRULE, *_find_peers(options.peers)]
    console = make_console()
    results = []
    for workload in options.workloads:
        with console.status(workload):
            result = measure(workload, peers, threads, rounds)
        results.append(asdict(result))
        console.print(f"\n{workload}: {WORKLOADS[workload]}")
        console.print(_table(result.microseconds))
    return {"results": results}


def _find_peers(wanted: list[str] | None) -> list[str]:
    """Return where the classes of those are that chainrule is compared with."""
    if not (ROOT / "benchmarks" / "peers" / "__init__.py").is_file():
        if wanted:
            raise ValueError("--peers are in chainrule's repository: pip install -e installs it.")
        return []
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    others = import_module("benchmarks.peers")
    ours = "chainrule", "engine"
    known = {name: where for name, where in others.PEERS.items() if name not in ours}
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        raise ValueError(f"--peers must be of {', '.join(known)}, not {', '.join(unknown)}.")
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

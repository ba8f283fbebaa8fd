"""``chainrule bench``: how fast it is on this machine, beside others."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from typing import Any

from rich.table import Table

from chainrule.bench import PEERS, is_installed
from chainrule.cli.command import Report, add_command, make_console
from chainrule.utils.arguments import integer

WORKLOADS = {
    "tiny": "4-32-32-2, tanh, squared error, batches of 32",
    "digits": "64-64-32-10, ReLU, cross-entropy, batches of 64",
    "mnist": "784-128-64-10, ReLU, cross-entropy, batches of 128",
    "tabular": "30-256-256-1, ReLU, yes or no, batches of 512",
}


def add(commands: Any) -> None:
    """Add the command."""
    command = add_command(
        commands,
        "bench",
        _run,
        "Measure training steps on this machine, beside the peers that are installed.\n\n"
        "NumPy by hand, scikit-learn, PyTorch and JAX train the same networks with Adam from the\n"
        "same parameters on the same batches; that their losses are the same is checked first.\n"
        "They work in turn, with the same cores and threads, and the least time of each counts.",
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
        choices=[peer for peer in PEERS if peer not in ("chainrule", "engine")],
        help="whom to compare (default: who is installed, but torch-compile, which takes a while)",
    )
    command.add_argument("--threads", type=int, default=1, help="that each may use (default: 1)")
    command.add_argument("--rounds", type=int, default=3, help="measurements (default: 3)")


def _run(options: argparse.Namespace) -> Report:
    from chainrule.bench.measure import measure  # loads the engine

    threads = integer(options.threads, "--threads", least=1)
    cores = os.cpu_count() or 1
    if threads > cores:
        raise ValueError(f"--threads is {threads}, but this machine has {cores} cores.")
    rounds = integer(options.rounds, "--rounds", least=1)
    wanted = options.peers or [peer for peer in PEERS if peer not in ("engine", "torch-compile")]
    missing = [peer for peer in wanted if not is_installed(peer)]
    if options.peers and missing:
        raise ValueError(f"The package of {', '.join(missing)} is not installed.")
    peers = [peer for peer in dict.fromkeys(["chainrule", *wanted]) if peer not in missing]
    console = make_console()
    results = []
    for workload in options.workloads:
        with console.status(f"{workload}: {', '.join(peers)}"):
            result = measure(workload, peers, threads, rounds)
        results.append(asdict(result))
        console.print(f"\n{workload}: {WORKLOADS[workload]}", highlight=False)
        console.print(_table(result.microseconds), highlight=False)
    return {"results": results}


def _table(microseconds: dict[str, float]) -> Table:
    table = Table(box=None)
    for name in ("", "us a step", "times chainrule's"):
        table.add_column(name, justify="right" if name else "left")
    ours = microseconds["chainrule"]
    for name, time in microseconds.items():
        table.add_row(name, f"{time:.4g}", f"{time / ours:.2f}")
    return table

"""Compare the time of training steps with others; print tables in Markdown.

All peers do the same computation: first their losses are compared, then they work in turn,
A B C A B C, with the same number of threads and cores, and the least time of each counts.
"""

import argparse
import shlex
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.peers import PEERS
from benchmarks.peers.report import digits, markdown, plot
from chainrule.cli.measurement.measure import measure
from chainrule.cli.measurement.workloads import WORKLOADS


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    names = list(WORKLOADS)
    parser.add_argument("--workloads", nargs="+", choices=names, default=names, help="networks")
    parser.add_argument(
        "--peers", nargs="+", choices=PEERS, default=list(PEERS), help="whom to compare"
    )
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    parser.add_argument(
        "--threads", nargs="+", type=int, default=[1, 2], help="and cores that each may use"
    )
    parser.add_argument(
        "--output", type=Path, help="folder to write the tables to, as peers.md, and peers.svg"
    )
    options = parser.parse_args()

    peers = ["chainrule", *(peer for peer in options.peers if peer != "chainrule")]
    results = []
    started = perf_counter()
    for threads in options.threads:
        for workload in options.workloads:
            result = measure(workload, [PEERS[peer] for peer in peers], threads, options.rounds)
            times = ", ".join(f"{name} {digits(us)}" for name, us in result.microseconds.items())
            print(f"{workload}, {threads} threads: {times}", file=sys.stderr, flush=True)
            results.append(result)
    command = f"{parser.prog} {shlex.join(sys.argv[1:])}".strip()
    text = markdown(results, command, (perf_counter() - started) / 60)
    print(text)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "peers.md").write_text(f"# Beside others\n\n![](peers.svg)\n\n{text}")
        plot(results, options.output / "peers.svg")


if __name__ == "__main__":
    main()

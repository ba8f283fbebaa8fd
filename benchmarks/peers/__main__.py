"""Compare the time of training steps with other libraries; print tables in Markdown.

All do the same computation: first their losses are compared, then they run in turn, A B C A B C,
with the same number of threads and cores, and the shortest time of each counts.
"""

import argparse
import shlex
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.peers import IMPLEMENTATIONS
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
        "--baselines",
        nargs="+",
        choices=IMPLEMENTATIONS,
        default=list(IMPLEMENTATIONS),
        help="what to compare with",
    )
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    parser.add_argument(
        "--threads", nargs="+", type=int, default=[1, 2], help="threads and cores of each"
    )
    parser.add_argument(
        "--output", type=Path, help="folder to write the tables to, as peers.md, and peers.svg"
    )
    options = parser.parse_args()

    names = ["chainrule", *(name for name in options.baselines if name != "chainrule")]
    paths = [IMPLEMENTATIONS[name] for name in names]
    results = []
    started = perf_counter()
    for threads in options.threads:
        for workload in options.workloads:
            result = measure(workload, paths, threads, options.rounds)
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

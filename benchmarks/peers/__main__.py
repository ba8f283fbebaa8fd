"""Compare the time of a training step; prints a table in Markdown.

All peers do the same computation: first their loss curves are compared. Then they train in turn,
A B C A B C, in one process, with the same number of threads and cores. The least time of each
counts.
"""

import argparse
import os
import platform
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter

from benchmarks.threads import limit_threads, pin_to_cores

PEERS = {
    "chainrule": "chainrule_peer:Chainrule",
    "numpy": "numpy_peer:NumPy",
    "torch": "torch_peer:PyTorch",
    "jax-step": "jax_peer:JaxStep",
    "jax-scan": "jax_peer:JaxScan",
    "sklearn": "sklearn_peer:ScikitLearn",
}
EPOCHS = 10  # in one measurement
SAME_LOSS = 1e-3  # relative; float32 rounding grows over the steps of three epochs


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--workloads", nargs="+", default=["tiny", "digits", "mnist"], help="networks"
    )
    parser.add_argument(
        "--peers", nargs="+", choices=PEERS, default=list(PEERS), help="whom to compare"
    )
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    parser.add_argument("--threads", type=int, default=1, help="and cores that each may use")
    options = parser.parse_args()
    limit_threads(options.threads)
    pin_to_cores(options.threads)

    from benchmarks.workloads import WORKLOADS

    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"--workloads must be of {', '.join(WORKLOADS)}, not {', '.join(unknown)}")
    names = ["chainrule", *(name for name in options.peers if name != "chainrule")]
    print(describe_machine(options.threads), "\n")
    peers = [load(name) for name in names]
    print("| us a step |", " | ".join(peer.name for peer in peers), "|")
    print("|---|" + "---:|" * len(peers))
    for name in options.workloads:
        workload = WORKLOADS[name]
        ours, *others = compare([peer(workload) for peer in peers], options.rounds)
        cells = [f"{ours:.1f}", *(f"{other:.1f} ({other / ours:.1f}x)" for other in others)]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def compare(peers: list, rounds: int) -> list[float]:
    """Return each peer's least time of a step, in microseconds."""
    assert_same_loss({peer.name: peer.train(seed=0, epochs=3) for peer in peers})
    least = [float("inf")] * len(peers)
    for seed in range(rounds):
        for i, peer in enumerate(peers):
            started = perf_counter()
            peer.train(seed, EPOCHS)
            seconds = perf_counter() - started
            least[i] = min(least[i], 1e6 * seconds / (EPOCHS * peer.workload.steps))
    return least


def load(name: str) -> type:
    module, peer = PEERS[name].split(":")
    return getattr(import_module(f"benchmarks.peers.{module}"), peer)


def assert_same_loss(curves: dict[str, list[float]]) -> None:
    """Stop if somebody does not compute what chainrule computes."""
    ours = curves["chainrule"]
    for name, curve in curves.items():
        for epoch, (mine, other) in enumerate(zip(ours, curve, strict=True)):
            if not abs(mine - other) <= SAME_LOSS * mine:
                raise SystemExit(
                    f"{name} is not the same computation: its loss in epoch {epoch + 1} is "
                    f"{other:.6g}, chainrule's {mine:.6g}"
                )


def describe_machine(threads: int) -> str:
    packages = []
    for package in ("numba", "numpy", "torch", "jax", "scikit-learn"):
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return (
        f"{cpu_name()}, {os.cpu_count()} cores, {threads} thread{'s' * (threads > 1)}; "
        f"Python {platform.python_version()}, {', '.join(packages)}."
    )


def cpu_name() -> str:
    import llvmlite.binding

    return f"{platform.machine()} ({llvmlite.binding.get_host_cpu_name()})"


if __name__ == "__main__":
    main()

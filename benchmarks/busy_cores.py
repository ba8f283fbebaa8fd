"""Training beside programs that keep the cores busy: the default, one thread and all threads.

``python -m benchmarks.busy_cores`` prints a table. It stands apart from the suites, which want a
quiet machine. In each round, each variant trains once, in turn; a figure is the median of its
rounds.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from unittest.mock import patch

import chainrule as cr
from chainrule.cli.measurement.workloads import WORKLOADS, Workload
from chainrule.engine.thread_count import Choice, ThreadCount

NETWORKS = {
    # Of scikit-learn's data set, 569 rows of 30 features, and its estimators' batches.
    "breast cancer": Workload((30, 100, 1), cr.ReLU(), cr.BCEWithLogitsLoss(), 200, 3, 10),
    **{name: WORKLOADS[name] for name in ("digits", "mnist", "deep", "wide")},
}
SPIN = "while True: pass"


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Let so many processes compute for nothing."""
    processes = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(number)]
    try:
        time.sleep(0.2)
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


@contextmanager
def default() -> Iterator[None]:
    yield


@contextmanager
def one_thread() -> Iterator[None]:
    with cr.threads(1):
        yield


@contextmanager
def all_threads() -> Iterator[None]:
    """Share all that the planner would let several threads share, whatever it takes."""

    def choose(self: ThreadCount, batches: int) -> Choice:
        return Choice(self.most, batches, longest_wait=0.001)

    with patch.object(ThreadCount, "choose", choose):
        yield


VARIANTS = {"default": default, "one thread": one_thread, "all threads": all_threads}


def seconds(workload: Workload, epochs: int, variant: Callable) -> float:
    """Return how long a new network trains for so many epochs."""
    X, y = workload.data()
    net = workload.network()
    with variant():
        begin = time.perf_counter()
        cr.fit(
            net, X, y, loss=workload.loss, epochs=epochs, batch_size=workload.batch, progress=False
        )
        return time.perf_counter() - begin


def epochs_for(workload: Workload, length: float) -> int:
    """Return how many epochs one thread trains in so many seconds, beside nobody."""
    seconds(workload, 1, one_thread)  # compiles or loads
    epochs, taken = 1, 0.0
    while taken < length / 4:
        epochs = max(2 * epochs, int(epochs * length / max(taken, 1e-3) / 4))
        taken = seconds(workload, epochs, one_thread)
    return max(1, round(epochs * length / taken))


def main() -> None:
    """Print a row for each network and number of busy processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--busy", nargs="+", type=int, default=[0, 1, 2, 4])
    parser.add_argument("--seconds", type=float, default=2.0, help="that one thread trains alone")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"seconds, {cr.get_num_threads()} threads; the ratio is the default's to the best other")
    names = "".join(f"{variant:>13}" for variant in VARIANTS)
    print(f"{'network':14} {'busy':>4} {names}{'ratio':>8}")
    for name in options.networks:
        epochs = epochs_for(NETWORKS[name], options.seconds)
        for number in options.busy:
            taken: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
            with busy_processes(number):
                for _ in range(options.rounds):
                    for variant, manager in VARIANTS.items():
                        taken[variant].append(seconds(NETWORKS[name], epochs, manager))
            mid = {variant: median(times) for variant, times in taken.items()}
            ratio = mid["default"] / min(mid["one thread"], mid["all threads"])
            figures = "".join(f"{mid[variant]:13.3f}" for variant in VARIANTS)
            print(f"{name:14} {number:4} {figures}{ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()

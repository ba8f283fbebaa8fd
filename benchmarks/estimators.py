"""Whole fits of chainrule's classifier and scikit-learn's, in turn, at the defaults of both.

``python -m benchmarks.estimators --threads 1``

X is float32 in both. The shortest of several fits counts, per epoch where they end at different
ones. "python" is what a fit of chainrule's spends outside compiled code.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple
from unittest.mock import patch

from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import chainrule as cr
from benchmarks.peers.sklearn_estimators import Task, digits, mnist
from chainrule.cli.measurement.threads import pin_to_cores
from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import PreparedRun
from chainrule.interop.sklearn import NetworkClassifier


class Fit(NamedTuple):
    """A fit: its times in seconds, its epochs, and the loss of the last one."""

    seconds: float
    python: float
    epochs: int
    loss: float


def breast_cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return Task(StandardScaler().fit_transform(X).astype("float32"), y, epochs=200)


@contextmanager
def compiled_seconds() -> Iterator[list[float]]:
    """Yield a list to which the duration of each run of compiled code is added."""
    durations = []

    def timed(run):
        def run_and_time(*arguments, **options):
            begin = perf_counter()
            done = run(*arguments, **options)
            durations.append(perf_counter() - begin)
            return done

        return run_and_time

    kinds = PreparedRun, BatchRun
    with ExitStack() as patches:
        for kind in kinds:
            patches.enter_context(patch.object(kind, "__call__", timed(kind.__call__)))
        yield durations


def fit(kind: Callable, task: Task, early_stopping: bool) -> Fit:
    model = kind(random_state=0, early_stopping=early_stopping)
    with compiled_seconds() as compiled:
        begin = perf_counter()
        model.fit(task.X, task.y)
        seconds = perf_counter() - begin
    return Fit(seconds, seconds - sum(compiled), model.n_iter_, model.loss_)


def compare(task: Task, rounds: int, *, early_stopping: bool) -> list[Fit]:
    """Return the shortest fit of chainrule's, and the shortest of scikit-learn's."""
    NetworkClassifier(max_iter=1, early_stopping=early_stopping).fit(task.X, task.y)  # compiles
    kinds = NetworkClassifier, MLPClassifier
    pairs = [[fit(kind, task, early_stopping) for kind in kinds] for _ in range(rounds)]
    return [min(fits) for fits in zip(*pairs, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mnist", type=Path, help="an .npz file, as for peers.sklearn_estimators")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    pin_to_cores(given.threads)
    tasks = {"digits": digits(None), "breast cancer": breast_cancer()}
    if given.mnist is not None:
        tasks["MNIST"] = mnist(given.mnist)
    print("| data | early stopping | epochs | loss | chainrule | python | scikit-learn | ratio |")
    print("|---|---|---|---|---:|---:|---:|---:|")
    with threadpool_limits(given.threads), cr.threads(given.threads):
        for name, task in tasks.items():
            for early_stopping in (False, True):
                own, theirs = compare(task, given.rounds, early_stopping=early_stopping)
                ratio = theirs.seconds / theirs.epochs / (own.seconds / own.epochs)
                print(
                    f"| {name} | {'yes' if early_stopping else 'no'} "
                    f"| {own.epochs}, {theirs.epochs} | {own.loss:.4f}, {theirs.loss:.4f} "
                    f"| {1e3 * own.seconds:.1f} ms | {1e3 * own.python:.1f} ms "
                    f"| {1e3 * theirs.seconds:.1f} ms | {ratio:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

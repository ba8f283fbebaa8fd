"""Fit chainrule's estimators and scikit-learn's in turn: scores side by side, and ratios of times.

``python -m benchmarks.peers.sklearn_estimators --data digits --threads 1``

Both get the same rows in float32, the same hyper-parameters, scikit-learn's defaults, and the same
number of epochs; each seed has a split of its own into three quarters to fit and one to score. With
``--dtype float64``, as scikit-learn's own data sets come, scikit-learn computes in float64, and
chainrule in float32 still: what changing the import brings.
"""

import argparse
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.stats import ttest_rel
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

import chainrule as cr
from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor


@dataclass(frozen=True)
class Task:
    """Data, and how long to fit."""

    X: np.ndarray
    y: np.ndarray
    epochs: int
    is_classification: bool = True


def digits(path):
    X, y = load_digits(return_X_y=True)
    return Task((X / 16).astype(np.float32), y, epochs=100)


def mnist(path):
    if path is None:
        raise SystemExit(
            "mnist needs --path to an .npz file with images of shape (n, 28, 28), and labels"
        )
    with np.load(path) as file:
        X, y = file["images"], file["labels"]
    X = X.reshape(len(X), -1).astype(np.float32)
    return Task(X / 255, y.astype(np.int64), epochs=20)


def tabular(path):
    """Return a table of the size and kind of California housing: skewed columns, bumps by place."""
    rng, rows = np.random.default_rng(0), 20640
    skewed = rng.lognormal(0.0, 0.5, (rows, 6))
    place = rng.uniform(-1, 1, (rows, 2))
    centres = np.array([[0.5, -0.5], [-0.6, 0.4]])
    bumps = sum(np.exp(-8 * ((place - centre) ** 2).sum(axis=1)) for centre in centres)
    y = np.log(skewed[:, 0]) + 0.3 * skewed[:, 1] / skewed[:, 2] + 2 * bumps
    y += 0.3 * rng.standard_normal(rows)
    X = np.hstack([skewed, place])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return Task(X.astype(np.float32), (y - y.mean()) / y.std(), 20, is_classification=False)


TASKS = {"digits": digits, "mnist": mnist, "tabular": tabular}


def compare(task, threads, seeds):
    """Return scores and seconds, each of shape (seeds, 2): chainrule's, and scikit-learn's."""
    kinds = (NetworkRegressor, MLPRegressor)
    if task.is_classification:
        kinds = (NetworkClassifier, MLPClassifier)
    scores, seconds = np.empty((seeds, 2)), np.empty((seeds, 2))
    warnings.simplefilter("ignore", ConvergenceWarning)  # all fit as long
    options = {"max_iter": task.epochs, "n_iter_no_change": np.inf}
    stratify = task.y if task.is_classification else None
    kinds[0](max_iter=1).fit(task.X, task.y)  # compiles, or loads
    with threadpool_limits(threads), cr.threads(threads):
        for seed in range(seeds):
            X, X_test, y, y_test = train_test_split(
                task.X, task.y, random_state=seed, stratify=stratify
            )
            for position, kind in enumerate(kinds):
                model = kind(random_state=seed, **options)
                started = perf_counter()
                model.fit(X, y)
                seconds[seed, position] = perf_counter() - started
                scores[seed, position] = model.score(X_test, y_test)
    return scores, seconds


def report(name, threads, scores, seconds):
    """Print a row of the table."""
    paired = ttest_rel(scores[:, 0], scores[:, 1])
    low, high = paired.confidence_interval(0.95)
    difference = np.mean(scores[:, 0] - scores[:, 1])
    own, theirs = np.median(seconds, axis=0)
    ratio = np.median(seconds[:, 1] / seconds[:, 0])
    print(
        f"| {name} | {threads} | {scores[:, 0].mean():.4f} | {scores[:, 1].mean():.4f} "
        f"| {difference:+.4f} ({low:+.4f} to {high:+.4f}) | {own:.3f} s | {theirs:.3f} s "
        f"| {ratio:.1f} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=TASKS, default=["digits", "tabular"])
    parser.add_argument("--path", type=Path, help="the .npz file of mnist")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="of X")
    given = parser.parse_args()
    print("| data | threads | chainrule | scikit-learn | difference (95 %) | fit | fit | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.data:
        task = TASKS[name](given.path)
        task = replace(task, X=task.X.astype(given.dtype))
        for threads in given.threads:
            report(name, threads, *compare(task, threads, given.seeds))


if __name__ == "__main__":
    main()

"""Time a grid search over 18 fits of the digits: in turn, in two threads, and in two processes.

``python -m benchmarks.searches`` starts a new Python for each, and each does the search twice: the
second time, processes have been started, and code is loaded. A classifier that does nothing shows
what processes cost by themselves.
"""

import argparse
import sys
import warnings
from statistics import median
from subprocess import run
from time import perf_counter

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV

from benchmarks.peers.report import digits, table

KINDS = {  # joblib's backend and number of workers
    "in turn": ("sequential", 1),
    "threads": ("threading", 2),
    "processes": ("loky", 2),
    "processes, DummyClassifier": ("loky", 2),
}


def search(kind):
    """Print the seconds of the first search, and of the second."""
    from chainrule.interop.sklearn import NetworkClassifier

    warnings.simplefilter("ignore")  # none of the fits converges
    X, y = load_digits(return_X_y=True)
    model = NetworkClassifier(max_iter=20, random_state=0)
    grid = {"alpha": [1e-4, 1e-3, 1e-2], "learning_rate_init": [1e-3, 1e-2]}
    if "Dummy" in kind:
        model, grid = DummyClassifier(), {"random_state": list(range(6))}
    backend, workers = KINDS[kind]
    for _ in range(2):
        started = perf_counter()
        with joblib.parallel_config(backend=backend, n_jobs=workers):
            GridSearchCV(model, grid, cv=3).fit((X / 16).astype(np.float32), y)
        print(perf_counter() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kind", choices=KINDS, help="do the one search, in this process")
    options = parser.parse_args()
    if options.kind:
        search(options.kind)
        return
    seconds = {kind: [] for kind in KINDS}
    for _ in range(options.rounds):
        for kind, found in seconds.items():
            command = [sys.executable, "-m", "benchmarks.searches", "--kind", kind]
            done = run(command, check=True, capture_output=True, text=True)
            found.append([float(line) for line in done.stdout.split()])
    rows = [
        [kind, *(digits(median(times)) for times in zip(*found, strict=True))]
        for kind, found in seconds.items()
    ]
    print(table(["median, s", "first search", "second search"], rows))


if __name__ == "__main__":
    main()

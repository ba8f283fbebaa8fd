"""Compare `chainrule train` on tables with scikit-learn's MLP, and settings with one another.

Both with their defaults, on the same splits, standardized by the rows to train on; scikit-learn,
which has no early stopping by default, is given chainrule's validation rows to train on, too. Five
seeds each: the mean of the validation loss, which settings are chosen by, and of the test's score
(accuracy or R2), which they are not.

    python -m benchmarks.peers.tables
    python -m benchmarks.peers.tables --lr 1e-3 5e-3 --weight-decay 0.01 0.1
"""

import argparse
import contextlib
import csv
import io
import itertools
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np

from chainrule import cli
from chainrule.cli.network import split

SEEDS = range(5)
SETTINGS = ("lr", "weight-decay", "epochs", "hidden")


def data_sets():
    from sklearn import datasets

    for name in ("iris", "wine", "breast_cancer", "diabetes"):
        yield name, *getattr(datasets, f"load_{name}")(return_X_y=True)
    yield (
        "friedman",
        *datasets.make_friedman1(n_samples=20640, n_features=8, noise=1.0, random_state=0),
    )


def write(path, X, y):
    names = [f"x{i}" for i in range(X.shape[1])]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[*names, "y"], *np.column_stack([X.astype(object), y])])


def of_chainrule(path, task, seed, settings):
    out = io.StringIO()
    arguments = ["train", str(path), "--target", "y", "--task", task, "--seed", str(seed), "--json"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        if cli.main([*arguments, *settings]) != 0:
            raise RuntimeError(f"chainrule {arguments} failed.")
    report = json.loads(out.getvalue())
    test = report["test"]
    return report["validation_loss"], test.get("accuracy", test.get("r2")), report["epochs"]


def of_sklearn(X, y, task, seed):
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    test, validation, training = split(len(X), seed)
    rows = np.concatenate([training, validation])
    if task == "classification":
        model = MLPClassifier(random_state=seed)
    else:
        y = (y - y[rows].mean()) / y[rows].std()
        model = MLPRegressor(random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged within its default of 200 epochs
        return make_pipeline(StandardScaler(), model).fit(X[rows], y[rows]).score(X[test], y[test])


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.tables", description=__doc__)
    for name in SETTINGS:
        parser.add_argument(f"--{name}", nargs="+", default=[None])
    parser.add_argument("--data", nargs="+", help="names, such as iris")
    options = parser.parse_args()
    values = [getattr(options, name.replace("-", "_")) for name in SETTINGS]
    print("| data | settings | validation loss | test | epochs | scikit-learn's test |")
    print("|---|---|---|---|---|---|", flush=True)
    for name, X, y in data_sets():
        if options.data and name not in options.data:
            continue
        task = "classification" if y.dtype.kind == "i" else "regression"
        theirs = np.mean([of_sklearn(X, y, task, seed) for seed in SEEDS])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{name}.csv")
            write(path, X, y)
            for chosen in itertools.product(*values):
                given = [f"--{s}={v}" for s, v in zip(SETTINGS, chosen, strict=True) if v]
                runs = [of_chainrule(path, task, seed, given) for seed in SEEDS]
                loss, score, epochs = np.mean(runs, axis=0)
                print(
                    f"| {name} | {' '.join(given) or 'defaults'} | {loss:.4f} | {score:.4f} "
                    f"| {epochs:.0f} | {theirs:.4f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

"""A big table of vectors, of which each batch takes a few rows, with SGD, beside PyTorch's.

``python -m benchmarks.peers.tables_of_codes`` trains ``Embedding(1_000_000, 16)`` with a linear
layer behind it, in turn: chainrule's ``fit``; the same with a momentum, which changes all rows;
PyTorch with ``nn.Embedding(sparse=True)``, and with a dense gradient. The shortest of several
rounds counts.
"""

import argparse
from time import perf_counter

import numpy as np

import chainrule as cr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table")
    parser.add_argument("--columns", type=int, default=16)
    parser.add_argument("--codes", type=int, default=4, help="in a row of the batch")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    steps = {"sparse": 200, "dense": 8}
    X = rng.integers(0, options.rows, (options.batch * steps["sparse"], options.codes))
    y = rng.normal(size=(len(X), 1)).astype("float32")
    cr.set_num_threads(options.threads)
    ways = {
        "chainrule, SGD": (of_chainrule(options, X, y, 0.0), steps["sparse"]),
        "chainrule, SGD with momentum": (of_chainrule(options, X, y, 0.9), steps["dense"]),
        **of_torch(options, X, y, steps),
    }
    for way, count in ways.values():  # compiles
        way(count)
    least = dict.fromkeys(ways, np.inf)
    for _ in range(options.rounds):
        for name, (way, count) in ways.items():
            least[name] = min(least[name], way(count))
    print(f"{options.threads} threads; us a step:")
    for name, seconds in least.items():
        print(f"| {name} | {seconds * 1e6:,.0f} |")


def of_chainrule(options, X, y, momentum):
    """Return what trains so many steps, and returns the seconds of each."""
    table = cr.Embedding(options.rows, options.columns)
    layers = table, cr.Flatten(), cr.Linear(options.codes * options.columns, 1)
    net, optimizer = cr.Sequential(*layers, seed=0), cr.SGD(0.01, momentum)
    loss, batch = cr.MSELoss(), options.batch

    def train(steps):
        rows = steps * batch
        given = {"loss": loss, "optimizer": optimizer, "batch_size": batch, "progress": False}
        history = cr.fit(net, X[:rows], y[:rows], epochs=2, **given)
        return min(history.seconds) / steps

    return train


def of_torch(options, X, y, steps):
    """Return the same of PyTorch, if it is installed."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(options.threads)
    loss, inputs, targets = torch.nn.MSELoss(), torch.from_numpy(X), torch.from_numpy(y)

    def of(sparse):
        net = torch.nn.Sequential(
            torch.nn.Embedding(options.rows, options.columns, sparse=sparse),
            torch.nn.Flatten(),
            torch.nn.Linear(options.codes * options.columns, 1),
        )
        optimizer = torch.optim.SGD(net.parameters(), 0.01)

        def train(count):
            orders = torch.randperm(count * options.batch).reshape(count, options.batch)
            started = perf_counter()
            for rows in orders:
                optimizer.zero_grad()
                loss(net(inputs[rows]), targets[rows]).backward()
                optimizer.step()
            return (perf_counter() - started) / count

        return train

    return {
        "PyTorch, SGD, sparse=True": (of(True), steps["sparse"]),
        "PyTorch, SGD": (of(False), steps["dense"]),
    }


if __name__ == "__main__":
    main()

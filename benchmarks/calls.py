"""Calls from Python with a small network, as control and reinforcement learning make them.

``python -m benchmarks.calls`` prints a table: 4-32-32-2 with tanh, squared error, Adam, float32.
All take their turn, A B C A B C; the shortest time counts.
"""

import itertools
from collections.abc import Callable
from time import perf_counter

import numpy as np

import chainrule as cr

SIZES = 4, 32, 32, 2
BATCHES = 1, 8, 32
CALLS, ROUNDS = 15, 1500  # calls so few that other programs hardly come between
LEARNING_RATE = 1e-6


class ByHand:
    """The same network in NumPy."""

    def __init__(self, net: cr.Sequential) -> None:
        self.params = net.params.copy()
        views = net.views(self.params).items()
        self.weights = [view for name, view in views if "weight" in name]
        self.biases = [view for name, view in views if "bias" in name]
        self.m, self.v, self.steps = np.zeros_like(self.params), np.zeros_like(self.params), 0

    def predict(self, x):
        (w1, w2, w3), (b1, b2, b3) = self.weights, self.biases
        return np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3

    def step(self, x, y):
        (w1, w2, w3), (b1, b2, b3) = self.weights, self.biases
        a1 = np.tanh(x @ w1 + b1)
        a2 = np.tanh(a1 @ w2 + b2)
        error = a2 @ w3 + b3 - y
        d3 = error * (2 / error.size)
        d2 = (d3 @ w3.T) * (1 - a2 * a2)
        d1 = (d2 @ w2.T) * (1 - a1 * a1)
        parts = x.T @ d1, d1.sum(0), a1.T @ d2, d2.sum(0), a2.T @ d3, d3.sum(0)
        self.update(np.concatenate([part.ravel() for part in parts]))
        return float((error * error).mean())

    def update(self, gradient):
        self.steps += 1
        self.m += 0.1 * (gradient - self.m)
        self.v += 0.001 * (gradient * gradient - self.v)
        rate = LEARNING_RATE * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        self.params -= rate * self.m / (np.sqrt(self.v) + 1e-8)


def calls(rows: int) -> dict[str, Callable[[], object]]:
    """Return what to call, for a batch of so many rows."""
    linear = [cr.Linear(a, b) for a, b in itertools.pairwise(SIZES)]
    net = cr.Sequential(linear[0], cr.Tanh(), linear[1], cr.Tanh(), linear[2], seed=0)
    loss, optimizer, numpy = cr.MSELoss(), cr.Adam(LEARNING_RATE), ByHand(net)
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((rows, size), "float32") for size in (SIZES[0], SIZES[-1]))
    train_step, evaluate = cr.train_step(net, loss, optimizer), cr.value_and_grad(net, loss)
    twin, cross_entropy = net.copy(), cr.CrossEntropyLoss()
    classify = cr.train_step(twin, cross_entropy, cr.Adam(LEARNING_RATE))
    others = net.layers[1:]
    two = cr.Sequential(
        cr.Inputs(cr.Linear(2, 32), cr.Linear(2, 32), combine="sum"), *others, seed=0
    )
    step_of_two, x_of_two = (
        cr.train_step(two, loss, cr.Adam(LEARNING_RATE)),
        tuple(map(np.ascontiguousarray, (x[:, :2], x[:, 2:]))),
    )
    labels, weights = rng.integers(0, SIZES[-1], rows), np.ones(rows, "float32")
    theta, vector = net.params.copy(), net.params.copy()

    def step():
        output = net.forward(x)
        value, d_output = loss(output, y)
        net.backward(d_output)
        optimizer.step(net)
        return value

    for _ in range(3):
        np.testing.assert_allclose(numpy.predict(x), net.predict(x), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(numpy.step(x, y), step(), rtol=1e-4)
    return {
        "NumPy: a step by hand": lambda: numpy.step(x, y),
        "forward, loss, backward, step": step,
        "train_step": lambda: train_step(x, y),
        "train_step with sample_weight": lambda: train_step(x, y, weights),
        "train_step, cross-entropy": lambda: classify(x, labels),
        "train_step, two inputs": lambda: step_of_two(x_of_two, y),
        "NumPy: the output by hand": lambda: numpy.predict(x),
        "predict": lambda: net.predict(x),
        "predict, two inputs": lambda: two.predict(x_of_two),
        "value_and_grad": lambda: evaluate(theta, x, y),
        "hvp": lambda: cr.hvp(net, loss, x, y, vector),
        "jacobian by x": lambda: cr.jacobian(net, x, "x"),
    }


def measure(rows: int) -> dict[str, float]:
    """Return the shortest time of each call, in microseconds."""
    chosen = calls(rows)
    shortest = dict.fromkeys(chosen, np.inf)
    for _ in range(ROUNDS):
        for name, call in chosen.items():
            started = perf_counter()
            for _ in range(CALLS):
                call()
            shortest[name] = min(shortest[name], (perf_counter() - started) / CALLS * 1e6)
    return shortest


def main() -> None:
    """Print the table."""
    cr.set_num_threads(1)
    columns = [measure(rows) for rows in BATCHES]
    print("| us | " + " | ".join(f"batch {rows}" for rows in BATCHES) + " |")
    print("|---|" + "---:|" * len(BATCHES))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{column[name]:.1f}" for column in columns) + " |")


if __name__ == "__main__":
    main()

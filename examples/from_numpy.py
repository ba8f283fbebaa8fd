"""From NumPy, part by part
========================

A network written by hand in NumPy becomes chainrule's, part by part, and the time after each.

``python examples/from_numpy.py`` trains 784-128-64-10; other sizes are arguments: ``64 64 32 10``.
"""

import sys
from itertools import pairwise
from time import perf_counter

import numpy as np

import chainrule as cr

SIZES, BATCH, LR = (784, 128, 64, 10), 128, 1e-3


# The network as one may have written it: ReLU between the layers, and labels to predict.


def forward_numpy(ws, bs, x):
    values = [x]
    for w, b in zip(ws[:-1], bs[:-1], strict=True):
        values.append(np.maximum(values[-1] @ w + b, 0))
    return values, values[-1] @ ws[-1] + bs[-1]


def loss_numpy(z, labels):
    rows = np.arange(len(labels))
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    value = -np.log(p[rows, labels]).mean()
    p[rows, labels] -= 1
    return value, p / len(labels)


def backward_numpy(ws, values, dz):
    dws, dbs = [], []
    for i in reversed(range(len(ws))):
        dws.insert(0, values[i].T @ dz)
        dbs.insert(0, dz.sum(axis=0))
        if i > 0:
            dz = dz @ ws[i].T * (values[i] > 0)
    return dws, dbs


def update_numpy(params, grads, means, squares, step):
    for w, dw, m, s in zip(params, grads, means, squares, strict=True):
        m += 0.1 * (dw - m)
        s += 0.001 * (dw * dw - s)
        w -= LR * m / (1 - 0.9**step) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8)


# Its parts with chainrule.ops.


def loss(z, labels):
    return cr.ops.cross_entropy(z, labels)


def update(params, grads, means, squares, step):
    cr.ops.adam_update(params, grads, means, squares, step=step, lr=LR)


def forward(ws, bs, x):
    values = [x]
    for w, b in zip(ws[:-1], bs[:-1], strict=True):
        values.append(cr.ops.matmul(values[-1], w, b, "relu"))
    return values, cr.ops.linear(values[-1], ws[-1], bs[-1])


def backward(ws, values, dz):
    dws, dbs = [], []
    for i in reversed(range(len(ws))):
        dx, dw, db = cr.ops.linear_backward(dz, values[i], ws[i] if i > 0 else None)
        dws.insert(0, dw)
        dbs.insert(0, db)
        if i > 0:
            dz = cr.ops.relu_backward(dx, values[i])
    return dws, dbs


class ByHand:
    """A network as lists of arrays, trained by four functions."""

    def __init__(self, weights, biases, forward, loss, backward, update):
        self.ws, self.bs = ([a.copy() for a in arrays] for arrays in (weights, biases))
        self.means, self.squares = ([np.zeros_like(a) for a in self.ws + self.bs] for _ in range(2))
        self.forward, self.loss, self.backward, self.update = forward, loss, backward, update
        self.step = 0

    def train(self, X, y):
        """Take a step for each batch; return the loss before it."""
        losses = []
        for x, labels in zip(X, y, strict=True):
            self.step += 1
            values, z = self.forward(self.ws, self.bs, x)
            value, dz = self.loss(z, labels)
            dws, dbs = self.backward(self.ws, values, dz)
            self.update(self.ws + self.bs, dws + dbs, self.means, self.squares, self.step)
            losses.append(value)
        return losses


class Layers:
    """The same as layers, a loss and an optimizer, and all steps in one call."""

    def __init__(self, weights, biases):
        layers = []
        for w in weights:
            layers += [cr.Linear(*w.shape), cr.ReLU()]
        self.net = cr.Sequential(*layers[:-1])
        pairs = zip(weights, biases, strict=True)
        self.net.params = np.concatenate([array.ravel() for pair in pairs for array in pair])
        self.optimizer = cr.Adam(LR)

    def train(self, X, y):
        """Take a step for each batch; return the loss before it."""
        history = cr.fit(
            self.net,
            X.reshape(-1, X.shape[-1]),
            y.reshape(-1),
            loss=cr.CrossEntropyLoss(),
            optimizer=self.optimizer,
            epochs=1,
            batch_size=BATCH,
            shuffle=False,
            progress=False,
        )
        return history.batch_loss


def main(sizes=SIZES, steps=50, rounds=7):
    """Print a table; return, by stage, the losses and the seconds a step."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, i**-0.5, (i, o)).astype("f") for i, o in pairwise(sizes)]
    biases = [np.zeros(o, "f") for o in sizes[1:]]
    X = rng.normal(size=(steps, BATCH, sizes[0])).astype("f")
    y = (X @ rng.normal(size=(sizes[0], sizes[-1])).astype("f")).argmax(axis=-1)

    functions = [forward_numpy, loss_numpy, backward_numpy, update_numpy]
    parts = (1, loss), (3, update), (0, forward), (2, backward)
    stages = {"NumPy": ByHand(weights, biases, *functions)}
    for place, part in parts:
        functions[place] = part
        stages[f"+ {part.__name__}"] = ByHand(weights, biases, *functions)
    stages["all of it"] = Layers(weights, biases)

    losses = {}
    for name, stage in stages.items():
        losses[name] = stage.train(X, y)
        np.testing.assert_allclose(losses[name], losses["NumPy"], rtol=1e-4)

    seconds = dict.fromkeys(stages, np.inf)
    for _ in range(rounds):
        for name, stage in stages.items():
            started = perf_counter()
            stage.train(X, y)
            seconds[name] = min(seconds[name], (perf_counter() - started) / steps)
    print("-".join(map(str, sizes)), f"batch {BATCH}, us a step")
    for name in stages:
        print(f"{name:10} {1e6 * seconds[name]:7.0f}   {seconds['NumPy'] / seconds[name]:4.1f} x")
    return losses, seconds


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SIZES)

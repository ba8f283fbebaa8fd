"""The networks that everything is measured on: small, with fixed data."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

import chainrule as cr


@dataclass(frozen=True)
class Workload:
    """Layer sizes, the activation between them, a loss, and how much data comes in which batches.

    All batches are full, so that a peer that compiles for one shape need not do it twice.
    """

    sizes: tuple[int, ...]
    activation: cr.layers.Layer
    loss: cr.losses.Loss
    batch: int
    steps: int  # an epoch

    @property
    def rows(self) -> int:
        return self.batch * self.steps

    def data(self):
        """Return noise as X, and a function of it, which can be learned, as y."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.rows, self.sizes[0]), np.float32)
        y = np.sin(X @ rng.standard_normal((self.sizes[0], self.sizes[-1]), np.float32))
        return X, np.argmax(y, axis=1) if self.loss.takes_labels else y

    def network(self, dtype: str = "float32") -> cr.Sequential:
        layers = []
        for inputs, outputs in pairwise(self.sizes):
            layers += [cr.Linear(inputs, outputs), self.activation]
        return cr.Sequential(*layers[:-1], seed=0, dtype=dtype)


WORKLOADS = {
    "tiny": Workload((4, 32, 32, 2), cr.Tanh(), cr.MSELoss(), batch=32, steps=128),
    "digits": Workload((64, 64, 32, 10), cr.ReLU(), cr.CrossEntropyLoss(), batch=64, steps=28),
    "mnist": Workload((784, 128, 64, 10), cr.ReLU(), cr.CrossEntropyLoss(), batch=128, steps=100),
}

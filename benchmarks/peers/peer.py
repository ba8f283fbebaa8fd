"""What a peer is: somebody who trains a workload from given parameters, with Adam at lr 1e-3."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from benchmarks.workloads import Workload

LEARNING_RATE, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-8


class Peer(ABC):
    """One training that can be gone on with; it begins with chainrule's first parameters."""

    name: str

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.X, self.y = workload.data()
        self.start(list(workload.network().parameters().values()))

    @abstractmethod
    def start(self, parameters: list[np.ndarray]) -> None:
        """Build the network; ``parameters`` are weight and bias of each layer in turn."""

    @abstractmethod
    def train(self, seed: int, epochs: int) -> list[float]:
        """Train on the batches of ``self.orders(seed, epochs)``; return each epoch's mean loss."""

    def orders(self, seed: int, epochs: int) -> Iterator[np.ndarray]:
        """Yield each epoch's batches, an array of rows of shape (steps, batch), as ``fit`` does."""
        for epoch in range(epochs):
            order = np.arange(self.workload.rows)
            np.random.default_rng((seed, epoch)).shuffle(order)
            yield order.reshape(self.workload.steps, self.workload.batch)

"""The interface of an implementation: it trains a workload with Adam, from given parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from chainrule.cli.measurement.workloads import Workload
from chainrule.engine.orders import EpochOrders

# A smaller eps than usual: scikit-learn leaves it out of the bias correction, which would make a
# difference where gradients are small.
LEARNING_RATE, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-10


class Implementation:
    """A training of a workload, which starts from chainrule's initial parameters."""

    name: str

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.X, self.y = workload.data()
        self.start(workload.network().parameters())

    @staticmethod
    def refusal(workload: Workload) -> str:
        """Return why it cannot run a workload; an empty string if it can."""
        return ""

    @staticmethod
    def use_threads(threads: int) -> None:
        """Set the number of threads, where the environment variables do not."""

    def start(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Build the network with parameters by name, such as ``"0.weight"``."""
        raise NotImplementedError

    def run(self, seed: int) -> list[float]:
        """Run what is timed; return results that must be equal for all implementations."""
        if self.workload.updates:
            return self.train(seed, self.workload.epochs)
        return self.gradient(self.workload.epochs)

    def train(self, seed: int, epochs: int) -> list[float]:
        """Train on the batches of ``self.orders(seed, epochs)``; return each epoch's mean loss."""
        raise NotImplementedError

    def gradient(self, times: int) -> list[float]:
        """Compute the loss of all rows and its gradient by the parameters, ``times`` times.

        Return the loss and the gradient's Euclidean norm.
        """
        raise NotImplementedError

    def orders(self, seed: int, epochs: int) -> Iterator[Any]:
        """Yield each epoch's batches, an array of rows of shape (steps, batch), as ``fit`` does.

        None stands for one batch of all rows. ``X[batches]`` is an array of batches in both cases,
        and a view for None.
        """
        orders = EpochOrders(self.workload.rows, seed)
        for epoch in range(epochs):
            if self.workload.full_batch:
                yield None
            else:
                order = orders.epochs(epoch, 1)
                yield order.reshape(self.workload.steps, self.workload.batch)

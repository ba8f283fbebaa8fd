"""What a peer is: somebody who trains a workload from given parameters, with Adam at lr 1e-3."""

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from chainrule.cli.measurement.workloads import Workload
from chainrule.engine.orders import epoch_orders

# A smaller eps than is usual: scikit-learn leaves it out of the correction for the start at 0,
# which would be seen where gradients are small.
LEARNING_RATE, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-10


class Peer:
    """One training that can be gone on with; it begins with chainrule's first parameters."""

    name: str

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.X, self.y = workload.data()
        self.start(list(workload.network().parameters().values()))

    @staticmethod
    def refusal(workload: Workload) -> str:
        """Return why it cannot do a workload; nothing if it can."""
        return ""

    @staticmethod
    def use_threads(threads: int) -> None:
        """Set the number of threads, where the environment variables do not."""

    def start(self, parameters: list[NDArray[Any]]) -> None:
        """Build the network; ``parameters`` are weight and bias of each layer in turn."""
        raise NotImplementedError

    def run(self, seed: int) -> list[float]:
        """Do what one measurement times, and return what must be the same for all peers."""
        if self.workload.updates:
            return self.train(seed, self.workload.epochs)
        return self.gradient(self.workload.epochs)

    def train(self, seed: int, epochs: int) -> list[float]:
        """Train on the batches of ``self.orders(seed, epochs)``; return each epoch's mean loss."""
        raise NotImplementedError

    def gradient(self, times: int) -> list[float]:
        """Compute the loss of all rows and its gradient by the parameters, again and again.

        Return the loss and the gradient's Euclidean norm.
        """
        raise NotImplementedError

    def orders(self, seed: int, epochs: int) -> Iterator[Any]:
        """Yield each epoch's batches, an array of rows of shape (steps, batch), as ``fit`` does.

        None stands for one batch of all rows. ``X[batches]`` is an array of batches either way;
        for None it is a view.
        """
        for epoch in range(epochs):
            if self.workload.full_batch:
                yield None
            else:
                order = epoch_orders(self.workload.rows, epoch, 1, seed=seed)
                yield order.reshape(self.workload.steps, self.workload.batch)

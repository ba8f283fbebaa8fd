"""The workloads: networks, losses and data to measure on."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule.layers.layer import Element, Layer
from chainrule.losses import OutputLoss


@dataclass(frozen=True)
class Workload:
    """Layer sizes, the activation between them, a loss, and the numbers of rows and batches.

    All batches are full, so that libraries that compile for a shape compile once. If an epoch is
    one step, the batch is all the data, and nothing is shuffled or gathered.
    """

    sizes: tuple[int, ...]
    activation: Layer
    loss: OutputLoss
    batch: int
    steps: int  # an epoch
    epochs: int  # in one measurement
    dtype: str = "float32"
    updates: bool = True  # or value and gradient only
    from_python: bool = False  # whether Python gives each batch, in a loop of its own

    @property
    def rows(self) -> int:
        return self.batch * self.steps

    @property
    def full_batch(self) -> bool:
        return self.steps == 1

    @property
    def parameters(self) -> int:
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))

    @property
    def flops(self) -> int:
        """Of a step's matrix products: outputs, and gradients by weights and inputs.

        The gradient by the network's input is not needed.
        """
        products = [inputs * outputs for inputs, outputs in pairwise(self.sizes)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    def data(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return noise as X, and a function of it, which can be learned, as y."""
        rng = np.random.default_rng(0)
        dtype: Any = self.dtype
        X = rng.standard_normal((self.rows, self.sizes[0]), dtype)
        y = np.sin(X @ rng.standard_normal((self.sizes[0], self.sizes[-1]), dtype))
        if self.loss.takes_labels:
            return X, np.argmax(y, axis=1)
        if isinstance(self.loss, cr.BCEWithLogitsLoss):
            return X, (y > 0).astype(self.dtype)
        return X, y

    def network(self) -> cr.Sequential:
        layers: list[Element] = []
        for inputs, outputs in pairwise(self.sizes):
            layers += [cr.Linear(inputs, outputs), self.activation]
        return cr.Sequential(*layers[:-1], seed=0, dtype=self.dtype)


TANH, RELU = cr.Tanh(), cr.ReLU()
SQUARES, CLASSES, YES_OR_NO = cr.MSELoss(), cr.CrossEntropyLoss(), cr.BCEWithLogitsLoss()

WORKLOADS = {
    "tiny": Workload((4, 32, 32, 2), TANH, SQUARES, batch=32, steps=128, epochs=40),
    "digits": Workload((64, 64, 32, 10), RELU, CLASSES, batch=64, steps=28, epochs=40),
    "mnist": Workload((784, 128, 64, 10), RELU, CLASSES, batch=128, steps=100, epochs=10),
    # After SimpleChains.jl's article on a small network that learns the matrix exponential.
    "expm": Workload((4, 32, 16, 4), TANH, SQUARES, batch=200, steps=1, epochs=1000),
    # SimpleChains.jl's README, there in float64.
    "sc24": Workload(
        (24, 8, 2), TANH, SQUARES, batch=200, steps=1, epochs=2000, dtype="float64", updates=False
    ),
    "sc24-float32": Workload(
        (24, 8, 2), TANH, SQUARES, batch=200, steps=1, epochs=2000, updates=False
    ),
    # Each batch comes from outside, as in control: a step is called from Python.
    **{
        f"loop-{batch}": Workload(
            (4, 32, 32, 2), TANH, SQUARES, batch, steps=128, epochs=20, from_python=True
        )
        for batch in (1, 8, 32)
    },
    "deep": Workload((128,) * 21, RELU, SQUARES, batch=64, steps=16, epochs=10),
    "tabular": Workload((30, 256, 256, 1), RELU, YES_OR_NO, batch=512, steps=16, epochs=10),
    "wide": Workload((1024,) * 4, RELU, SQUARES, batch=256, steps=8, epochs=6),
    "large": Workload((4096,) * 4, RELU, SQUARES, batch=1024, steps=2, epochs=2),
}

SMALL = ("tiny", "digits", "mnist")  # where a call from Python counts
MEDIUM = tuple(  # below a second
    name for name, workload in WORKLOADS.items() if name != "large" and not workload.from_python
)

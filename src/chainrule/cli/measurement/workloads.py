"""The workloads: networks, losses and data to measure on."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule.layers.layer import Layer
from chainrule.losses import OutputLoss
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder


@dataclass(frozen=True)
class Workload:
    """The shape of an input, layers, a loss, and the numbers of rows and batches.

    All batches are full, so that libraries that compile for a shape compile once. If an epoch is
    one step, the batch is all the data, and nothing is shuffled or gathered.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]  # the last one is linear
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
    def is_perceptron(self) -> bool:
        """Whether there are only linear layers, and one activation between all of them."""
        linear, between = self.layers[::2], self.layers[1::2]
        return all(isinstance(layer, cr.Linear) for layer in linear) and len(set(between)) == 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of features that linear layers take and give."""
        linear = [layer for layer in self.layers if isinstance(layer, cr.Linear)]
        return (linear[0].in_features, *(layer.out_features for layer in linear))

    @property
    def activation(self) -> Layer:
        """Of a perceptron."""
        return self.layers[1]

    @property
    def parameters(self) -> int:
        return sum(prod(own.shape) for layer in self.layers for own in layer.parameters().values())

    @property
    def flops(self) -> int:
        """Of a step's matrix products: outputs, and gradients by weights and inputs.

        The gradient by the network's input is not needed.
        """
        plan, x = PlanBuilder(), Tensor(self.input_shape)
        for layer in self.layers:
            x = layer.lower(plan, x)
        products = [
            step.operation.multiply_adds(step)
            for step in plan.steps
            if step.operation.multiply_adds is not None
        ]
        return 2 * self.batch * (3 * sum(products) - products[0])

    def data(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return noise as X, and a function of it, which can be learned, as y."""
        rng = np.random.default_rng(0)
        dtype: Any = self.dtype
        X = rng.standard_normal((self.rows, prod(self.input_shape)), dtype)
        y = np.sin(X @ rng.standard_normal((X.shape[1], self.sizes[-1]), dtype))
        X = X.reshape(self.rows, *self.input_shape)
        if self.loss.takes_labels:
            return X, np.argmax(y, axis=1)
        if isinstance(self.loss, cr.BCEWithLogitsLoss):
            return X, (y > 0).astype(self.dtype)
        return X, y

    def network(self) -> cr.Sequential:
        return cr.Sequential(*self.layers, seed=0, dtype=self.dtype)


def perceptron(
    sizes: tuple[int, ...], activation: Layer, loss: OutputLoss, batch: int, **others: Any
) -> Workload:
    """Return the workload of linear layers of these sizes, with an activation between them."""
    layers: list[Layer] = []
    for inputs, outputs in pairwise(sizes):
        layers += [cr.Linear(inputs, outputs), activation]
    return Workload(sizes[:1], tuple(layers[:-1]), loss, batch, **others)


TANH, RELU = cr.Tanh(), cr.ReLU()
SQUARES, CLASSES, YES_OR_NO = cr.MSELoss(), cr.CrossEntropyLoss(), cr.BCEWithLogitsLoss()

WORKLOADS = {
    "tiny": perceptron((4, 32, 32, 2), TANH, SQUARES, batch=32, steps=128, epochs=40),
    "digits": perceptron((64, 64, 32, 10), RELU, CLASSES, batch=64, steps=28, epochs=40),
    "mnist": perceptron((784, 128, 64, 10), RELU, CLASSES, batch=128, steps=100, epochs=10),
    # After SimpleChains.jl's article on a small network that learns the matrix exponential.
    "expm": perceptron((4, 32, 16, 4), TANH, SQUARES, batch=200, steps=1, epochs=1000),
    # SimpleChains.jl's README, there in float64.
    "sc24": perceptron(
        (24, 8, 2), TANH, SQUARES, batch=200, steps=1, epochs=2000, dtype="float64", updates=False
    ),
    "sc24-float32": perceptron(
        (24, 8, 2), TANH, SQUARES, batch=200, steps=1, epochs=2000, updates=False
    ),
    # Each batch comes from outside, as in control: a step is called from Python.
    **{
        f"loop-{batch}": perceptron(
            (4, 32, 32, 2), TANH, SQUARES, batch, steps=128, epochs=20, from_python=True
        )
        for batch in (1, 8, 32)
    },
    "deep": perceptron((128,) * 21, RELU, SQUARES, batch=64, steps=16, epochs=10),
    "tabular": perceptron((30, 256, 256, 1), RELU, YES_OR_NO, batch=512, steps=16, epochs=10),
    "wide": perceptron((1024,) * 4, RELU, SQUARES, batch=256, steps=8, epochs=6),
    # LeNet-5 with ReLU: LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to
    # Document Recognition, 1998.
    "lenet": Workload(
        (28, 28, 1),
        (
            *(cr.Conv2d(1, 6, 5, padding=2), RELU, cr.MaxPool2d(2)),
            *(cr.Conv2d(6, 16, 5), RELU, cr.MaxPool2d(2)),
            *(cr.Flatten(), cr.Linear(400, 120), RELU, cr.Linear(120, 84), RELU),
            cr.Linear(84, 10),
        ),
        CLASSES,
        batch=128,
        steps=32,
        epochs=3,
    ),
    "images": Workload(
        (32, 32, 3),
        (
            *(cr.Conv2d(3, 16, 3, padding=1), cr.BatchNorm(16), RELU, cr.MaxPool2d(2)),
            *(cr.Conv2d(16, 32, 3, padding=1), cr.BatchNorm(32), RELU, cr.MaxPool2d(2)),
            *(cr.Conv2d(32, 64, 3, padding=1), RELU),
            *(cr.GlobalAvgPool(), cr.Linear(64, 10)),
        ),
        CLASSES,
        batch=64,
        steps=16,
        epochs=3,
    ),
    "signals": Workload(
        (128, 6),
        (
            *(cr.Conv1d(6, 32, 5, padding=2), RELU, cr.MaxPool1d(2)),
            *(cr.Conv1d(32, 64, 5, padding=2), RELU),
            *(cr.GlobalAvgPool(), cr.Linear(64, 10)),
        ),
        CLASSES,
        batch=64,
        steps=16,
        epochs=6,
    ),
    "normalized": Workload(
        (64,),
        (
            cr.Linear(64, 128),
            cr.BatchNorm(128),
            RELU,
            cr.Linear(128, 128),
            cr.LayerNorm(128),
            RELU,
            cr.Linear(128, 10),
        ),
        CLASSES,
        batch=128,
        steps=32,
        epochs=10,
    ),
    "large": perceptron((4096,) * 4, RELU, SQUARES, batch=1024, steps=2, epochs=2),
}

SMALL = ("tiny", "digits", "mnist")  # where a call from Python counts
MEDIUM = tuple(  # below a second
    name for name, workload in WORKLOADS.items() if name != "large" and not workload.from_python
)

"""The network of an estimator: hidden layers by their sizes, or the user's own module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from chainrule.interop.sklearn.one_table import INSTEAD
from chainrule.layers import Dropout, Identity, Linear, ReLU, Sigmoid, Tanh
from chainrule.layers.initializers import Initializer
from chainrule.layers.layer import Element, Layer
from chainrule.models.sequential import Sequential
from chainrule.utils.arguments import integer
from chainrule.utils.arrays import FloatArray
from chainrule.utils.wording import plural

ACTIVATIONS: dict[str, Layer] = {
    "identity": Identity(),
    "logistic": Sigmoid(),
    "tanh": Tanh(),
    "relu": ReLU(),
}


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform within ``sqrt(factor / (fan_in + fan_out))``, weights and biases alike."""

    fan_out: int
    factor: float

    def __call__(self, shape: Any, fan_in: int, rng: np.random.Generator) -> FloatArray:
        bound = sqrt(self.factor / (fan_in + self.fan_out))
        values: FloatArray = rng.uniform(-bound, bound, shape)
        return values


def hidden_sizes(sizes: Any) -> list[int]:
    """Return the sizes of the hidden layers as a list, each above 0."""
    result = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if any(size <= 0 for size in result):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {result}.")
    return [integer(size, "hidden_layer_sizes", least=1) for size in result]


def hidden_activations(activation: Any, layers: int) -> list[Layer]:
    """Return the activation of each hidden layer, from one for all or a list."""
    one_for_all = isinstance(activation, str | Layer) or not isinstance(activation, Iterable)
    given = [activation] * layers if one_for_all else list(activation)
    if len(given) != layers:
        raise ValueError(
            f"activation must be one, or a list of {plural(layers, 'activation')}, one for each "
            f"hidden layer, not of {len(given)}."
        )
    for one in given:
        if not isinstance(one, Layer) and one not in list(ACTIVATIONS):
            raise ValueError(
                f"activation must be a chainrule layer or one of {', '.join(ACTIVATIONS)}, not "
                f"{one!r}."
            )
    return [one if isinstance(one, Layer) else ACTIVATIONS[one] for one in given]


def hidden_dropout(dropout: Any, layers: int) -> list[float]:
    """Return the fraction of each hidden layer's outputs that is left out."""
    given: list[float] = list(dropout) if np.ndim(dropout) else [dropout] * layers
    if len(given) != layers:
        raise ValueError(
            f"dropout must be one number, or a list of {plural(layers, 'number')}, one for each "
            f"hidden layer, not of {len(given)}."
        )
    return given


def perceptron(
    sizes: Sequence[int], activation: Any, dropout: Any, seed: int, dtype: str
) -> Sequential:
    """Return a network of linear layers of these sizes, from the input to the output."""
    activations = hidden_activations(activation, len(sizes) - 2)
    fractions = hidden_dropout(dropout, len(sizes) - 2)
    factor = 2.0 if activation == "logistic" else 6.0  # as scikit-learn does
    layers: list[Element] = []
    n_in = sizes[0]
    for position, n_out in enumerate(sizes[1:]):
        first = GlorotUniform(n_out, factor)
        layers.append(Linear(n_in, n_out, weight_init=first, bias_init=first))
        if position < len(activations):
            layers.append(activations[position])
            n_in = activations[position].output_shape((n_out,))[-1]  # GLU halves it
            if fractions[position] != 0:
                layers.append(Dropout(fractions[position]))
    return Sequential(*layers, seed=seed, dtype=dtype)


def weights_of(network: Sequential) -> dict[str, FloatArray]:
    """Return the weights of layers: matrices, while those of PReLU are slopes."""
    parameters = network.parameters().items()
    return {
        name: view
        for name, view in parameters
        if name.rpartition(".")[2] == "weight" and view.ndim > 1
    }


def own_network(
    module: Sequential | Callable[[int, int], Sequential], n_in: int, n_out: int, dtype: str
) -> Sequential:
    """Return a copy of the user's network, or what the user's function returns."""
    network = module.copy() if isinstance(module, Sequential) else module(n_in, n_out)
    if not isinstance(network, Sequential):
        raise TypeError(
            f"module must be a Sequential, or a function of (n_in, n_out) that returns one, not "
            f"{module!r}."
        )
    if network.graph.inputs > 1:
        raise ValueError(
            "module must have one input, as the X of an estimator is one table, but it has "
            f"{network.graph.inputs}. {INSTEAD}"
        )
    return network.copy(dtype)

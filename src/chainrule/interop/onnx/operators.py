"""Layers and ONNX operators that are each other's, one for one."""

from collections.abc import Callable

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.steps import Array
from chainrule.layers.layer import Layer

# An operator's attribute is named, and the layer's argument that it is.
SIMPLE: dict[type[Layer], tuple[str, dict[str, str]]] = {
    layers.ReLU: ("Relu", {}),
    layers.LeakyReLU: ("LeakyRelu", {"alpha": "negative_slope"}),
    layers.Tanh: ("Tanh", {}),
    layers.Sigmoid: ("Sigmoid", {}),
    layers.Softplus: ("Softplus", {}),
    layers.ELU: ("Elu", {"alpha": "alpha"}),
    layers.Hardswish: ("HardSwish", {}),
    layers.Softsign: ("Softsign", {}),
}
# What those compute of which other activations are written out.
FUNCTIONS: dict[type[Layer], Callable[[Array], Array]] = {
    layers.Tanh: np.tanh,
    layers.Sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    layers.Softplus: lambda x: np.logaddexp(0, x),
}
SOFTMAXES: dict[type[Layer], str] = {
    layers.Softmax: "Softmax",
    layers.LogSoftmax: "LogSoftmax",
}

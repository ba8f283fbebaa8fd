"""Layers and ONNX operators that are each other's, one for one."""

from chainrule import layers
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
SOFTMAXES: dict[type[Layer], str] = {
    layers.Softmax: "Softmax",
    layers.LogSoftmax: "LogSoftmax",
}

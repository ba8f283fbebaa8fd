"""Layers: small immutable specs. They know shapes and parameters, and compute nothing."""

from chainrule.layers.activation import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.layers.compiled import CompiledLayer as CompiledLayer
from chainrule.layers.container import Branch, Parallel, Residual, Shared
from chainrule.layers.dropout import Dropout
from chainrule.layers.layer import Layer as Layer
from chainrule.layers.layer import Parameter as Parameter
from chainrule.layers.linear import Linear
from chainrule.layers.numpy_layer import NumPyLayer as NumPyLayer
from chainrule.layers.own_activation import Activation as Activation
from chainrule.layers.rescale import Rescale
from chainrule.layers.shape import Flatten

__all__ = [
    "ELU",
    "GELU",
    "Branch",
    "Dropout",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Parallel",
    "ReLU",
    "Rescale",
    "Residual",
    "Shared",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]

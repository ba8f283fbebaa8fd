"""The networks of workloads as PyTorch's modules, with the same parameters.

PyTorch has channels first; what a linear layer reads behind a flattened image is reordered.
"""

import numpy as np

import chainrule as cr
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder


def module_of(torch, workload, parameters=None):
    """Return the module of a workload's layers, by default with parameters of its own."""
    modules, shape, flattened = [], workload.input_shape, None
    for i, layer in enumerate(workload.layers):
        module = MODULES[type(layer)](torch.nn, layer, len(shape) - 1)
        module.to(getattr(torch, workload.dtype))
        for name, own in layer.parameters().items() if parameters is not None else ():
            value = parameters[f"{i}.{name}"]
            if name == "weight" and flattened is not None:
                value = channels_first(value, flattened)
            if own.torch_axes is not None:
                value = np.transpose(value, own.torch_axes)
            with torch.no_grad():
                getattr(module, name).copy_(torch.from_numpy(np.ascontiguousarray(value)))
        modules.append(module)
        flattened = shape if isinstance(layer, cr.Flatten) and len(shape) > 1 else None
        shape = layer.lower(PlanBuilder(), Tensor(shape)).shape
    return torch.nn.Sequential(*modules)


def channels_first(weight, shape):
    """Return a linear layer's weight with the rows in the order of an image, channels first."""
    return np.moveaxis(weight.reshape(*shape, -1), -2, 0).reshape(weight.shape)


def convolution(nn, layer, axes):
    kind = {1: nn.Conv1d, 2: nn.Conv2d}[axes]
    return kind(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        layer.bias,
    )


def max_pooling(nn, layer, axes):
    kind = {1: nn.MaxPool1d, 2: nn.MaxPool2d}[axes]
    return kind(layer.kernel_size, layer.stride, layer.padding)


def global_mean(nn, layer, axes):
    pooling = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d}[axes]
    return nn.Sequential(pooling(1), nn.Flatten())


def batch_norm(nn, layer, axes):
    kind = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d}[axes]
    return kind(layer.features, layer.eps, layer.momentum)


MODULES = {
    cr.Linear: lambda nn, layer, axes: nn.Linear(layer.in_features, layer.out_features),
    cr.ReLU: lambda nn, layer, axes: nn.ReLU(),
    cr.Tanh: lambda nn, layer, axes: nn.Tanh(),
    cr.Flatten: lambda nn, layer, axes: nn.Flatten(),
    cr.LayerNorm: lambda nn, layer, axes: nn.LayerNorm(layer.features, layer.eps),
    cr.BatchNorm: batch_norm,
    cr.Conv1d: convolution,
    cr.Conv2d: convolution,
    cr.MaxPool1d: max_pooling,
    cr.MaxPool2d: max_pooling,
    cr.GlobalAvgPool: global_mean,
}

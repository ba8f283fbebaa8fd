"""The networks of workloads as functions for JAX, of parameters and running statistics by name."""

import numpy as np

import chainrule as cr


def function_of(jax, workload):
    """Return ``forward(parameters, buffers, x)``, which gives the output and the new buffers."""
    functions = [FUNCTIONS[type(layer)] for layer in workload.layers]

    def forward(parameters, buffers, x):
        changed = {}
        for i, (layer, function) in enumerate(zip(workload.layers, functions, strict=True)):
            own = {name: parameters[f"{i}.{name}"] for name in layer.parameters()}
            running = {name: buffers[f"{i}.{name}"] for name in layer.buffers()}
            x = function(jax, layer, own, running, x)
            changed |= {f"{i}.{name}": value for name, value in running.items()}
        return x, changed

    return forward


def buffers_of(workload):
    """Return the running statistics of all layers, by name."""
    return {
        f"{i}.{name}": np.full(own.shape, own.value, workload.dtype)
        for i, layer in enumerate(workload.layers)
        for name, own in layer.buffers().items()
    }


def linear(jax, layer, own, running, x):
    return x @ own["weight"] + own["bias"]


def layer_norm(jax, layer, own, running, x):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + layer.eps) * own["weight"] + own["bias"]


def batch_norm(jax, layer, own, running, x):
    axes, rows = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    mean, variance = x.mean(axes), x.var(axes)
    parts = {"running_mean": mean, "running_var": variance * (rows / (rows - 1))}
    for name, value in parts.items():
        value = jax.lax.stop_gradient(value)
        running[name] = running[name] + layer.momentum * (value - running[name])
    running["num_batches_tracked"] = running["num_batches_tracked"] + 1
    return (x - mean) * jax.lax.rsqrt(variance + layer.eps) * own["weight"] + own["bias"]


def convolution(jax, layer, own, running, x):
    axes = "HW"[-(x.ndim - 2) :]
    y = jax.lax.conv_general_dilated(
        x,
        own["weight"],
        in_axes(x, layer.stride),
        [(pad, pad) for pad in in_axes(x, layer.padding)],
        rhs_dilation=in_axes(x, layer.dilation),
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        feature_group_count=layer.groups,
    )
    return y + own["bias"]


def max_pooling(jax, layer, own, running, x):
    kernel = in_axes(x, layer.kernel_size)
    stride = kernel if layer.stride is None else in_axes(x, layer.stride)
    if kernel == stride and not any(in_axes(x, layer.padding)):
        # As a maximum over axes: the gradient of reduce_window takes a multiple of its time.
        lengths = [n // k for n, k in zip(x.shape[1:-1], kernel, strict=True)]
        whole = x[:, *(slice(n * k) for n, k in zip(lengths, kernel, strict=True))]
        pairs = [n for pair in zip(lengths, kernel, strict=True) for n in pair]
        blocks = whole.reshape(len(x), *pairs, x.shape[-1])
        return blocks.max(tuple(range(2, blocks.ndim - 1, 2)))
    pads = [(0, 0), *((pad, pad) for pad in in_axes(x, layer.padding)), (0, 0)]
    return jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, *kernel, 1), (1, *stride, 1), pads)


def in_axes(x, number):
    """Return a layer's number for each axis between batch and channels."""
    return (number,) * (x.ndim - 2) if isinstance(number, int) else tuple(number)


FUNCTIONS = {
    cr.Linear: linear,
    cr.ReLU: lambda jax, layer, own, running, x: jax.nn.relu(x),
    cr.Tanh: lambda jax, layer, own, running, x: jax.numpy.tanh(x),
    cr.Flatten: lambda jax, layer, own, running, x: x.reshape(len(x), -1),
    cr.LayerNorm: layer_norm,
    cr.BatchNorm: batch_norm,
    cr.Conv1d: convolution,
    cr.Conv2d: convolution,
    cr.MaxPool1d: max_pooling,
    cr.MaxPool2d: max_pooling,
    cr.GlobalAvgPool: lambda jax, layer, own, running, x: x.mean(tuple(range(1, x.ndim - 1))),
}

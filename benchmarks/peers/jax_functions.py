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


FUNCTIONS = {
    cr.Linear: linear,
    cr.ReLU: lambda jax, layer, own, running, x: jax.nn.relu(x),
    cr.Tanh: lambda jax, layer, own, running, x: jax.numpy.tanh(x),
    cr.Flatten: lambda jax, layer, own, running, x: x.reshape(len(x), -1),
    cr.LayerNorm: layer_norm,
    cr.BatchNorm: batch_norm,
}

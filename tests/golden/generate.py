"""Write golden.npz: gradients and optimizer steps of every case, computed by PyTorch in float64.

Before anything is written, every case is computed a second time in plain NumPy, with gradients
by central differences, and compared.
"""

import math
from pathlib import Path

import numpy as np
import torch
from cases import CASES, STEPS


def main():
    torch.set_default_dtype(torch.float64)
    golden = {}
    for case in CASES:
        values = compute(case)
        check(case, values)
        golden |= {f"{case.name}/{key}": value for key, value in values.items()}
    np.savez_compressed(Path(__file__).with_name("golden.npz"), **golden)
    print(f"{len(CASES)} cases, {len(golden)} arrays, PyTorch {torch.__version__}")


# PyTorch


def compute(case):
    """The golden values of a case: a dictionary of arrays."""
    rng = np.random.default_rng(case.seed)
    made = {}
    net = torch.nn.Sequential(*(torch_layer(layer, made) for layer in case.layers))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(scale=0.6, size=parameter.shape)))
    shapes = case.shape if isinstance(case.shape[0], tuple) else (case.shape,)
    inputs = [torch.from_numpy(rng.normal(size=shape)).requires_grad_() for shape in shapes]
    x = inputs[0] if len(inputs) == 1 else inputs
    heads = zip(loss_of_each(case.loss), several(net(x)), strict=True)
    y = [torch.from_numpy(draw_targets(rng, loss[0], out.shape)) for (loss, _), out in heads]
    w = torch.from_numpy(draw_weights(rng, shapes[0][0])) if case.weighted else None
    name, args, kwargs = case.optimizer
    optimizer = getattr(torch.optim, name)(net.parameters(), *args, **kwargs)

    losses, history, values = [], [snapshot(net)], {}
    for step in range(STEPS):
        optimizer.zero_grad()
        # A head may give out what another works with: the gradient of the output alone is wanted.
        outputs = [output + 0.0 for output in several(net(x))]
        for output in outputs:
            output.retain_grad()
        loss = sum(
            weight * weighted_mean(torch_row_losses(part, output, target), w)
            for (part, weight), output, target in zip(
                loss_of_each(case.loss), outputs, y, strict=True
            )
        )
        loss.backward()
        if step == 0:
            d_outputs = [output.grad for output in outputs]
            values = by_head(x=inputs, d_x=[each.grad for each in inputs])
            values |= by_head(y=y, output=outputs, d_output=d_outputs)
            values = {key: value.detach().numpy().copy() for key, value in values.items()}
            values |= {f"gradients/{key}": value for key, value in snapshot(net, "grad").items()}
        optimizer.step()
        losses.append(loss.item())
        history.append(snapshot(net))

    if w is not None:
        values["sample_weight"] = w.numpy()
    values["losses"] = np.array(losses)
    for key in history[0]:
        values[f"parameters/{key}"] = np.stack([parameters[key] for parameters in history])
    return values


def several(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def by_head(**lists):
    """Name what there is one of for each input or output: by its number, if there are several."""
    return {
        f"{key}/{i}" if len(values) > 1 else key: value
        for key, values in lists.items()
        for i, value in enumerate(values)
    }


def loss_of_each(loss):
    """The loss of each output, and its weight."""
    name, args, kwargs = loss
    return list(zip(args, kwargs["weights"], strict=True)) if name == "MultiLoss" else [(loss, 1.0)]


class Residual(torch.nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Parallel(torch.nn.Sequential):
    def __init__(self, *branches, combine="sum"):
        super().__init__(*branches)
        self.combine = combine

    def forward(self, x):
        return self.combined([branch(x) for branch in self])

    def combined(self, outputs):
        if self.combine == "concatenate":
            return torch.cat(outputs, dim=-1)
        return sum(outputs) if self.combine == "sum" else torch.stack(outputs).prod(dim=0)


class Inputs(Parallel):
    def __init__(self, *parts, combine="concatenate"):
        super().__init__(*parts, combine=combine)

    def forward(self, inputs):
        outputs = [part(x) for part, x in zip(self, inputs, strict=True)]
        return self.combined(outputs)


class Branch(torch.nn.Sequential):
    def forward(self, x):
        return tuple(head(x) for head in self)


CONTAINERS = {
    "Residual": Residual,
    "Parallel": Parallel,
    "Inputs": Inputs,
    "Branch": Branch,
    "Sequential": torch.nn.Sequential,
    "Shared": torch.nn.Sequential,
}


class Rescale(torch.nn.Module):
    """What PyTorch does not have as a layer."""

    def __init__(self, scale, offset=0.0):
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x):
        return x * self.scale + self.offset


def torch_layer(layer, made):
    """The module of a layer; ``made`` holds those of shared layers."""
    name, args, kwargs = layer
    if name in CONTAINERS:
        if id(layer) not in made or name != "Shared":
            parts = [torch_layer(part, made) for part in args]
            made[id(layer)] = CONTAINERS[name](*parts, **kwargs)
        return made[id(layer)]
    if name == "Rescale":
        return Rescale(*args, **kwargs)
    if name in ("Softmax", "LogSoftmax"):
        kwargs = kwargs | {"dim": -1}
    return getattr(torch.nn, name)(*args, **kwargs)


def torch_row_losses(loss, output, y):
    name, args, kwargs = loss
    losses = getattr(torch.nn, name)(*args, **kwargs, reduction="none")(output, y)
    return losses.reshape(len(y), -1).mean(dim=1)


def weighted_mean(losses, w):
    return losses.mean() if w is None else (w * losses).sum() / w.sum()


def snapshot(net, attribute="data"):
    """Copies of all parameters (or their ``grad``) by name, weights as (in, out)."""
    return {
        key: getattr(parameter, attribute).numpy().T.copy()
        for key, parameter in net.named_parameters()
    }


def draw_targets(rng, loss, shape):
    if loss == "CrossEntropyLoss":
        return rng.integers(shape[-1], size=shape[0])
    if loss == "BCEWithLogitsLoss":
        return rng.integers(2, size=shape).astype(float)
    return rng.normal(size=shape)


def draw_weights(rng, n):
    """Uneven weights, one of them zero."""
    w = rng.uniform(0.2, 3.0, size=n)
    w[1] = 0.0
    return w


# The same once more in NumPy, sharing nothing with the above


def check(case, values):
    """Compare PyTorch's values of a case with textbook NumPy and central differences."""
    losses = loss_of_each(case.loss)
    inputs, y = [x.copy() for x in in_list(values, "x")], in_list(values, "y")
    x = inputs[0] if len(inputs) == 1 else inputs
    w = values.get("sample_weight", np.ones(len(inputs[0])))
    keys = [key for key in values if key.startswith("parameters/")]
    parameters = {key.removeprefix("parameters/"): values[key][0].copy() for key in keys}
    state = dict.fromkeys(parameters, (0.0, 0.0))

    def loss_of(outputs):
        return sum(
            weight * (w * row_losses(loss, output, target)).sum() / w.sum()
            for (loss, weight), output, target in zip(losses, outputs, y, strict=True)
        )

    def loss_now():
        return loss_of(forward(case.layers, parameters, x))

    outputs = [output.copy() for output in forward(case.layers, parameters, x)]
    for output, golden in zip(outputs, in_list(values, "output"), strict=True):
        agree(golden, output, 1e-12)
    for output, golden in zip(outputs, in_list(values, "d_output"), strict=True):
        agree(golden, differences(lambda: loss_of(outputs), output), 1e-8)
    for golden, own in zip(in_list(values, "d_x"), inputs, strict=True):
        agree(golden, differences(loss_now, own), 1e-8)
    for step in range(1, STEPS + 1):
        agree(values["losses"][step - 1], loss_now(), 1e-6 if step > 1 else 1e-12)
        gradients = {key: differences(loss_now, p) for key, p in parameters.items()}
        for key, p in parameters.items():
            if step == 1:
                agree(values[f"gradients/{key}"], gradients[key], 1e-8)
            p[...], state[key] = update(case.optimizer, p, gradients[key], state[key], step)
            agree(values[f"parameters/{key}"][step], p, 1e-6)


def agree(golden, expected, tolerance):
    np.testing.assert_allclose(golden, expected, rtol=tolerance, atol=tolerance)


def differences(function, array, h=1e-5):
    """The gradient of ``function()`` by ``array``, which is perturbed in place."""
    gradient = np.empty_like(array)
    for i in np.ndindex(array.shape):
        value = array[i]
        array[i] = value + h
        above = function()
        array[i] = value - h
        below = function()
        array[i] = value
        gradient[i] = (above - below) / (2 * h)
    return gradient


def in_list(values, key):
    """What there is of each input or output."""
    return [values[k] for k in values if k == key or k.startswith(f"{key}/")]


def forward(layers, parameters, x, prefix="", first=None):
    """The outputs of layers in a row; ``first`` is where each shared layer stands first."""
    first = {} if first is None else first
    outputs = [x]
    for i, layer in enumerate(layers):
        outputs = forward_layer(layer, parameters, outputs[0], f"{prefix}{i}.", first)
    return outputs


def forward_layer(layer, parameters, x, path, first):
    name, args, kwargs = layer
    if name == "Linear":
        return [x @ parameters[f"{path}weight"] + parameters.get(f"{path}bias", 0.0)]
    if name in FUNCTIONS:
        return [FUNCTIONS[name](x, *args, **kwargs)]
    if name == "Shared":
        path = first.setdefault(id(layer), path)
    if name in ("Parallel", "Inputs", "Branch"):
        each = [
            forward_layer(part, parameters, x[i] if name == "Inputs" else x, f"{path}{i}.", first)[
                0
            ]
            for i, part in enumerate(args)
        ]
        if name == "Branch":
            return each
        combine = kwargs.get("combine", "concatenate" if name == "Inputs" else "sum")
        if combine == "concatenate":
            return [np.concatenate(each, axis=-1)]
        return [np.sum(each, axis=0) if combine == "sum" else np.prod(each, axis=0)]
    outputs = forward(args, parameters, x, path, first)
    return [x + outputs[0]] if name == "Residual" else outputs


def log_softmax(z):
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gelu(z, approximate="none"):
    if approximate == "tanh":
        return z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
    return z / 2 * (1 + np.vectorize(math.erf)(z / np.sqrt(2)))


FUNCTIONS = {
    "ReLU": lambda z: np.maximum(z, 0),
    "LeakyReLU": lambda z, negative_slope=0.01: np.where(z > 0, z, negative_slope * z),
    "Tanh": np.tanh,
    "Sigmoid": sigmoid,
    "GELU": gelu,
    "SiLU": lambda z: z * sigmoid(z),
    "Softplus": lambda z: np.log(1 + np.exp(z)),
    "ELU": lambda z, alpha=1.0: np.where(z > 0, z, alpha * (np.exp(z) - 1)),
    "Softmax": lambda z: np.exp(log_softmax(z)),
    "LogSoftmax": log_softmax,
    "Identity": lambda z: z,
    "Flatten": lambda z: z.reshape(len(z), -1),
    "Rescale": lambda z, scale, offset=0.0: scale * z + offset,
}


def row_losses(loss, output, y):
    name, _, options = loss
    if name == "CrossEntropyLoss":
        smoothing = options.get("label_smoothing", 0.0)
        classes = output.shape[1]
        target = (1 - smoothing) * np.eye(classes)[y] + smoothing / classes
        return -(target * log_softmax(output)).sum(axis=1)
    if name == "BCEWithLogitsLoss":
        p = sigmoid(output)
        losses = -y * np.log(p) - (1 - y) * np.log(1 - p)
    elif name == "MSELoss":
        losses = (output - y) ** 2
    elif name == "HuberLoss":
        delta = options.get("delta", 1.0)
        r = np.abs(output - y)
        losses = np.where(r < delta, r**2 / 2, delta * (r - delta / 2))
    return losses.mean(axis=1)


def update(optimizer, p, g, state, step):
    """The parameter and the optimizer's state after a step."""
    name, _, options = optimizer
    lr = options.get("lr", 1e-3)
    decay = options.get("weight_decay", 0.01 if name == "AdamW" else 0.0)
    if name == "AdamW":
        p = p - lr * decay * p
    else:
        g = g + decay * p
    m, v = state
    if name == "SGD":
        momentum = options.get("momentum", 0.0)
        m = momentum * m + g
        return p - lr * (g + momentum * m if options.get("nesterov") else m), (m, v)
    beta1, beta2 = options.get("betas", (0.9, 0.999))
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    scale = np.sqrt(v / (1 - beta2**step)) + options.get("eps", 1e-8)
    return p - lr * m / (1 - beta1**step) / scale, (m, v)


if __name__ == "__main__":
    main()

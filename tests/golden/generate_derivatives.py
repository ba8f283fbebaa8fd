"""Write derivatives.npz: derivatives of every case with one input by torch.func, in float64.

The networks and batches are those of golden.npz. Before anything is written, second derivatives
are compared with central differences of first ones, and these with golden.npz.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from cases import OF_ONE_INPUT
from generate import (
    agree,
    by_head,
    in_list,
    loss_of_each,
    several,
    torch_layer,
    torch_row_losses,
    weighted_mean,
)
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

HERE = Path(__file__).parent


def main():
    torch.set_default_dtype(torch.float64)
    with np.load(HERE / "golden.npz") as file:
        golden = dict(file)
    derivatives = {}
    for case in OF_ONE_INPUT:
        prefix = f"{case.name}/"
        keys = [key for key in golden if key.startswith(prefix)]
        values = compute(case, {key.removeprefix(prefix): golden[key] for key in keys})
        derivatives |= {f"{case.name}/{key}": value for key, value in values.items()}
    np.savez_compressed(HERE / "derivatives.npz", **derivatives)
    print(f"{len(OF_ONE_INPUT)} cases, {len(derivatives)} arrays, PyTorch {torch.__version__}")


def compute(case, golden):
    """The derivatives of a case: a dictionary of arrays."""
    made = {}
    network = torch.nn.Sequential(*(torch_layer(layer, made) for layer in case.layers))
    names = [key.removeprefix("parameters/") for key in golden if key.startswith("parameters/")]
    initial = [torch.from_numpy(golden[f"parameters/{name}"][0]) for name in names]
    sizes, shapes = [p.numel() for p in initial], [p.shape for p in initial]
    params = torch.cat([p.reshape(-1) for p in initial])
    x, y = torch.from_numpy(golden["x"]), list(map(torch.from_numpy, in_list(golden, "y")))
    w = torch.from_numpy(golden["sample_weight"]) if case.weighted else None
    losses = loss_of_each(case.loss)

    def outputs_of(params, x):
        parts = zip(names, params.split(sizes), shapes, strict=True)
        given = {name: transposed(p.reshape(s)) for name, p, s in parts}
        return several(functional_call(network, given, (x,)))

    def loss_of_outputs(outputs, y, w):
        return sum(
            weight * weighted_mean(row_losses(loss, output, target), w)
            for (loss, weight), output, target in zip(losses, outputs, y, strict=True)
        )

    def loss_of(params, x):
        return loss_of_outputs(outputs_of(params, x), y, w)

    def loss_of_sample(params, x, *y):
        return loss_of_outputs(outputs_of(params, x[None]), [target[None] for target in y], None)

    def outputs_of_sample(params, x):
        return tuple(output[0] for output in outputs_of(params, x[None]))

    def gradient(params, x):
        return grad(loss_of, argnums=(0, 1))(params, x)

    rng = np.random.default_rng(case.seed)
    v, u = (torch.from_numpy(rng.normal(size=a.shape)) for a in (params, x))
    outputs, pullback = vjp(outputs_of, params, x)
    d_outputs = tuple(torch.from_numpy(rng.normal(size=output.shape)) for output in outputs)
    values = {"v": v, "u": u} | by_head(d_output_of_vjp=d_outputs)
    values["vjp_params"], values["vjp_x"] = pullback(d_outputs)
    nothing = torch.zeros_like
    for name, directions in {
        "params": (v, nothing(u)),
        "x": (nothing(v), u),
        "both": (v, u),
    }.items():
        _, moved = jvp(outputs_of, (params, x), directions)
        values |= by_head(**{f"jvp_{name}": moved})
        _, products = jvp(gradient, (params, x), directions)
        check_by_differences(gradient, (params, x), directions, products)
        chosen = {"params": products[:1], "x": products[1:], "both": products}[name]
        for part, product in enumerate(chosen):
            values[f"hvp_{name}_{part}"] = product
    values["gradient_params"], values["gradient_x"] = gradient(params, x)
    agree(values["gradient_x"].numpy(), golden["d_x"], 1e-12)
    for name, argument in (("params", 0), ("x", 1)):
        jacobians = vmap(jacrev(outputs_of_sample, argument), (None, 0))(params, x)
        values |= by_head(**{f"jacobian_{name}": jacobians})
    if len(outputs) == 1:
        (values["hessian_x"],) = vmap(hessian(outputs_of_sample, 1), (None, 0))(params, x)
    by_row = (None, 0, *(0 for _ in y))
    values["per_sample"] = vmap(grad(loss_of_sample), by_row)(params, x, *y)
    moved = jvp(lambda params: outputs_of(params, x), (params,), (v,))[1]
    values["gauss_newton"], values["fisher"] = torch.zeros((2, *params.shape))
    for i, (loss, weight) in enumerate(losses):
        j = jacfwd(lambda params, i=i: outputs_of(params, x)[i])(params)
        j = j.reshape(outputs[i].numel(), -1)

        def loss_of_head(output, loss=loss, i=i):
            return weighted_mean(row_losses(loss, output, y[i]), w)

        h = hessian(loss_of_head)(outputs[i]).reshape(len(j), -1)
        values["gauss_newton"] += weight * (j.T @ (h @ moved[i].reshape(-1)))
        f = fisher(loss, outputs[i].reshape(len(x), -1), j, w)
        values["fisher"] += weight * (f @ v)
    return {key: value.detach().numpy() for key, value in values.items()}


def transposed(parameter):
    return parameter.T if parameter.ndim == 2 else parameter


def row_losses(loss, output, y):
    """The loss of each row; torch.func has no forward mode for the derivative of Huber's."""
    if loss[0] != "HuberLoss":
        return torch_row_losses(loss, output, y)
    delta = loss[2].get("delta", 1.0)
    error = output - y
    clipped = error.clamp(-delta, delta)
    return (clipped * (error - clipped / 2)).reshape(len(y), -1).mean(dim=1)


def check_by_differences(function, at, directions, products, h=1e-6):
    """Compare the derivative of a function along a direction with a central difference."""
    sides = [
        function(*(point + s * h * d for point, d in zip(at, directions, strict=True)))
        for s in (1, -1)
    ]
    for product, after, before in zip(products, *sides, strict=True):
        agree(product.numpy(), ((after - before) / (2 * h)).numpy(), 1e-6)


def fisher(loss, output, jacobian, w):
    """The mean over the rows of the expected outer product of the gradient with itself.

    The expectation is a sum over all classes, over 0 and 1, or an integral over the error.
    """
    name, _, options = loss
    weights = torch.ones(len(output)) if w is None else w
    total = 0.0
    by_row = jacobian.reshape(*output.shape, -1)
    for row, j, weight in zip(output, by_row, weights, strict=True):
        if name == "CrossEntropyLoss":
            p = row.softmax(0)
            scores = p - torch.eye(len(p))  # of each class, a row
            expected = (scores.T * p) @ scores
        elif name == "BCEWithLogitsLoss":
            p = row.sigmoid()
            expected = torch.diag((1 - p) * p**2 + p * (p - 1) ** 2) / len(p)
        else:
            expected = torch.eye(len(row)) * information_by_integral(name, **options) / len(row)
        total = total + weight * (j.T @ expected @ j)
    return total / weights.sum()


@cache
def information_by_integral(name, **options):
    """The mean square of a loss's slope, if the error's density is proportional to exp(-loss)."""
    error = torch.linspace(-60, 60, 2_400_001, requires_grad=True)
    losses = getattr(torch.nn, name)(reduction="none", **options)(error, torch.zeros_like(error))
    (slope,) = torch.autograd.grad(losses.sum(), error)
    density = torch.exp(-losses.detach())
    return float((density * slope**2).sum() / density.sum())


if __name__ == "__main__":
    main()

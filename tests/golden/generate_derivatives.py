"""Write derivatives.npz: derivatives of every case by torch.func, in float64.

The networks and batches are those of golden.npz. Before anything is written, second derivatives
are compared with central differences of first ones, and these with golden.npz.
"""

from pathlib import Path

import numpy as np
import torch
from cases import CASES
from generate import agree, torch_layer, torch_row_losses, weighted_mean
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

HERE = Path(__file__).parent


def main():
    torch.set_default_dtype(torch.float64)
    with np.load(HERE / "golden.npz") as file:
        golden = dict(file)
    derivatives = {}
    for case in CASES:
        prefix = f"{case.name}/"
        keys = [key for key in golden if key.startswith(prefix)]
        values = compute(case, {key.removeprefix(prefix): golden[key] for key in keys})
        derivatives |= {f"{case.name}/{key}": value for key, value in values.items()}
    np.savez_compressed(HERE / "derivatives.npz", **derivatives)
    print(f"{len(CASES)} cases, {len(derivatives)} arrays, PyTorch {torch.__version__}")


def compute(case, golden):
    """The derivatives of a case: a dictionary of arrays."""
    network = torch.nn.Sequential(*(torch_layer(*layer) for layer in case.layers))
    names = [key.removeprefix("parameters/") for key in golden if key.startswith("parameters/")]
    initial = [torch.from_numpy(golden[f"parameters/{name}"][0]) for name in names]
    sizes, shapes = [p.numel() for p in initial], [p.shape for p in initial]
    params = torch.cat([p.reshape(-1) for p in initial])
    x, y = torch.from_numpy(golden["x"]), torch.from_numpy(golden["y"])
    w = torch.from_numpy(golden["sample_weight"]) if case.weighted else None

    def output_of(params, x):
        parts = zip(names, params.split(sizes), shapes, strict=True)
        return functional_call(network, {n: transposed(p.reshape(s)) for n, p, s in parts}, (x,))

    def loss_of(params, x):
        return weighted_mean(row_losses(case.loss, output_of(params, x), y), w)

    def loss_of_sample(params, x, y):
        return row_losses(case.loss, output_of(params, x[None]), y[None]).mean()

    def output_of_sample(params, x):
        return output_of(params, x[None])[0]

    def gradient(params, x):
        return grad(loss_of, argnums=(0, 1))(params, x)

    rng = np.random.default_rng(case.seed)
    v, u = (torch.from_numpy(rng.normal(size=a.shape)) for a in (params, x))
    output, pullback = vjp(output_of, params, x)
    d_output = torch.from_numpy(rng.normal(size=output.shape))
    values = {"v": v, "u": u, "d_output": d_output}
    values["vjp_params"], values["vjp_x"] = pullback(d_output)
    nothing = torch.zeros_like
    for name, directions in {
        "params": (v, nothing(u)),
        "x": (nothing(v), u),
        "both": (v, u),
    }.items():
        _, values[f"jvp_{name}"] = jvp(output_of, (params, x), directions)
        _, products = jvp(gradient, (params, x), directions)
        check_by_differences(gradient, (params, x), directions, products)
        chosen = {"params": products[:1], "x": products[1:], "both": products}[name]
        for part, product in enumerate(chosen):
            values[f"hvp_{name}_{part}"] = product
    values["gradient_params"], values["gradient_x"] = gradient(params, x)
    agree(values["gradient_x"].numpy(), golden["d_x"], 1e-12)
    values["jacobian_params"] = vmap(jacrev(output_of_sample), (None, 0))(params, x)
    values["jacobian_x"] = vmap(jacrev(output_of_sample, argnums=1), (None, 0))(params, x)
    values["hessian_x"] = vmap(hessian(output_of_sample, argnums=1), (None, 0))(params, x)
    values["per_sample"] = vmap(grad(loss_of_sample), (None, 0, 0))(params, x, y)
    values["gauss_newton"] = gauss_newton(output_of, loss_of_output(case, y, w), params, x) @ v
    values["fisher"] = fisher(case, output_of_sample, params, x, w) @ v
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


def loss_of_output(case, y, w):
    return lambda output: weighted_mean(row_losses(case.loss, output, y), w)


def gauss_newton(output_of, loss, params, x):
    """``J^T H J``, with J and H as matrices."""
    output = output_of(params, x)
    j = jacfwd(output_of)(params, x).reshape(output.numel(), -1)
    h = hessian(loss)(output).reshape(output.numel(), -1)
    return j.T @ h @ j


def fisher(case, output_of_sample, params, x, w):
    """The mean over the rows of the expected outer product of the gradient with itself.

    The expectation is a sum over all classes, over 0 and 1, or an integral over the error.
    """
    name, _, options = case.loss
    total = 0.0
    weights = torch.ones(len(x)) if w is None else w
    for row, weight in zip(x, weights, strict=True):
        output = output_of_sample(params, row).reshape(-1)
        j = jacrev(output_of_sample)(params, row).reshape(len(output), -1)
        if name == "CrossEntropyLoss":
            p = output.softmax(0)
            scores = p - torch.eye(len(p))  # of each class, a row
            expected = (scores.T * p) @ scores
        elif name == "BCEWithLogitsLoss":
            p = output.sigmoid()
            expected = torch.diag((1 - p) * p**2 + p * (p - 1) ** 2) / len(p)
        else:
            loss = torch.nn.MSELoss if name == "MSELoss" else torch.nn.HuberLoss
            error = torch.linspace(-60, 60, 2_400_001, requires_grad=True)
            losses = loss(reduction="none", **options)(error, torch.zeros_like(error))
            (slope,) = torch.autograd.grad(losses.sum(), error)
            density = torch.exp(-losses)
            expected = torch.eye(len(output)) * (density * slope**2).sum() / density.sum()
            expected = expected.detach() / len(output)
        total = total + weight * (j.T @ expected @ j)
    return total / weights.sum()


if __name__ == "__main__":
    main()

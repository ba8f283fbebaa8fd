"""Write operations.json: what PyTorch computes in float64 for single layers and losses.

Run it where PyTorch is: ``python tests/golden/generate_operations.py``.
"""

import json
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)
ROWS, COLUMNS = 5, 4
LAYERS = [
    ("Mish", {}, {}),
    ("Hardswish", {}, {}),
    ("Softsign", {}, {}),
    ("PReLU", {}, {}),
    ("PReLU", {"num_parameters": COLUMNS, "init": 0.1}, {}),
    ("GLU", {}, {"dim": -1}),
]
LOSSES = [
    ("L1Loss", {}),
    ("PoissonNLLLoss", {}),
    ("PoissonNLLLoss", {"full": True}),
    ("PoissonNLLLoss", {"log_input": False, "eps": 1e-3}),
    ("GaussianNLLLoss", {}),
    ("GaussianNLLLoss", {"full": True, "eps": 0.5}),
    ("QuantileLoss", {"quantiles": [0.1, 0.5, 0.8, 0.9]}),
    ("BCEWithLogitsLoss", {"pos_weight": [0.5, 1.0, 2.0, 3.0]}),
    ("BCEWithLogitsLoss", {"pos_weight": [2.5]}),
    ("CrossEntropyLoss", {"weight": [0.5, 1.0, 0.0, 3.0]}),
    ("CrossEntropyLoss", {"weight": [0.5, 1.0, 2.0, 3.0], "label_smoothing": 0.2}),
]


def draw(*shape):
    return torch.randn(*shape, generator=GENERATOR)


def derivatives(function, x, direction):
    """Return value, gradient, and Hessian times direction, of a function of one tensor."""
    x = x.clone().requires_grad_()
    value = function(x)
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    product = torch.zeros_like(x)
    if gradient.requires_grad:
        (product,) = torch.autograd.grad((gradient * direction).sum(), x)
    return {"value": value, "gradient": gradient, "hessian_product": product}


def layer_case(name, options, more):
    layer = getattr(torch.nn, name)(**options, **more)
    x, direction = 2 * draw(ROWS, COLUMNS), draw(ROWS, COLUMNS)
    target = draw(*layer(x).shape)
    loss = torch.nn.MSELoss()
    case = {"layer": name, "options": options, "x": x, "y": target, "direction": direction}
    case |= derivatives(lambda v: loss(layer(v), target), x, direction)
    case["output"], parameters = layer(x), list(layer.parameters())
    case["d_parameters"] = []
    if parameters:
        case["d_parameters"] = list(torch.autograd.grad(loss(layer(x), target), parameters))
    return case


def quantile_loss(output, y, quantiles):
    error = y[:, None] - output
    q = torch.tensor(quantiles)
    return torch.maximum(q * error, (q - 1) * error).mean()


def target_of(name):
    if name == "CrossEntropyLoss":
        return torch.tensor([0, 3, 1, 2, 3])
    if name == "BCEWithLogitsLoss":
        return torch.rand(ROWS, COLUMNS, generator=GENERATOR)
    if name == "PoissonNLLLoss":
        return torch.poisson(2 * torch.ones(ROWS, COLUMNS), generator=GENERATOR)
    if name == "QuantileLoss":
        return draw(ROWS)
    return draw(ROWS, COLUMNS // 2 if name == "GaussianNLLLoss" else COLUMNS)


def loss_case(name, options):
    output, y, direction = draw(ROWS, COLUMNS), target_of(name), draw(ROWS, COLUMNS)
    lists = ("weight", "pos_weight")
    tensors = {k: torch.tensor(v) if k in lists else v for k, v in options.items()}
    half = COLUMNS // 2
    if name == "QuantileLoss":
        function = lambda v: quantile_loss(v, y, **options)  # noqa: E731
    elif name == "GaussianNLLLoss":
        output[:, half:] = output[:, half:].abs()
        loss = torch.nn.GaussianNLLLoss(**options)
        function = lambda v: loss(v[:, :half], y, v[:, half:])  # noqa: E731
    else:
        if name == "PoissonNLLLoss" and not options.get("log_input", True):
            output = output.abs()
        loss = getattr(torch.nn, name)(**tensors)
        function = lambda v: loss(v, y)  # noqa: E731
    case = {"loss": name, "options": options, "output": output, "y": y, "direction": direction}
    return case | derivatives(function, output, direction)


def plain(value):
    if isinstance(value, torch.Tensor):
        return (value + 0).tolist()  # some zeros have no memory before
    return [plain(entry) for entry in value] if isinstance(value, list) else value


GENERATOR = torch.Generator().manual_seed(0)
if __name__ == "__main__":
    found = [layer_case(*case) for case in LAYERS] + [loss_case(*case) for case in LOSSES]
    lines = [json.dumps({k: plain(v) for k, v in case.items()}) for case in found]
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    Path(__file__).with_name("operations.json").write_text(text)

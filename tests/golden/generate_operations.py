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
# With a state that is drawn: parameters and buffers.
NORMALIZATIONS = [
    ("BatchNorm", {"features": COLUMNS}, torch.nn.BatchNorm1d(COLUMNS)),
    (
        "BatchNorm",
        {"features": COLUMNS, "eps": 0.1, "momentum": None},
        torch.nn.BatchNorm1d(COLUMNS, eps=0.1, momentum=None),
    ),
    (
        "BatchNorm",
        {"features": COLUMNS, "momentum": 0.75, "affine": False},
        torch.nn.BatchNorm1d(COLUMNS, momentum=0.75, affine=False),
    ),
    ("LayerNorm", {"features": COLUMNS}, torch.nn.LayerNorm(COLUMNS)),
    (
        "LayerNorm",
        {"features": COLUMNS, "eps": 0.1, "bias": False},
        torch.nn.LayerNorm(COLUMNS, eps=0.1, bias=False),
    ),
    (
        "LayerNorm",
        {"features": COLUMNS, "affine": False},
        torch.nn.LayerNorm(COLUMNS, elementwise_affine=False),
    ),
]
MORE_NORMALIZATIONS = [
    ("RMSNorm", {"features": COLUMNS}, torch.nn.RMSNorm(COLUMNS)),
    ("RMSNorm", {"features": COLUMNS, "eps": 0.1}, torch.nn.RMSNorm(COLUMNS, eps=0.1)),
    (
        "RMSNorm",
        {"features": COLUMNS, "affine": False},
        torch.nn.RMSNorm(COLUMNS, elementwise_affine=False),
    ),
    ("GroupNorm", {"groups": 2, "features": COLUMNS}, torch.nn.GroupNorm(2, COLUMNS)),
    (
        "GroupNorm",
        {"groups": 1, "features": COLUMNS, "eps": 0.1, "affine": False},
        torch.nn.GroupNorm(1, COLUMNS, eps=0.1, affine=False),
    ),
    (
        "BatchNorm",
        {"features": COLUMNS, "track": False},
        torch.nn.BatchNorm1d(COLUMNS, track_running_stats=False),
    ),
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


def layer_case(name, options, layer):
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


def normalization_case(name, options, layer):
    """Return what a layer predicts; and what two training steps do, the second one of x + y."""
    for value in layer.state_dict().values():
        if value.dim():
            value.copy_(torch.rand(value.shape, generator=GENERATOR) + 0.5)
    state = {key: value.clone() for key, value in layer.state_dict().items()}
    case = layer_case(name, options, layer.eval()) | {"state": state}
    x, y = case["x"], case["y"]
    layer.train()
    with torch.no_grad():
        layer(x + y)
    x = x.clone().requires_grad_()
    output = layer(x)
    loss = torch.nn.MSELoss()(output, y)
    gradient, *d_parameters = torch.autograd.grad(loss, [x, *layer.parameters()])
    case["training"] = {
        "output": output,
        "gradient": gradient,
        "d_parameters": d_parameters,
        "state": layer.state_dict(),
    }
    return case


def columns_case():
    """Return what indexing gives, also by numbers below 0 and several times by one."""
    indices = [3, 0, 0, -1]

    class Columns(torch.nn.Module):
        def forward(self, x):
            return x[..., indices]

    return layer_case("Columns", {"indices": indices}, Columns())


def embedding_case():
    """Return what a table of vectors gives for codes, and the gradient by it."""
    layer = torch.nn.Embedding(6, 3, padding_idx=-2)
    with torch.no_grad():
        layer.weight.copy_(draw(6, 3))
    x, y = torch.tensor([[0, 5], [4, 2], [2, 2], [1, 4]]), draw(4, 2, 3)
    output = layer(x)
    loss = torch.nn.MSELoss()(output, y)
    (gradient,) = torch.autograd.grad(loss, [layer.weight])
    case = {"layer": "Embedding", "options": {"num_embeddings": 6, "embedding_dim": 3}}
    case["options"]["padding_idx"] = -2
    return case | {
        "state": layer.state_dict(),
        "x": x,
        "y": y,
        "output": output,
        "d_parameters": [gradient],
    }


def standardize_case():
    """Return what is left of batch normalization where the statistics are known."""
    mean, variance = draw(COLUMNS), torch.rand(COLUMNS, generator=GENERATOR) + 0.5
    layer = torch.nn.BatchNorm1d(COLUMNS, eps=0.0, affine=False).eval()
    layer.running_mean.copy_(mean)
    layer.running_var.copy_(variance)
    return layer_case("Standardize", {"mean": mean, "variance": variance}, layer)


def quantile_losses(output, y, quantiles):
    error = y[:, None] - output
    q = torch.tensor(quantiles)
    return torch.maximum(q * error, (q - 1) * error)


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
    if name == "GaussianNLLLoss":
        output[:, COLUMNS // 2 :] = output[:, COLUMNS // 2 :].abs()
    if name == "PoissonNLLLoss" and not options.get("log_input", True):
        output = output.abs()
    if name == "QuantileLoss":
        function = lambda v: quantile_losses(v, y, **options).mean()  # noqa: E731
    else:
        loss = getattr(torch.nn, name)(**tensors)
        function = lambda v: loss(*given_to(name, v, y))  # noqa: E731
    case = {"loss": name, "options": options, "output": output, "y": y, "direction": direction}
    case |= derivatives(function, output, direction)
    # The mean of the rows' own losses, each by its sample weight, and by its class's.
    weight = torch.rand(ROWS, generator=GENERATOR)
    total = weight.sum()
    if "weight" in tensors:
        total = (weight * tensors["weight"][y]).sum()

    def weighted(v):
        of_rows = own_losses(name, tensors, v, y).reshape(ROWS, -1).mean(dim=1)
        return (weight * of_rows).sum() / total

    found = derivatives(weighted, output, direction)
    case["sample_weight"] = weight
    return case | {f"weighted_{key}": value for key, value in found.items()}


def own_losses(name, options, output, y):
    """Return the loss of each entry, or each row, not averaged."""
    if name == "QuantileLoss":
        return quantile_losses(output, y, **options)
    return getattr(torch.nn, name)(**options, reduction="none")(*given_to(name, output, y))


def given_to(name, output, y):
    """Return what PyTorch's loss is given."""
    if name != "GaussianNLLLoss":
        return output, y
    half = COLUMNS // 2
    return output[:, :half], y, output[:, half:]


def plain(value):
    if isinstance(value, torch.Tensor):
        return (value + 0).tolist()  # some zeros have no memory before
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


GENERATOR = torch.Generator().manual_seed(0)
if __name__ == "__main__":
    layers = [(name, o, getattr(torch.nn, name)(**o, **more)) for name, o, more in LAYERS]
    found = [layer_case(*case) for case in layers] + [loss_case(*case) for case in LOSSES]
    found += [normalization_case(*case) for case in NORMALIZATIONS]
    found.append(embedding_case())
    found.append(standardize_case())
    GENERATOR.manual_seed(1)  # so that cases before these may be added
    found += [normalization_case(*case) for case in MORE_NORMALIZATIONS]
    found.append(columns_case())
    lines = [json.dumps(plain(case)) for case in found]
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    Path(__file__).with_name("operations.json").write_text(text)

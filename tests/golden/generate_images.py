"""Write images.json: what PyTorch computes in float64 for layers of signals and images.

Run it where PyTorch is: ``python tests/golden/generate_images.py``. Arrays are channels last, as in
chainrule; of the options, PyTorch's names and meanings.
"""

import json
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)
ROWS = 2
SIGNAL, IMAGE = (9, 2), (6, 5, 2)
POOLING = [
    ("MaxPool1d", {"kernel_size": 2}),
    ("MaxPool1d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("MaxPool1d", {"kernel_size": 2, "stride": 1, "dilation": 3}),
    ("MaxPool2d", {"kernel_size": 2}),
    ("MaxPool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("MaxPool2d", {"kernel_size": [3, 2], "stride": [1, 2], "padding": [1, 0], "dilation": [2, 1]}),
    ("MaxPool2d", {"kernel_size": [2, 3], "stride": [3, 1], "ceil_mode": True}),
    ("AvgPool1d", {"kernel_size": 2}),
    ("AvgPool1d", {"kernel_size": 4, "stride": 3, "padding": 2, "ceil_mode": True}),
    ("AvgPool2d", {"kernel_size": 2}),
    ("AvgPool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("AvgPool2d", {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0],
                   "ceil_mode": True, "count_include_pad": False}),
]  # fmt: skip
CONVOLUTIONS = [
    ("Conv1d", {"in_channels": 2, "out_channels": 3, "kernel_size": 3}),
    ("Conv1d", {"in_channels": 2, "out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 2,
                "dilation": 2, "groups": 2, "bias": False}),
    ("Conv1d", {"in_channels": 2, "out_channels": 1, "kernel_size": 4, "padding": "same"}),
    ("Conv2d", {"in_channels": 2, "out_channels": 3, "kernel_size": 3, "padding": 1}),
    ("Conv2d", {"in_channels": 2, "out_channels": 20, "kernel_size": [3, 2], "stride": [2, 1],
                "padding": [0, 3]}),
    ("Conv2d", {"in_channels": 2, "out_channels": 4, "kernel_size": 2, "stride": 3, "padding": 1,
                "dilation": [1, 2], "groups": 2}),
    ("Conv2d", {"in_channels": 2, "out_channels": 2, "kernel_size": [2, 3], "padding": "same",
                "groups": 2, "bias": False}),
    ("ConvTranspose1d", {"in_channels": 2, "out_channels": 3, "kernel_size": 3}),
    ("ConvTranspose1d", {"in_channels": 2, "out_channels": 4, "kernel_size": 4, "stride": 3,
                         "padding": 2, "output_padding": 1, "groups": 2, "dilation": 2}),
    ("ConvTranspose2d", {"in_channels": 2, "out_channels": 3, "kernel_size": 2, "stride": 2}),
    ("ConvTranspose2d", {"in_channels": 2, "out_channels": 2, "kernel_size": [3, 2],
                         "stride": [1, 3], "padding": [1, 0], "output_padding": [0, 2],
                         "groups": 2, "bias": False}),
]  # fmt: skip
MODULES = [
    *((name, options, getattr(torch.nn, name)(**options)) for name, options in POOLING),
    ("ZeroPad", {"padding": 2}, torch.nn.ZeroPad2d(2)),
    ("ZeroPad", {"padding": [[1, 2], [3, 0]]}, torch.nn.ZeroPad2d((3, 0, 1, 2))),
    ("Upsample", {"scale_factor": 2}, torch.nn.Upsample(scale_factor=2)),
    ("Upsample", {"scale_factor": [1, 3]}, torch.nn.Upsample(scale_factor=(1, 3))),
    ("GlobalAvgPool", {}, torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())),
    ("GlobalMaxPool", {}, torch.nn.Sequential(torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten())),
    *((name, options, getattr(torch.nn, name)(**options)) for name, options in CONVOLUTIONS),
    ("ZeroPad", {"padding": [[-1, 2], [0, -3]]}, torch.nn.ZeroPad2d((0, -3, -1, 2))),
]
GENERATOR = torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(shape, generator=GENERATOR)


def case(name, options, module):
    """Return value, gradient, and Hessian by x times a direction, of the mean squared error."""

    def layer(x):
        y = module(x.movedim(-1, 1))
        return y.movedim(1, -1) if y.dim() > 2 else y

    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(draw(*parameter.shape))
    shape = ROWS, *(SIGNAL if name.endswith("1d") else IMAGE)
    x, direction = draw(*shape).requires_grad_(), draw(*shape)
    output = layer(x)
    target = draw(*output.shape)
    value = torch.nn.MSELoss()(output, target)
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    (product,) = torch.autograd.grad((gradient * direction).sum(), x)
    found = {"x": x, "y": target, "direction": direction, "output": output, "value": value}
    found |= {"gradient": gradient, "hessian_product": product}
    lists = {key: tensor.tolist() for key, tensor in found.items()}
    if parameters := dict(module.named_parameters()):
        gradients = torch.autograd.grad(torch.nn.MSELoss()(layer(x), target), parameters.values())
        lists["state"] = {key: tensor.tolist() for key, tensor in parameters.items()}
        lists["d_state"] = dict(zip(parameters, (g.tolist() for g in gradients), strict=True))
    return {"layer": name, "options": options} | lists


if __name__ == "__main__":
    lines = [json.dumps(case(*module)) for module in MODULES]
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    Path(__file__).with_name("images.json").write_text(text)

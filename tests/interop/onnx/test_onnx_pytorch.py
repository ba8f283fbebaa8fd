"""Networks as users write them in PyTorch, exported and read: the same outputs and gradients."""

import contextlib
import io
import logging

import numpy as np
import onnxruntime
import pytest
from with_torch import Of, torch

import chainrule as cr

pytest.importorskip("onnxscript")
pytestmark = pytest.mark.filterwarnings("ignore")  # of PyTorch about its exporters
nn, F = torch.nn, torch.nn.functional


def chain(*modules):
    return lambda: nn.Sequential(*(module() for module in modules))


def lenet():
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


class Block(nn.Module):
    """A block of a ResNet."""

    def __init__(self, before, behind, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, behind, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(behind, behind, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(behind), nn.BatchNorm2d(behind)
        self.shortcut = nn.Identity()
        if before != behind:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, behind, 1, stride, bias=False), nn.BatchNorm2d(behind)
            )

    def forward(self, x):
        h = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(h + self.shortcut(x))


def resnet():
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(3, 2, 1), Block(8, 8, 1), Block(8, 12, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5)),
    )


def mobilenet():
    body = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish()),
        *(nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6()),
        *(nn.Conv2d(8, 6, 1), nn.Dropout2d(0.2)),
    )
    return Of(lambda m, x: m.last(m.body(x).mean([2, 3])), body=body, last=nn.Linear(6, 5))


def convnext():
    def forward(m, x):
        h = m.norm(m.depthwise(x).permute(0, 2, 3, 1))
        return x + m.last(F.gelu(m.first(h))).permute(0, 3, 1, 2)

    return Of(forward, depthwise=nn.Conv2d(2, 2, 5, padding=2, groups=2), norm=nn.LayerNorm(2),
              first=nn.Linear(2, 8), last=nn.Linear(8, 2))  # fmt: skip


def unet():
    def forward(m, x):
        h = F.relu(m.first(x))
        below = F.relu(m.below(F.max_pool2d(h, 2)))
        return m.last(torch.cat([h, m.up(below)], 1))

    return Of(forward, first=nn.Conv2d(2, 4, 3, padding=1), below=nn.Conv2d(4, 6, 3, padding=1),
              up=nn.ConvTranspose2d(6, 4, 2, 2), last=nn.Conv2d(8, 1, 1))  # fmt: skip


def signal():
    return nn.Sequential(
        *(nn.Conv1d(3, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Conv1d(8, 6, 3, dilation=2), nn.PReLU(6), nn.AdaptiveAvgPool1d(1)),
        *(nn.Flatten(), nn.Linear(6, 3)),
    )


def table():
    def forward(m, month, days, x):
        h = torch.cat([m.months(month), m.days(days).flatten(1), x], 1)
        return m.last(F.relu(m.first(h)))

    return Of(forward, months=nn.Embedding(7, 4), days=nn.Embedding(7, 2), first=nn.Linear(11, 8),
              last=nn.Linear(8, 2))  # fmt: skip


def conv(out=6, size=3):
    return nn.Conv2d(2, out, size)


def conv1(out=6):
    return nn.Conv1d(3, out, 3)


def behind_conv(*modules):
    """Return a function that makes a network of a convolution and these."""
    return lambda: nn.Sequential(conv(), *modules)


def flat(*modules):
    """Return one of a convolution, of which 144 columns are made, these, and a linear layer."""
    return lambda: nn.Sequential(conv(3), nn.Flatten(), *modules, nn.Linear(144, 4))


def of_conv(function, **parts):
    return lambda: Of(function, c=conv(3), d=conv(5), fc=nn.Linear(8 * 48, 4), **parts)


def parameter(*shape):
    return nn.Parameter(0.5 + torch.rand(shape))


def head(function):
    """Return a function that makes a network of a linear layer behind what a function returns."""
    return lambda: Of(lambda m, x: m.fc(function(m.c(x))), c=conv(), fc=nn.Linear(6, 2))


def signal_head(function):
    return lambda: Of(lambda m, x: m.fc(function(m.c(x))), c=conv1(), fc=nn.Linear(6, 2))


IMAGE, SIGNAL, ROW = (2, 8, 10), (3, 16), (6,)
POOL = nn.AdaptiveAvgPool2d(1)
NETWORKS = {
    "LeNet": (lenet, (1, 28, 28)),
    "ResNet": (resnet, (3, 16, 16)),
    "MobileNet": (mobilenet, (3, 16, 16)),
    "ConvNeXt": (convnext, IMAGE),
    "U-Net": (unet, IMAGE),
    "signal": (signal, SIGNAL),
    "table": (table, (), (2,), (3,)),
    # Normalizations with channels first, and of what is flattened.
    "GroupNorm": (behind_conv(nn.GroupNorm(3, 6), nn.ReLU()), IMAGE),
    "GroupNorm without weight": (behind_conv(nn.GroupNorm(2, 6, affine=False)), IMAGE),
    "GroupNorm, flattened": (flat(nn.GroupNorm(8, 144)), IMAGE),
    "GroupNorm of a signal": (lambda: nn.Sequential(conv1(), nn.GroupNorm(2, 6)), SIGNAL),
    "GroupNorm of rows": (lambda: nn.Sequential(nn.Linear(6, 8), nn.GroupNorm(4, 8)), ROW),
    "GroupNorm first": (lambda: nn.Sequential(nn.GroupNorm(1, 2), conv()), IMAGE),
    "GroupNorm of as many": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 1), nn.GroupNorm(2, 2), conv()), IMAGE),
    "InstanceNorm2d": (behind_conv(nn.InstanceNorm2d(6, affine=True)), IMAGE),
    "InstanceNorm1d": (lambda: nn.Sequential(conv1(), nn.InstanceNorm1d(6)), SIGNAL),
    "BatchNorm1d of a signal": (lambda: nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()), SIGNAL),
    "LayerNorm, flattened": (flat(nn.LayerNorm(144), nn.ReLU()), IMAGE),
    "BatchNorm, flattened": (flat(nn.BatchNorm1d(144)), IMAGE),
    "PReLU, flattened": (flat(nn.PReLU(144)), IMAGE),
    "Softmax, flattened": (flat(nn.Softmax(1)), IMAGE),
    "numbers, flattened": (
        lambda: Of(lambda m, x: m.fc(m.c(x).flatten(1) * m.w + m.w), c=conv(3), w=parameter(144),
                   fc=nn.Linear(144, 4)), IMAGE),
    "a shortcut, flattened": (
        lambda: Of(lambda m, x: m.fc(m.c(x).flatten(1) + m.a(m.c(x).flatten(1))), c=conv(3),
                   a=nn.Linear(144, 144), fc=nn.Linear(144, 4)), IMAGE),
    "flattened at the end": (lambda: nn.Sequential(conv(3), nn.Flatten()), IMAGE),
    "two heads": (
        lambda: Of(lambda m, x: (m.a(m.c(x).flatten(1)), m.b(m.c(x).mean((2, 3)))), c=conv(3),
                   a=nn.Linear(144, 4), b=nn.Linear(3, 2)), IMAGE),
    "an image and a table": (
        lambda: Of(lambda m, x, t: m.fc(torch.cat([m.c(x).flatten(1), t], 1)), c=conv(3),
                   fc=nn.Linear(148, 4)), IMAGE, (4,)),
    # Channels side by side.
    "channels": (of_conv(lambda m, x: torch.cat([m.c(x), F.relu(m.d(x))], 1)), IMAGE),
    "channels, flattened": (
        of_conv(lambda m, x: m.fc(torch.cat([m.c(x), F.relu(m.d(x))], 1).flatten(1))), IMAGE),
    "flattened, then side by side": (
        of_conv(lambda m, x: m.fc(torch.cat([m.c(x).flatten(1), m.d(x).flatten(1)], 1))), IMAGE),
    "channels beside the input's": (
        lambda: Of(lambda m, x: m.fc(torch.cat([x, m.d(x)], -3).flatten(1)),
                   d=nn.Conv2d(2, 5, 3, padding=1), fc=nn.Linear(560, 4)), IMAGE),
    "Softmax of channels": (behind_conv(nn.Softmax(1)), IMAGE),
    "GLU of channels": (behind_conv(nn.GLU(1)), IMAGE),
    # Slopes, and other numbers for channels.
    "PReLU": (behind_conv(nn.PReLU(6)), IMAGE),
    "PReLU of one": (behind_conv(nn.PReLU()), IMAGE),
    "PReLU, as high": (
        lambda: nn.Sequential(nn.Conv2d(2, 6, (3, 5)), nn.PReLU(6)), IMAGE),
    "PReLU of a signal": (lambda: nn.Sequential(conv1(), nn.PReLU(6)), SIGNAL),
    "PReLU of rows": (lambda: nn.Sequential(nn.Linear(6, 4), nn.PReLU(4)), ROW),
    "a normalized input": (
        lambda: Of(lambda m, x: m.c((x - m.mean) / m.std), c=conv(), mean=parameter(1, 2, 1, 1),
                   std=parameter(2, 1, 1)), IMAGE),
    "a scale and a bias of channels": (
        lambda: Of(lambda m, x: m.s * m.c(x) + m.b, c=conv(), s=parameter(6, 1, 1),
                   b=parameter(1, 6, 1, 1)), IMAGE),
    "a difference": (lambda: Of(lambda m, x: m.c(x) - m.d(x), c=conv(), d=conv()), IMAGE),
    # Windows.
    "AvgPool2d": (behind_conv(nn.AvgPool2d(3, 2, 1)), IMAGE),
    "AvgPool2d without padding": (
        behind_conv(nn.AvgPool2d(3, 2, 1, count_include_pad=False)), IMAGE),
    "AvgPool2d, ceil_mode": (behind_conv(nn.AvgPool2d(2, 2, 1, ceil_mode=True)), (2, 9, 11)),
    "MaxPool2d, ceil_mode": (behind_conv(nn.MaxPool2d(2, 2, 1, ceil_mode=True)), (2, 9, 11)),
    "MaxPool2d, dilation": (behind_conv(nn.MaxPool2d(2, 1, dilation=2)), IMAGE),
    "MaxPool1d": (lambda: nn.Sequential(conv1(), nn.MaxPool1d(2, 1, dilation=3)), SIGNAL),
    "Conv2d, same": (lambda: nn.Conv2d(2, 3, (2, 4), padding="same", bias=False), IMAGE),
    "Conv2d, all": (lambda: nn.Conv2d(2, 4, 3, (2, 1), (1, 2), (1, 2), groups=2), IMAGE),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 4, 3, 2, 1, 1, groups=2), IMAGE),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(3, 4, 3, 2, output_padding=1), SIGNAL),
    "Upsample": (behind_conv(nn.Upsample(scale_factor=(2, 3))), IMAGE),
    "Upsample, size": (behind_conv(nn.Upsample(size=(12, 16))), IMAGE),
    "Upsample of a signal": (lambda: nn.Sequential(conv1(), nn.Upsample(size=28)), SIGNAL),
    "ZeroPad2d": (lambda: nn.Sequential(nn.ZeroPad2d((1, 2, 3, 0)), conv()), IMAGE),
    "ZeroPad2d behind": (behind_conv(nn.ZeroPad2d(2)), IMAGE),
    "ZeroPad1d": (lambda: nn.Sequential(nn.ZeroPad1d((1, 2)), conv1()), SIGNAL),
    "a cut": (lambda: nn.Sequential(nn.ZeroPad2d((-1, -2, 1, 0)), conv()), IMAGE),
    "a slice": (lambda: Of(lambda m, x: m.c(x[:, :, 1:-1, 2:8]), c=conv()), IMAGE),
    # Global pooling, and ways to flatten.
    "pooled, Flatten": (head(lambda h: POOL(h).flatten(1)), IMAGE),
    "pooled, squeeze": (head(lambda h: POOL(h).squeeze(-1).squeeze(-1)), IMAGE),
    "pooled, picked": (head(lambda h: POOL(h)[:, :, 0, 0]), IMAGE),
    "pooled, activation": (head(lambda h: F.relu(POOL(h)).flatten(1)), IMAGE),
    "mean": (head(lambda h: h.mean((-1, -2))), IMAGE),
    "mean, kept": (head(lambda h: h.mean((2, 3), keepdim=True).view(-1, 6)), IMAGE),
    "largest": (head(lambda h: h.amax((2, 3))), IMAGE),
    "mean of a signal": (signal_head(lambda h: h.mean(2)), SIGNAL),
    "largest of a signal": (signal_head(lambda h: h.max(-1)[0]), SIGNAL),
    "pooled signal": (signal_head(lambda h: F.adaptive_avg_pool1d(h, 1).squeeze(-1)), SIGNAL),
    "pooled, 1 x 1": (behind_conv(nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 4, 1), nn.Flatten()),
                      IMAGE),
    "windows as large as the image": (
        head(lambda h: F.avg_pool2d(h, (6, 8)).squeeze(-1).squeeze(-1)), IMAGE),
    "windows as large, picked": (head(lambda h: F.max_pool2d(h, (6, 8))[:, :, 0, 0]), IMAGE),
    "windows as large, kept": (head(lambda h: F.max_pool2d(h, (6, 8)).view(-1, 6)), IMAGE),
    "windows as long as the signal": (
        signal_head(lambda h: F.max_pool1d(F.relu(h), 14).squeeze(2)), SIGNAL),
    "a score of each image": (
        lambda: Of(lambda m, x: m.d(m.c(x)).view(-1), c=conv(), d=nn.Conv2d(6, 1, (6, 8))), IMAGE),
    "a score, Sigmoid": (
        lambda: Of(lambda m, x: m.d(m.c(x)).sigmoid().mean((2, 3)).view(x.size(0)), c=conv(),
                   d=nn.Conv2d(6, 1, 3)), IMAGE),
    "the last place": (signal_head(lambda h: h[:, :, -1]), SIGNAL),
    "a place, activation": (signal_head(lambda h: F.relu(h[..., 3])), SIGNAL),
    "adaptive": (behind_conv(nn.AdaptiveAvgPool2d((3, 4)), nn.Flatten(), nn.Linear(72, 2)), IMAGE),
    "signals without channels": (
        lambda: Of(lambda m, x: m.c((x / 2).unsqueeze(1)), c=nn.Conv1d(1, 4, 3)), (16,)),
    "images without channels": (
        lambda: Of(lambda m, x: m.c(x[:, None]), c=nn.Conv2d(1, 4, 3)), (8, 7)),
    "view": (
        lambda: Of(lambda m, x: m.fc(m.c(x).view(x.size(0), -1)), c=conv(3),
                   fc=nn.Linear(144, 4)), IMAGE),
    "view by the shape": (
        lambda: Of(lambda m, x: (lambda h: m.fc(h.view(h.shape[0], h.shape[1] * h.shape[2] *
                                                       h.shape[3])))(m.c(x)),
                   c=conv(3), fc=nn.Linear(144, 4)), IMAGE),
    # Axes that are turned.
    "permute and Linear": (
        lambda: Of(lambda m, x: m.l(m.c(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2), c=conv(),
                   l=nn.Linear(6, 3)), IMAGE),
    "an embedded sequence": (
        lambda: Of(lambda m, x: m.c(m.e(x).transpose(1, 2)), e=nn.Embedding(7, 3), c=conv1()),
        (9,)),
    "activations": (
        behind_conv(nn.Hardswish(), nn.Hardsigmoid(), nn.ELU(0.5), nn.CELU(0.5), nn.GELU("tanh"),
                    nn.SELU(), nn.Mish(), nn.Softplus(2.0), nn.Hardtanh(), nn.Softsign()), IMAGE),
    "RMSNorm, written out": (
        lambda: Of(lambda m, x: m.w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)),
                   w=parameter(6)), ROW),
    "LayerNorm of rows": (lambda: nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5)), ROW),
}  # fmt: skip
# By PyTorch's new exporter, which takes more time: those whose nodes are others.
OF_BOTH = [
    *("ResNet", "signal", "table", "ConvNeXt", "GroupNorm", "GroupNorm without weight"),
    *("LayerNorm, flattened", "channels, flattened", "PReLU, as high", "Upsample, size"),
    *(
        "largest",
        "pooled signal",
        "ZeroPad2d",
        "view",
        "GLU of channels",
        "signals without channels",
    ),
]
CASES = [(name, "script", 17) for name in NETWORKS]
CASES += [(name, "script", 13) for name in ("LayerNorm of rows", "LayerNorm, flattened", "mean")]
CASES += [(name, "dynamo", 18) for name in OF_BOTH]
CASES += [(name, "dynamo", 21) for name in ("GroupNorm", "GroupNorm without weight")]
# With a fixed batch, as users export who give no dynamic shapes: shapes are numbers then.
FIXED = ["GroupNorm", "GroupNorm, flattened", "GroupNorm of a signal", "GroupNorm of rows"]
FIXED += [
    "windows as long as the signal",
    "the last place",
    "a score of each image",
    "RMSNorm, written out",
    "Upsample, size",
    "GLU of channels",
    "view",
    "mean, kept",
    "InstanceNorm1d",
    "ResNet",
]
CASES += [(name, "dynamo, fixed", 18) for name in FIXED]
CASES += [(name, "script, fixed", 17) for name in FIXED]


def made(name):
    """Return a network in evaluation mode, and its inputs."""
    torch.manual_seed(0)
    make, *shapes = NETWORKS[name]
    model = make().eval()
    for module in model.modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
        if "Norm" in type(module).__name__:
            for parameter in module.parameters(recurse=False):
                nn.init.normal_(parameter)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight)
    inputs = [
        torch.randint(0, 7, (3, *shape)) if shape in ((), (2,), (9,)) else torch.randn(3, *shape)
        for shape in shapes
    ]
    return model, tuple(inputs)


def exported(model, inputs, exporter, opset, path):
    names = [f"x{i}" for i in range(len(inputs))]
    if "script" in exporter:
        options = {"dynamo": False, "input_names": names}
    else:
        options = {"dynamo": True, "verbose": False, "external_data": False}
    if exporter == "script":
        options["dynamic_axes"] = {name: {0: "batch"} for name in names}
    elif exporter == "dynamo":
        shapes = tuple({0: torch.export.Dim("batch")} for _ in inputs)
        options["dynamic_shapes"] = (shapes,) if isinstance(model, Of) else shapes
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            torch.onnx.export(model, inputs, path, opset_version=opset, **options)
    finally:
        logging.disable(logging.NOTSET)


def as_here(array, has_channels=True):
    """Return an array as the network has it: channels last, and a vector as a column."""
    if array.ndim == 1 or not has_channels:
        return array[..., np.newaxis]
    return np.moveaxis(array, 1, -1)


@pytest.mark.parametrize(("name", "exporter", "opset"), CASES)
def test_networks_of_pytorch(tmp_path, name, exporter, opset):
    model, inputs = made(name)
    path = tmp_path / "model.onnx"
    exported(model, inputs, exporter, opset, path)
    net = cr.from_onnx(path)
    has_channels = not name.endswith("without channels")
    x = [as_here(tensor.numpy(), has_channels) for tensor in inputs]
    for tensor in inputs:
        tensor.requires_grad_(tensor.is_floating_point())
    outputs = model(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    arrays = [tensor.detach().numpy() for tensor in inputs]
    of_file = session.run(None, dict(zip(names, arrays, strict=True)))
    found, pullback = cr.vjp(net, tuple(x) if len(x) > 1 else x[0])
    close = {"rtol": 1e-4, "atol": 2e-5}
    several = isinstance(found, tuple)
    for ours, theirs, other in zip(found if several else (found,), outputs, of_file, strict=True):
        np.testing.assert_allclose(other, theirs.detach().numpy(), **close)
        np.testing.assert_allclose(ours, as_here(theirs.detach().numpy()), **close)
    # The gradient by the input goes through all layers, whatever the file made of them.
    signs = [torch.randn_like(output) for output in outputs]
    sum((o * sign).sum() for o, sign in zip(outputs, signs, strict=True)).backward()
    dy = tuple(as_here(sign.numpy()) for sign in signs)
    _, dx = pullback(dy if several else dy[0])
    for ours, tensor in zip(dx if len(x) > 1 else (dx,), inputs, strict=True):
        if tensor.grad is not None:
            expected = as_here(tensor.grad.numpy(), has_channels)
            np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)

"""State dicts of networks of images, signals and tables, and as_torch, beside PyTorch's own."""

import numpy as np
import pytest
from with_torch import Of, torch

import chainrule as cr

nn, F = torch.nn, torch.nn.functional
from_state_dict, to_state_dict = cr.interop.torch.from_state_dict, cr.interop.torch.to_state_dict


def lenet():
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(36, 8), nn.Tanh(),
        nn.Linear(8, 3),
    )  # fmt: skip
    net = [
        cr.Conv2d(1, 6, 5, padding=2), cr.ReLU(), cr.MaxPool2d(2), cr.Conv2d(6, 4, 5), cr.ReLU(),
        cr.MaxPool2d(2), cr.Flatten(), cr.Dropout(0.3), cr.Linear(36, 8), cr.Tanh(),
        cr.Linear(8, 3),
    ]  # fmt: skip
    return model, net, [(1, 20, 20)]


def nested():
    """The names of what stands in a Sequential within another are the same in both."""
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.GroupNorm(2, 6), nn.PReLU(6)),
        nn.Sequential(nn.ConvTranspose2d(6, 4, 2, 2, groups=2), nn.BatchNorm2d(4, affine=False)),
        nn.Sequential(nn.Flatten(), nn.Linear(4 * 12 * 8, 3)),
    )
    net = [
        cr.Sequential(cr.Conv2d(2, 6, 3, bias=False), cr.BatchNorm(6), cr.ReLU()),
        cr.Sequential(cr.Conv2d(6, 6, 3, padding=1, groups=6), cr.GroupNorm(2, 6), cr.PReLU(6)),
        cr.Sequential(cr.ConvTranspose2d(6, 4, 2, 2, groups=2), cr.BatchNorm(4, affine=False)),
        cr.Sequential(cr.Flatten(), cr.Linear(4 * 12 * 8, 3)),
    ]
    return model, net, [(2, 8, 6)]


class Block(nn.Module):
    """A block of a ResNet, with torchvision's names."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


def resnet():
    def half():
        return cr.Conv2d(5, 5, 3, padding=1, bias=False), cr.BatchNorm(5)

    model = Of(lambda m, x: m.fc(m.block(m.stem(x)).mean((2, 3))), stem=nn.Conv2d(2, 5, 3, 2),
               block=Block(5), fc=nn.Linear(5, 3))  # fmt: skip
    block = cr.Residual(*half(), cr.ReLU(), *half())
    net = [cr.Conv2d(2, 5, 3, 2), block, cr.ReLU(), cr.GlobalAvgPool(), cr.Linear(5, 3)]
    return model, net, [(2, 9, 8)]


def side_by_side():
    def forward(m, x):
        return m.fc(torch.cat([m.narrow(x), F.relu(m.wide(x))], 1).flatten(1))

    model = Of(forward, narrow=nn.Conv2d(2, 3, 1), wide=nn.Conv2d(2, 4, 3, padding=1),
               fc=nn.Linear(7 * 20, 3))  # fmt: skip
    wide = cr.Sequential(cr.Conv2d(2, 4, 3, padding=1), cr.ReLU())
    both = cr.Parallel(cr.Conv2d(2, 3, 1), wide, combine="concatenate")
    return model, [both, cr.Flatten(), cr.Linear(7 * 20, 3)], [(2, 5, 4)]


def signal():
    model = nn.Sequential(
        nn.Conv1d(3, 4, 5, 2), nn.BatchNorm1d(4), nn.ELU(), nn.ConvTranspose1d(4, 2, 3),
        nn.MaxPool1d(2), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip
    net = [
        cr.Conv1d(3, 4, 5, 2), cr.BatchNorm(4), cr.ELU(), cr.ConvTranspose1d(4, 2, 3),
        cr.MaxPool1d(2), cr.Flatten(), cr.Linear(8, 3),
    ]  # fmt: skip
    return model, net, [(3, 16)]


def normalized():
    """What is normalized column by column behind a Flatten has PyTorch's order of columns, too."""
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.Flatten(), nn.BatchNorm1d(36), nn.PReLU(36), nn.LayerNorm(36),
        nn.RMSNorm(36), nn.PReLU(), nn.Softmax(1), nn.Linear(36, 4),
    )  # fmt: skip
    net = [
        cr.Conv2d(2, 3, 3), cr.Flatten(), cr.BatchNorm(36), cr.PReLU(36), cr.LayerNorm(36),
        cr.RMSNorm(36), cr.PReLU(), cr.Softmax(), cr.Linear(36, 4),
    ]  # fmt: skip
    return model, net, [(2, 6, 5)]


def table():
    def forward(m, image, codes, x):
        h = m.conv(image).relu().flatten(1)
        return m.fc(torch.cat([m.image(h), m.codes(codes).flatten(1), m.norm(x)], 1))

    model = Of(forward, conv=nn.Conv2d(1, 2, 3), image=nn.Linear(2 * 4 * 3, 5),
               codes=nn.Embedding(7, 4), norm=nn.BatchNorm1d(3), fc=nn.Linear(16, 2))  # fmt: skip
    image = cr.Sequential(cr.Conv2d(1, 2, 3), cr.ReLU(), cr.Flatten(), cr.Linear(24, 5))
    codes = cr.Sequential(cr.Embedding(7, 4), cr.Flatten())
    net = [cr.Inputs(image, codes, cr.BatchNorm(3)), cr.Linear(16, 2)]
    return model, net, [(1, 6, 5), (2,), (3,)]


CASES = [lenet, nested, resnet, side_by_side, signal, normalized, table]
each = pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)


def pair(make, seed=0):
    """Return PyTorch's model after steps of training, ours with its values, and inputs."""
    torch.manual_seed(seed)
    model, layers, shapes = make()
    model = model.double()
    for parameter in model.parameters():  # those of normalizations differ then, too
        nn.init.normal_(parameter, std=0.5)
    for _ in range(3):  # which move the running statistics, and count batches
        model(*inputs(shapes, 6))
    net = cr.Sequential(*layers, seed=seed, dtype="float64")
    from_state_dict(net, model.state_dict())
    return model.eval(), net, inputs(shapes, 5)


def inputs(shapes, rows):
    return [
        torch.randint(0, 7, (rows, 2)) if shape == (2,) else torch.randn(rows, *shape).double()
        for shape in shapes
    ]


def as_here(tensor):
    array = tensor.detach().numpy()
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


def predicted(net, tensors):
    x = tuple(map(as_here, tensors))
    return net.predict(x if len(x) > 1 else x[0])


@each
def test_a_model_of_pytorch_computes_the_same_here(make):
    model, net, x = pair(make)
    np.testing.assert_allclose(predicted(net, x), model(*x).detach().numpy(), atol=1e-12)


@each
def test_what_is_trained_here_goes_back(make):
    model, net, x = pair(make)
    net.params = 0.5 * net.params + 0.01
    state = dict(zip(model.state_dict(), to_state_dict(net).values(), strict=True))
    counts = [value for name, value in state.items() if name.endswith("num_batches_tracked")]
    assert all(count.dtype == torch.int64 and count == 3 for count in counts)
    model.load_state_dict(state)
    np.testing.assert_allclose(predicted(net, x), model(*x).detach().numpy(), atol=1e-12)
    if isinstance(model, nn.Sequential):
        assert list(to_state_dict(net)) == list(model.state_dict())


@each
def test_a_step_of_training_is_the_same(make):
    model, net, x = pair(make)
    module = cr.interop.torch.as_torch(net).eval()
    given = [torch.from_numpy(as_here(tensor).copy()) for tensor in x]
    for one, own in ((model, x), (module, given)):
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
        one(*own).square().mean().backward()
        optimizer.step()
    found = module(*given).detach().numpy()
    np.testing.assert_allclose(found, model(*x).detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(predicted(net, x), found, atol=1e-12)


def test_groups_of_flattened_images_are_refused():
    net = cr.Sequential(cr.Conv2d(2, 3, 3), cr.Flatten(), cr.GroupNorm(2, 36))
    with pytest.raises(
        ValueError, match=r"GroupNorm\(2, 36\) \(layer 2\) .* other columns in a group"
    ):
        to_state_dict(net)

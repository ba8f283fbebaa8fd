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


UNTOLD = {
    "MaxPool2d": (nn.MaxPool2d(2), [cr.MaxPool2d(2)], 6),
    "AvgPool2d, ReLU": (nn.Sequential(nn.AvgPool2d(2), nn.ReLU()), [cr.AvgPool2d(2), cr.ReLU()], 6),
    "ZeroPad": (nn.ZeroPad2d(1), [cr.ZeroPad(1)], 48),
    "Upsample": (nn.Upsample(scale_factor=2), [cr.Upsample(2)], 96),
    "RandomShift": (nn.Identity(), [cr.RandomShift(1)], 24),
    "RandomFlip": (nn.Identity(), [cr.RandomFlip()], 24),
    "RandomCrop": (nn.ZeroPad2d((-1, -1, -1, -1)), [cr.RandomCrop((4, 2))], 8),
    "a shortcut": (nn.MaxPool2d(1), [cr.Residual(cr.MaxPool2d(1)), cr.Rescale(0.5)], 24),
    # Flat rows, perhaps.
    "nothing": (nn.Identity(), [], 24),
    "Tanh": (nn.Tanh(), [cr.Tanh()], 24),
    "Rescale": (nn.Identity(), [cr.Rescale(1.0)], 24),
    "Flatten twice": (nn.Identity(), [cr.Flatten(), cr.ReLU()], 24),
}  # fmt: skip


def behind(name, channels):
    """Return what is in UNTOLD, then a Flatten and a linear layer, of both; and the input."""
    model, layers, pixels = UNTOLD[name]
    size = channels * pixels
    model = nn.Sequential(model, nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(size), nn.Linear(size, 3))
    own = [*layers, cr.ReLU(), cr.Flatten(), cr.BatchNorm(size), cr.Linear(size, 3)]
    return model.eval(), cr.Sequential(*own, seed=0), torch.randn(5, channels, 6, 4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", UNTOLD)
def test_the_input_tells_the_channels_where_no_layer_does(name, channels, tmp_path):
    model, net, x = behind(name, channels)
    shape, path = (6, 4, channels), tmp_path / "state.safetensors"
    from_state_dict(net, model.state_dict(), input_shape=shape)
    expected = model(x).detach().numpy()
    np.testing.assert_allclose(net.predict(as_here(x)), expected, atol=1e-6)
    for found in (to_state_dict(net, input_shape=shape), model.state_dict()):
        state = dict(zip(model.state_dict(), found.values(), strict=True))
        model.load_state_dict(state)
        np.testing.assert_allclose(model(x).detach().numpy(), expected, atol=1e-6)
    cr.interop.torch.save_state_dict(net, path, input_shape=shape)
    other = net.copy()
    other.params = np.zeros_like(net.params)
    from_state_dict(other, path, input_shape=list(shape))
    np.testing.assert_array_equal(other.values, net.values)


@pytest.mark.parametrize("name", UNTOLD)
def test_channels_that_nothing_tells_are_an_error(name, tmp_path):
    _, net, _ = behind(name, 1)
    before, path = net.values.copy(), tmp_path / "state.safetensors"
    calls = [
        lambda: to_state_dict(net),
        lambda: cr.interop.torch.save_state_dict(net, path),
        lambda: from_state_dict(net, {}),
    ]
    if name not in ("nothing", "Tanh", "Rescale", "Flatten twice"):
        for call in calls:
            with pytest.raises(ValueError, match=r"^BatchNorm\(.*no layer tells .* input_shape=\("):
                call()
    else:  # of one channel, or rows: PyTorch has the same order
        same = to_state_dict(net, input_shape=(6, 4, 1))
        assert all(torch.equal(found, same[key]) for key, found in to_state_dict(net).items())
    assert not path.exists() or name in ("nothing", "Tanh", "Rescale", "Flatten twice")
    np.testing.assert_array_equal(net.values, before)


def test_normalized_channels_tell_their_number():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(72, 2)).eval()
    net = cr.Sequential(cr.BatchNorm(3), cr.Flatten(), cr.Linear(72, 2))
    from_state_dict(net, model.state_dict())
    x = torch.randn(5, 3, 6, 4)
    np.testing.assert_allclose(net.predict(as_here(x)), model(x).detach().numpy(), atol=1e-6)


def test_what_works_along_the_last_axis_in_pytorch_too_is_not_of_channels():
    layers = cr.Linear(3, 2), cr.LayerNorm(2), cr.Flatten(), cr.Linear(48, 2)
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Flatten(), nn.Linear(48, 2))
    net, x = cr.Sequential(*layers), torch.randn(5, 6, 4, 3)
    from_state_dict(net, model.state_dict(), input_shape=(6, 4, 3))
    np.testing.assert_allclose(net.predict(x.numpy()), model(x).detach().numpy(), atol=1e-6)


def test_pooled_images_have_no_order_of_places():
    net = cr.Sequential(cr.GlobalAvgPool(), cr.Flatten(), cr.Linear(3, 2))
    assert to_state_dict(net)["2.weight"].shape == (2, 3)


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ("28", TypeError, r"input_shape must be a tuple such as \(28, 28, 1\), not '28'"),
        ((6, 4), ValueError, "MaxPool2d"),
        ((6, 4, 2), ValueError, "Linear"),
    ],
)
def test_an_input_shape_must_fit(shape, error, message):
    net = cr.Sequential(cr.MaxPool2d(2), cr.Flatten(), cr.Linear(18, 3))
    with pytest.raises(error, match=message):
        to_state_dict(net, input_shape=shape)

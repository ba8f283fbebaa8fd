"""What a parameter says of itself: shape, initializer, fan-in, and its axes in PyTorch."""

import numpy as np
import pytest

import chainrule as cr


class Kernel(cr.NumPyLayer):
    """A layer with a weight of three axes, as a convolution has."""

    def __init__(self, **about):
        self.about = about
        super().__init__()

    def parameters(self):
        return {"weight": cr.Parameter((3, 4, 5), cr.initializers.UniformByFanIn(), **self.about)}

    def forward(self, x, weight):
        return x * weight.sum(), (x, weight)

    def backward(self, dy, saved):
        x, weight = saved
        return dy * weight.sum(), {"weight": np.full(weight.shape, (dy * x).sum())}


def test_initializers_scale_by_the_given_fan_in():
    largest = [
        abs(cr.Sequential(Kernel(**about), seed=0).params).max()
        for about in ({}, {"fan_in": 3}, {"fan_in": 12})
    ]
    assert largest[0] == largest[1] == pytest.approx(2 * largest[2], rel=1e-6)


def test_state_dicts_have_the_axes_of_pytorch():
    net = cr.Sequential(Kernel(torch_axes=(2, 0, 1)), seed=0)
    weight = net.parameters()["0.weight"]
    state = cr.interop.torch.to_state_dict(net, framework="numpy")
    np.testing.assert_array_equal(state["0.weight"], weight.transpose(2, 0, 1))
    other = cr.Sequential(Kernel(torch_axes=(2, 0, 1)), seed=1)
    cr.interop.torch.from_state_dict(other, state)
    np.testing.assert_array_equal(other.params, net.params)


def test_axes_in_a_list_are_those_in_a_tuple():
    both = [
        cr.Parameter((3, 4, 5), cr.initializers.Zeros(), torch_axes=axes)
        for axes in ([2, 0, 1], (2, 0, 1))
    ]
    assert len({*both}) == 1


@pytest.mark.parametrize(
    ("about", "error", "message"),
    [
        ({"fan_in": 0}, ValueError, "fan_in must be at least 1"),
        ({"fan_in": 1.5}, TypeError, "fan_in must be an int"),
        ({"torch_axes": (0, 1)}, ValueError, r"order of its 3 axes, not \(0, 1\)"),
        ({"torch_axes": (0, 1, 1)}, ValueError, "order of its 3 axes"),
        ({"torch_axes": 1}, TypeError, "torch_axes must be a tuple such as"),
        ({"torch_axes": (2.0, 0, 1)}, TypeError, "in torch_axes must be an integer, not 2.0"),
    ],
)
def test_wrong_values_are_named(about, error, message):
    with pytest.raises(error, match=message):
        cr.Parameter((3, 4, 5), cr.initializers.Zeros(), **about)

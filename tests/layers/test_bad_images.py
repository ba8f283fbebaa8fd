"""Bad arguments and shapes of layers of signals and images: an error that names the numbers."""

import numpy as np
import pytest

import chainrule as cr

KERNELS = [cr.MaxPool1d, cr.MaxPool2d, cr.AvgPool1d, cr.AvgPool2d]
IMAGE = (6, 5, 2)


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1, not 0"),
        ({"kernel_size": 2.0}, TypeError, "kernel_size must be an integer, not 2.0"),
        ({"kernel_size": (1, 2, 3)}, ValueError, r"kernel_size must be an integer.*not \(1, 2, 3"),
        ({"kernel_size": "2"}, TypeError, "kernel_size must be an integer, not '2'"),
        ({"kernel_size": 2, "stride": 0}, ValueError, "stride must be at least 1, not 0"),
        ({"kernel_size": 2, "padding": -1}, ValueError, "padding must be at least 0, not -1"),
        ({"kernel_size": 3, "padding": 2}, ValueError, r"at most 1, .* \(3\), not 2\."),
        ({"kernel_size": 2, "ceil_mode": 1}, TypeError, "ceil_mode must be True or False, not 1"),
    ],
)
def test_wrong_arguments_of_pooling(kind, options, error, message):
    with pytest.raises(error, match=f"^{kind.__name__}'s {message}|{kind.__name__}'s .*{message}"):
        kind(**options)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (cr.MaxPool2d(7), IMAGE, "has windows of length 7, which do not fit into 6, but"),
        (cr.AvgPool2d((2, 8), padding=(0, 1)), IMAGE, "length 8, which do not fit into 5 with a "),
        (cr.MaxPool2d(2, dilation=6), IMAGE, "has windows of length 7, which do not fit into 6"),
        (cr.MaxPool1d(2, padding=1, dilation=5), (4, 2), "has windows of padding alone.*of 4"),
        (cr.MaxPool2d(2), (5, 2), r"expects shape \(n, height, width, channels\)"),
        (cr.MaxPool2d(2), (1, 28, 28), r"into 1, but .*: channels come last, as [xX].transpose"),
        (cr.AvgPool1d(4), (3, 128), r"into 3, but .*: channels come last, as [xX].transpose"),
        (cr.AvgPool1d(2), (6,), r"shape \(n, length, channels\), .*: [xX]\[..., np.newaxis\]"),
        (cr.GlobalAvgPool(), (6,), "expects at least one axis before the channels"),
        (cr.GlobalMaxPool(), (1,), "expects at least one axis before the channels"),
        (cr.ZeroPad(1), (6,), r"expects shape \(n, length, channels\) or \(n, height, width, c"),
        (cr.ZeroPad(((-4, 9), -2)), (4, 4, 2), "pads by -4 and 9 at the ends, .* nothing of 4"),
        (cr.ZeroPad((1, 2)), (6, 2), r"has \(1, 2\), whose numbers are for height and width"),
        (cr.Upsample((2,)), IMAGE, r"has \(2,\), whose numbers are for length"),
        (cr.Upsample(2), (2, 6, 5, 2), "expects shape"),
        (cr.RandomShift(5), IMAGE, "shifts by up to 5, which leaves nothing of 5"),
        (cr.RandomShift((1, 1)), (6, 2), r"has \(1, 1\), whose numbers are for height and width"),
        (cr.RandomFlip("vertical"), (6, 2), "flips height, which a signal does not have"),
        (cr.RandomCrop(6), IMAGE, "has size 6, which does not fit into 5, but"),
        (cr.RandomCrop((10, 3), padding=1), IMAGE, "size 10, which does not fit into 6 with a pad"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit(layer, shape, message):
    net, called = cr.Sequential(layer, seed=0), rf"^{type(layer).__name__}\(.*\) \(layer 0\) "
    X, y = np.ones((3, *shape)), np.zeros(3, int)
    calls = [
        lambda: net.output_shapes(shape),
        lambda: net.predict(X),
        lambda: net.forward(X),
        lambda: cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), progress=False),
        lambda: cr.gradcheck(net, cr.MSELoss(), X, y),
        lambda: cr.jacobian(net, X),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=called + ".*" + message):
            call()


def test_windows_with_a_layer_before_that_gives_other_shapes():
    net = cr.Sequential(cr.Linear(2, 3), cr.MaxPool2d(2), cr.MaxPool2d(3), seed=0)
    with pytest.raises(
        ValueError, match=r"\(layer 2\) has windows of length 3.*gives shape \(n, 3"
    ):
        net.predict(np.ones((1, 6, 5, 2)))

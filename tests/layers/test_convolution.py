"""Convolutions: any windows, the same bits whoever computes them, and what is refused.

Golden values, derivatives, threads and files are in test_image_layers.py.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.operations import convolution as compiled
from chainrule.operations import transposed_convolution as compiled_transposed
from chainrule.reference import convolution as reference
from chainrule.reference import transposed_convolution as reference_transposed

ROOM = 1 << 12  # bytes behind a workspace, which must stay as they are


@st.composite
def problems(draw):
    """Return images, what they give, a weight and ``window``; with few channels, and with many."""
    pair = lambda least, most: [draw(st.integers(least, most)) for _ in range(2)]  # noqa: E731
    kernel, stride, before, dilation = pair(1, 4), pair(1, 3), pair(0, 4), pair(1, 3)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, outputs = (groups * draw(st.integers(1, most)) for most in (5, 40 // groups))
    more = pair(0, 2)  # padding behind the images, beyond that before them
    lengths = []
    for k, s, p, d, q in zip(kernel, stride, before, dilation, more, strict=True):
        least = max(1, d * (k - 1) + 1 - 2 * p - q)
        length = draw(st.integers(least, least + 30))
        lengths.append((length, (length + 2 * p + q - d * (k - 1) - 1) // s + 1))
    (height, rows), (width, columns) = lengths
    n, rng = draw(st.integers(1, 4)), np.random.default_rng(draw(st.integers(0, 99)))
    window = np.array([*kernel, *stride, *before, *dilation, groups], float)
    x, y = (n, height, width, channels), (n, rows, columns, outputs)
    weight = rng.normal(size=(kernel[0] * kernel[1] * channels // groups, outputs))
    return *(rng.normal(size=shape) for shape in (x, y)), weight, window, rng


def workspace(x, y, window, *, backward=True):
    """Return a workspace for these, and all of the memory in which it lies."""
    item, lengths = x.itemsize, (x.shape[1:], y.shape[1:])
    size = compiled.scratch_bytes(*lengths, window, len(x), item, backward=backward) // item
    memory = np.full(size + 2 * ROOM // item, 7, x.dtype)
    return memory[ROOM // item :][:size], memory


def between_nans(array):
    """Return a copy of an array before and behind which there are NaNs: nobody may take these."""
    memory = np.full(array.size + 2 * ROOM // array.itemsize, np.nan, array.dtype)
    copy = memory[ROOM // array.itemsize :][: array.size].reshape(array.shape)
    copy[...] = array
    return copy


def close(found, expected, tolerance=1e-10):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(problems(), st.booleans(), st.sampled_from([-np.inf, 0.0]), st.sampled_from(["f4", "f8"]))
def test_any_windows(problem, adds, floor, dtype):
    *arrays, rng = problem
    x, y, weight, window = (between_nans(array.astype(dtype)) for array in arrays)
    bias, of_x = (rng.normal(size=a.shape[-1]).astype(dtype) for a in (y, x))
    bias, of_x = between_nans(bias), between_nans(of_x)
    scratch, memory = workspace(x, y, window)
    of_predictions, more_memory = workspace(x, y, window, backward=False)
    for pass_, given_, out in (
        ("", (x, weight, bias, window, floor, of_predictions), y),
        ("_backward", (y, weight, window, int(adds), scratch), x),
    ):
        found, expected = between_nans(out), out.copy()
        getattr(compiled, f"convolution{pass_}")(*given_, found)
        getattr(reference, f"convolution{pass_}")(*given_, expected)
        close(found, expected, 1e-10 if dtype == "f8" else 2e-3)
        assert np.isnan(found.base).sum() == found.base.size - found.size
    found, expected = ([f(weight), f(bias)] for f in (between_nans, np.copy))
    arguments = x, y, window, 0, int(adds), scratch
    compiled.convolution_backward_parameters(*arguments, *found)
    reference.convolution_backward_parameters(*arguments, *expected)
    for mine, other in zip(found, expected, strict=True):
        close(mine, other, 1e-10 if dtype == "f8" else 2e-3)
        assert np.isnan(mine.base).sum() == mine.base.size - mine.size
    found, expected = between_nans(x), x.copy()
    arguments = y, weight, of_x, window, floor, scratch
    compiled_transposed.transposed_convolution(*arguments, found)
    reference_transposed.transposed_convolution(*arguments, expected)
    close(found, expected, 1e-10 if dtype == "f8" else 2e-3)
    rest = ROOM // x.itemsize
    for whole in (memory, more_memory):
        assert (whole[:rest] == 7).all()
        assert (whole[-rest:] == 7).all()


@settings(max_examples=40, deadline=None)
@given(problems(), st.data())
def test_any_division_of_the_work_gives_the_same_bits(problem, data):
    """Threads have images of their own, and rows of the gradient by the weight."""
    x, y, weight, window, _ = problem
    scratch, _ = workspace(x, y, window)

    def parts(length):
        cuts = data.draw(st.lists(st.integers(1, length), max_size=2, unique=True))
        ends = sorted({0, *cuts, length})
        return [slice(*pair) for pair in pairwise(ends)]

    def by_images(images):
        output, gradient, none = np.empty_like(y[images]), np.empty_like(x[images]), np.empty(0)
        compiled.convolution(x[images], weight, none, window, -np.inf, scratch, output)
        compiled.convolution_backward(y[images], weight, window, 0, scratch, gradient)
        return output, gradient

    def by_rows(rows):
        gradient, none = np.empty_like(weight[rows]), np.empty(0)
        of_bias = np.empty_like(weight[0]) if rows.stop == len(weight) else none
        compiled.convolution_backward_parameters(
            x, y, window, rows.start, 0, scratch, gradient, of_bias
        )
        return gradient, of_bias

    for function, length in ((by_images, len(x)), (by_rows, len(weight))):
        whole = function(slice(0, length))
        divided = [function(part) for part in parts(length)]
        for expected, *found in zip(whole, *divided, strict=True):
            np.testing.assert_array_equal(np.concatenate(found), expected)
    _, of_bias = by_rows(slice(0, len(weight)))
    _, alone = by_rows(slice(len(weight), len(weight)))  # a thread that has no row of the weight
    np.testing.assert_array_equal(alone, of_bias)


def test_many_terms_in_float32():
    """Sums of 2,304 products, with more channels than a tile has columns."""
    rng = np.random.default_rng(0)
    layer = cr.Conv2d(256, 33, 3, padding=1)
    x = rng.normal(size=(2, 7, 9, 256))
    found = [
        cr.Sequential(layer, seed=0, dtype=dtype).predict(x.astype(dtype))
        for dtype in ("float32", "float64")
    ]
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "layer", [cr.Conv2d(3, 4, 3), cr.Conv1d(2, 4, 3), cr.ConvTranspose2d(6, 4, 2)], ids=repr
)
def test_it_begins_as_in_pytorch(layer):
    """Weight and bias are uniform within ``1 / sqrt(fan_in)``."""
    net = cr.Sequential(layer, seed=0)
    for name, values in net.parameters().items():
        bound = np.prod(net.parameters()["0.weight"].shape[:-1]) ** -0.5
        assert 0.5 * bound < np.abs(values).max() <= bound, name


@pytest.mark.parametrize("layer", [cr.Conv2d, cr.Conv1d, cr.ConvTranspose2d, cr.ConvTranspose1d])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, 4, 3), {"groups": 2}, "in_channels must be a multiple of groups, 2, not 3"),
        ((4, 3, 3), {"groups": 2}, "out_channels must be a multiple of groups, 2, not 3"),
        ((0, 3, 3), {}, "in_channels must be at least 1, not 0"),
        ((1, 1, (3, 3, 3)), {}, r"kernel_size must be an integer.* not \(3, 3, 3\)"),
        ((1, 1, 0), {}, "kernel_size must be at least 1, not 0"),
        ((1, 1, 2.5), {}, "kernel_size must be an integer, not 2.5"),
        ((1, 1, 2), {"stride": 0}, "stride must be at least 1, not 0"),
        ((1, 1, 2), {"dilation": -1}, "dilation must be at least 1, not -1"),
        ((1, 1, 2), {"padding": -1}, "padding must be at least 0, not -1"),
        ((1, 1, 2), {"padding": "full"}, "padding must be .*, not 'full'"),
        ((1, 1, 2), {"groups": 0}, "groups must be at least 1, not 0"),
        ((1, 1, 2), {"bias": "no"}, "bias must be True or False, not 'no'"),
        ((1, 1, 2), {"weight_init": 3}, "weight_init must be an initializer .* not 3"),
    ],
)
def test_wrong_arguments(layer, arguments, error, message):
    with pytest.raises((ValueError, TypeError), match=f"^{layer.__name__}'s {message}"):
        layer(*arguments, **error)


def test_wrong_arguments_of_one_kind():
    with pytest.raises(ValueError, match="Conv2d's padding can be 'same' with a stride of 1 only"):
        cr.Conv2d(1, 1, 3, stride=(1, 2), padding="same")
    with pytest.raises(ValueError, match=r"the height must be at most 1, .* \(2\).*, not 2"):
        cr.ConvTranspose2d(1, 1, 3, stride=[2, 3], output_padding=2)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (cr.Conv2d(1, 6, 5), (1, 28, 28), r"come last, as [xX].transpose\(0, 2, 3, 1\) puts"),
        (cr.Conv1d(2, 6, 5), (2, 28), r"come last, as [xX].transpose\(0, 2, 1\) puts them"),
        (cr.Conv2d(1, 6, 5), (28, 28), r"[xX]\[..., np.newaxis\] has an axis for the one channel"),
        (cr.Conv2d(1, 6, 5), (28, 1), r"[xX]\[np.newaxis\] has an axis for the one row"),
        (cr.Conv2d(3, 6, 5), (28, 3), r"[xX]\[np.newaxis\] has an axis for the one row"),
        (
            cr.Conv2d(1, 6, 5),
            (784,),
            r"[xX].reshape\(-1, height, width, 1\) makes images of flat rows",
        ),
        (cr.Conv2d(1, 6, 5), (28, 28, 3), r"expects shape \(n, height, width, 1\)"),
        (cr.Conv1d(1, 6, 5), (28, 28, 1), r"expects shape \(n, length, 1\)"),
        (cr.Conv2d(1, 6, 5), (28, 3, 1), "has windows of length 5, which do not fit into 3"),
        (
            cr.Conv2d(1, 6, 5, dilation=9, padding=2),
            (28, 28, 1),
            "37, .* with a padding of 2 at both",
        ),
        (
            cr.ConvTranspose2d(2, 6, 2, padding=1),
            (1, 1, 2),
            "no output: .* 2 places, .* off 1 at both",
        ),
        (
            cr.ConvTranspose1d(2, 6, 2, padding=3),
            (5, 2),
            "no output: .* 6 places, .* off 3 at both",
        ),
        (cr.ConvTranspose2d(2, 6, 2), (2, 8, 8), r"as [xX].transpose\(0, 2, 3, 1\) puts them"),
    ],
    ids=repr,
)
def test_images_that_do_not_fit(layer, shape, message):
    net = cr.Sequential(layer, cr.Flatten(), seed=0)
    before, x = net.params.copy(), np.zeros((4, *shape))
    calls = [net.predict, net.forward]
    calls.append(lambda x: cr.fit(net, x, np.zeros((4, 2)), loss=cr.MSELoss(), progress=False))
    for call in calls:
        with pytest.raises(ValueError, match=message) as raised:
            call(x)
        assert f"{layer!r} (layer 0)" in str(raised.value)
    np.testing.assert_array_equal(net.params, before)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((cr.Conv2d(3, 8, 3), cr.Conv2d(4, 8, 3)), r"\(layer 1\) expects .* 4\), .* width, 8"),
        ((cr.Conv1d(3, 8, 3), cr.ReLU(), cr.ConvTranspose1d(4, 8, 3)), r"length, 4\), .* 8\)\."),
        ((cr.Conv2d(3, 8, 3), cr.MaxPool2d(2), cr.BatchNorm(3)), "expects 3 features, .*width, 8"),
        ((cr.Conv2d(3, 8, 3), cr.GlobalAvgPool(), cr.Linear(9, 2)), r"expects 9 .* \(n, 8\)"),
        ((cr.Conv2d(3, 8, 3), cr.Linear(72, 2)), r"expects 72 .* width, 8\); Flatten\(\) makes"),
        (
            (cr.Parallel(cr.Conv2d(3, 4, 1), cr.Conv2d(3, 5, 1)),),
            r"it merges shapes \(n, height, width, 4\) and \(n, height, width, 5\)",
        ),
    ],
    ids=repr,
)
def test_channels_that_do_not_fit_are_found_without_an_input(layers, message):
    with pytest.raises(ValueError, match=message):
        cr.Sequential(*layers)


def test_channels_are_no_output_shape():
    """Of a convolution, the summary says that its shape depends on the input."""
    net = cr.Sequential(
        *(cr.Rescale(0.5), cr.Conv2d(1, 6, 5), cr.BatchNorm(6), cr.ReLU(), cr.MaxPool2d(2)),
        *(cr.Flatten(), cr.Linear(24, 5), cr.ReLU(), cr.Parallel(cr.Linear(5, 5), cr.Identity())),
    )
    known = {row.path: row.output_shape for row in net.summary().rows}
    assert [known[str(i)] for i in range(9)] == [None] * 5 + [(24,), (5,), (5,), (5,)]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("layer", [cr.Conv2d(2, 4, 3, groups=2), cr.Conv1d(2, 4, 3, bias=False)])
def test_what_follows_is_computed_in_the_same_pass(layer, backend):
    """A ReLU; where the network predicts, a normalization as well."""
    shape, rng = (7, 6, 2)[2 - layer.axes :], np.random.default_rng(0)
    net = cr.Sequential(
        layer, cr.BatchNorm(4), cr.ReLU(), cr.Flatten(), seed=0, dtype="float64", backend=backend
    )
    net.forward(rng.normal(size=(9, *shape)))
    x = rng.normal(size=(9, *shape))
    assert net.make_plan(shape, 9, backward=False).fused == {1, 2, 3}
    assert not net.make_plan(shape, 9).fused & {1, 2}
    alone = cr.Sequential(layer, dtype="float64")
    alone.params = net.params[: alone.params.size]
    mean, variance = (net.buffers()[f"1.running_{name}"] for name in ("mean", "var"))
    expected = (alone.predict(x) - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(net.predict(x), np.maximum(expected, 0).reshape(9, -1), rtol=1e-10)
    net = cr.Sequential(layer, cr.ReLU(), cr.Flatten(), seed=0)
    assert net.make_plan(shape, 9).fused == {1}


def test_images_that_pytorch_flattens_channel_by_channel():
    """A state dict brings the weight behind them into PyTorch's order, and back."""
    net = cr.Sequential(
        *(cr.Conv2d(1, 2, 3), cr.ReLU(), cr.MaxPool2d(2), cr.Flatten(), cr.Tanh()),
        *(cr.Linear(12, 4), cr.Linear(4, 3)),
        seed=0,
        dtype="float64",
    )
    state = cr.interop.torch.to_state_dict(net, framework="numpy")
    own = net.parameters()["5.weight"].reshape(3, 2, 2, 4)  # height, width, channels, outputs
    np.testing.assert_array_equal(state["5.weight"].reshape(4, 2, 3, 2), own.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(state["6.weight"], net.parameters()["6.weight"].T)
    other = cr.Sequential(*net.layers, seed=1, dtype="float64")
    cr.interop.torch.from_state_dict(other, state)
    np.testing.assert_array_equal(other.params, net.params)
    rows = cr.Sequential(cr.Flatten(), cr.Linear(12, 4), seed=0)  # of no images
    state = cr.interop.torch.to_state_dict(rows, framework="numpy")
    np.testing.assert_array_equal(state["1.weight"], rows.parameters()["1.weight"].T)


@pytest.mark.parametrize(
    "block",
    [
        cr.Residual(cr.Conv2d(2, 2, 3, padding=1), cr.ReLU()),
        cr.Parallel(cr.Conv2d(2, 1, 1), cr.Conv2d(2, 1, 1), combine="concatenate"),
        cr.Sequential(cr.Conv2d(2, 3, 1), cr.Columns([2, 0])),
    ],
    ids=repr,
)
def test_flattened_images_behind_other_elements(block):
    layers = cr.Conv2d(1, 2, 3), block, cr.Flatten(), cr.Linear(8, 4)
    net = cr.Sequential(*layers, seed=0)
    state = cr.interop.torch.to_state_dict(net, framework="numpy")
    own = net.parameters()["3.weight"].reshape(2, 2, 2, 4)  # height, width, channels, outputs
    np.testing.assert_array_equal(state["3.weight"], own.transpose(3, 2, 0, 1).reshape(4, 8))


@pytest.mark.parametrize(
    "layers",
    [
        [cr.Conv2d(1, 2, 3), cr.Flatten(), cr.Columns([1, 0, *range(2, 8)]), cr.Linear(8, 4)],
        [cr.Inputs(cr.Sequential(cr.Conv2d(1, 2, 3), cr.Flatten()), cr.Identity()),
         cr.Linear(8 + 3, 4)],
    ],
    ids=repr,
)  # fmt: skip
def test_an_order_in_pytorch_that_is_not_known(layers):
    net = cr.Sequential(*layers, seed=0)
    with pytest.raises(ValueError, match=r"Linear\(.* the order of its weight in PyTorch is not"):
        cr.interop.torch.to_state_dict(net, framework="numpy")
    with pytest.raises(ValueError, match="is not known"):
        cr.interop.torch.from_state_dict(net, {})

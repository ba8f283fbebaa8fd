"""Layers that fit no input are refused where the network is built; what fits one is not."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.layers.graph import graph_of
from chainrule.layers.lengths import Unknown, common, either, halved, may_be, scaled, total
from chainrule.layers.lengths import product as product_of
from chainrule.layers.shapes import output_shapes

pytestmark = pytest.mark.once

CONV = cr.Conv2d(3, 8, 3)
WRONG = {
    "an image after a signal": (
        (cr.Conv1d(3, 8, 3), cr.Conv2d(8, 4, 3)),
        r"Conv2d\(8, 4, 3\) \(layer 1\) expects shape \(n, height, width, 8\), but Conv1d\(3, 8, 3"
        r"\) \(layer 0\) gives shape \(n, length, 8\)\.",
    ),
    "pooling": (
        (cr.Conv1d(3, 8, 3), cr.ReLU(), cr.MaxPool2d(2)),
        r"MaxPool2d\(2\) \(layer 2\) expects shape \(n, height, width, channels\), but ReLU\(\) "
        r"\(layer 1\) gives shape \(n, length, 8\)\.",
    ),
    "Flatten": ((CONV, cr.Flatten(), cr.Conv2d(8, 4, 3)), r"\(layer 1\) gives shape \(n, 8\)\.$"),
    "vectors": (
        (cr.Flatten(), cr.Linear(9, 8), cr.Conv2d(8, 4, 3)),
        r"expects .* width, 8\), but Linear\(9, 8\) \(layer 1\) gives shape \(n, 8\)\.",
    ),
    "Linear of any axes": (
        (cr.Linear(3, 8), cr.Conv2d(9, 4, 3)),
        r"expects .* width, 9\), but Linear\(3, 8\) \(layer 0\) gives shape \(n, ..., 8\)\.",
    ),
    "global pooling": (
        (CONV, cr.GlobalAvgPool(), cr.Conv2d(8, 4, 3)),
        r"but GlobalAvgPool\(\) \(layer 1\) gives shape \(n, 8\)\.",
    ),
    "not divisible": (
        (cr.Conv2d(1, 16, 3), cr.Flatten(), cr.Linear(145, 10)),
        r"Linear\(145, 10\) \(layer 2\) expects 145 input features, but Flatten\(\) \(layer 1\) "
        r"gives shape \(n, a multiple of 16\)\.",
    ),
    "no such product": (
        (cr.MaxPool2d(2), cr.ZeroPad(1), cr.Flatten(), cr.Linear(10, 2)),
        r"shape \(n, \(3 or more\) \* \(3 or more\) \* \(1 or more\)\)\.$",
    ),
    "known lengths": (
        (cr.RandomCrop(8), cr.Conv2d(1, 16, 3), cr.Flatten(), cr.Linear(575, 2)),
        r"expects 575 input features, but Flatten\(\) \(layer 2\) gives shape \(n, 576\)\.",
    ),
    "windows that are too long": (
        (cr.RandomCrop(4), cr.Conv1d(1, 2, 5)),
        "has windows of length 5, which do not fit into 4",
    ),
    "an odd length": ((cr.Linear(3, 5), cr.GLU()), r"even length, but .* gives shape \(n, 5\)\."),
    "columns": (
        (cr.Columns([0, 1]), cr.Conv2d(3, 4, 3)),
        r"expects .* 3\), but Columns\(\(0, 1\)\) \(layer 0\) gives shape \(n, ..., 2\)\.",
    ),
    "too few columns": ((cr.Linear(3, 2), cr.Columns([2])), r"3 columns, but .* shape \(n, 2\)\."),
    "vectors of codes": (
        (cr.Embedding(9, 8), cr.Flatten(), cr.Linear(9, 2)),
        r"expects 9 .* a multiple of 8\)\.",
    ),
    "codes of floats": ((cr.Linear(3, 4), cr.Embedding(4, 3)), "takes codes: it must be given the"),
    "a transposed signal": ((CONV, cr.ConvTranspose1d(8, 4, 3)), r"height, width, 8\)\.$"),
    "transposed channels": ((CONV, cr.ConvTranspose2d(5, 4, 3)), r"5\), but .* width, 8\)\.$"),
    "Upsample": ((CONV, cr.Upsample((2,))), r"whose numbers are for length, but .* width, 8\)"),
    "ZeroPad": ((cr.Conv1d(3, 4, 3), cr.ZeroPad((1, 2))), r"height and width, but .* length, 4"),
    "RandomFlip": ((cr.Conv1d(3, 4, 3), cr.RandomFlip("vertical")), r"flips height, .*length, 4"),
    "BatchNorm": ((cr.Conv1d(3, 4, 3), cr.BatchNorm(3)), r"expects 3 features, but .* length, 4\)"),
    "GroupNorm": ((CONV, cr.ReLU(), cr.GroupNorm(2, 6)), r"expects 6 features, but .* width, 8\)"),
    "PReLU": ((CONV, cr.PReLU(3)), r"expects 3 channels, but .* width, 8\)"),
    "other channels in a shortcut": (
        (cr.Residual(cr.Conv2d(3, 4, 1)),),
        r"merges shapes \(n, height, width, 3\) and \(n, height, width, 4\)\.",
    ),
    "no padding in a shortcut": (
        (CONV, cr.MaxPool2d(2), cr.Residual(cr.ReLU(), cr.Conv2d(8, 8, 3))),
        r"merges shapes \(n, height, width, 8\) and \(n, height - 2, width - 2, 8\)\.",
    ),
    "pooling in a shortcut": (
        (cr.Residual(cr.Conv1d(3, 3, 3, padding=1), cr.MaxPool1d(2)),),
        r"merges shapes \(n, length, 3\) and \(n, less than length, 3\)\.",
    ),
    "branches with other axes": (
        (cr.Parallel(cr.Sequential(CONV, cr.Flatten()), cr.Conv2d(3, 4, 3)),),
        r"but it merges shapes \(n, a multiple of 8\) and \(n, height, width, 4\); Flatten",
    ),
    "branches for other inputs": (
        (cr.Parallel(CONV, cr.Sequential(cr.ReLU(), cr.Conv1d(3, 8, 3))),),
        r"Conv1d\(3, 8, 3\) \(layer 0.1.1\) expects shape \(n, length, 3\), but Conv2d\(3, 8, 3\) "
        r"\(layer 0.0\) takes the same in shape \(n, height, width, 3\)\.",
    ),
    "inputs that cannot be merged": (
        (cr.Inputs(CONV, cr.Sequential(cr.Flatten(), cr.Linear(4, 8))),),
        r"but the last axis, but it merges shapes \(n, height, width, 8\) and \(n, 8\); Flatten",
    ),
    "a sum of other features": (
        (cr.Inputs(cr.Linear(3, 4), cr.Linear(3, 5), combine="sum"),),
        r"parts that give the same shape, but it merges shapes \(n, 4\) and \(n, 5\)\.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_layers_that_fit_no_input_are_refused_when_the_network_is_built(wrong):
    layers, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message):
        cr.Sequential(*layers)


@pytest.mark.parametrize(
    ("layers", "shapes"),
    [
        ([cr.Linear(3, 8), cr.Conv2d(8, 4, 3)], [(5, 6, 3)]),
        ([cr.Linear(3, 4)], [(3,), (2, 3), (2, 2, 3), (2, 2, 2, 3), (2, 2, 2, 2, 2, 2, 2, 3)]),
        ([cr.Conv2d(1, 16, 3), cr.Flatten(), cr.Linear(144, 10)], [(5, 5, 1), (3, 11, 1)]),
        ([cr.Embedding(9, 8), cr.Conv1d(8, 2, 3)], [(7,)]),
        ([cr.Embedding(9, 3), cr.Conv2d(3, 2, 3)], [(7, 7)]),
        ([cr.RandomCrop(20_000), cr.Linear(1, 1)], [(20_000, 1)]),  # not of images: too large
        ([cr.Residual(cr.Conv2d(3, 3, 3, stride=2, padding=1))], [(1, 1, 3)]),
        ([cr.Residual(cr.MaxPool1d(2, 1), cr.ZeroPad(((0, 1),)))], [(4, 3)]),
        ([cr.Parallel(cr.ReLU(), cr.Flatten())], [(3,)]),
        ([cr.Upsample((2, 3)), cr.Flatten(), cr.Linear(12, 1)], [(2, 1, 1), (1, 1, 2)]),
        ([cr.ZeroPad(((-1, 3),)), cr.Flatten(), cr.Linear(8, 1)], [(2, 2)]),
    ],
    ids=repr,
)
def test_what_fits_some_input_is_not_refused(layers, shapes):
    net = cr.Sequential(*layers)
    for shape in shapes:
        assert net.output_shape(shape)


class Reversed(cr.NumPyLayer):
    """Takes signals only, which the layer before does not say."""

    def forward(self, x):
        _, _, _ = x.shape
        return x[:, ::-1], None


def test_layers_of_users_may_give_any_shape():
    net = cr.Sequential(cr.Linear(3, 3), Reversed(), cr.Conv1d(3, 2, 2), cr.Flatten())
    assert net.output_shape((4, 3)) == (6,)


def test_a_hint_for_the_users_array_is_given_for_that_alone():
    message = r"expects shape \(n, height, width, 3\), but Flatten\(\) \(layer 0\) gives"
    with pytest.raises(ValueError, match=message):
        cr.Sequential(cr.Flatten(), CONV)
    with pytest.raises(ValueError, match=r"\(X\)\.reshape\(-1, height, width, 3\) makes images"):
        cr.Sequential(CONV).predict([[1.0] * 12])


def test_the_summary_knows_what_follows_from_later_layers():
    net = cr.Sequential(CONV, cr.Flatten(), cr.Linear(32, 2), cr.ReLU())
    assert [row.output_shape for row in net.summary().rows] == [None, (32,), (2,), (2,)]


SMALL, CHANNELS = st.integers(1, 3), st.integers(1, 4)
WINDOW = {"kernel_size": SMALL, "stride": st.integers(1, 2), "padding": st.integers(0, 1)}
POOLING = {**WINDOW, "kernel_size": st.integers(2, 3), "ceil_mode": st.booleans()}
LAYERS = [
    st.builds(cr.Linear, st.sampled_from([1, 2, 3, 4, 6, 8, 9]), CHANNELS),
    *(st.builds(kind, CHANNELS, CHANNELS, **WINDOW) for kind in (cr.Conv1d, cr.Conv2d)),
    *(
        st.builds(kind, CHANNELS, CHANNELS, st.integers(2, 3), stride=st.integers(1, 2))
        for kind in (cr.ConvTranspose1d, cr.ConvTranspose2d)
    ),
    *(
        st.builds(kind, **POOLING)
        for kind in (cr.MaxPool1d, cr.MaxPool2d, cr.AvgPool1d, cr.AvgPool2d)
    ),
    *(st.builds(kind, CHANNELS) for kind in (cr.BatchNorm, cr.LayerNorm, cr.PReLU)),
    st.builds(cr.GroupNorm, st.just(1), CHANNELS),
    st.builds(cr.Columns, st.lists(st.integers(0, 2), min_size=1, max_size=2)),
    st.builds(cr.ZeroPad, st.sampled_from([1, -1, (1, 2), ((0, 1),), ((-1, 2), (0, 1))])),
    st.builds(cr.Upsample, st.sampled_from([2, (2,), (1, 2)])),
    st.builds(cr.RandomCrop, st.sampled_from([2, (3,), (1, 2)])),
    st.builds(cr.RandomShift, st.sampled_from([1, (1, 2)])),
    *map(st.just, (cr.GLU(), cr.GlobalAvgPool(), cr.ReLU(), cr.RandomFlip())),
]
LAYER = st.one_of(LAYERS)
WITH_FLATTEN = LAYER | st.just(cr.Flatten())
GRAPH = st.lists(
    WITH_FLATTEN
    | st.builds(cr.Residual, WITH_FLATTEN, WITH_FLATTEN)
    | st.builds(
        *(cr.Parallel, WITH_FLATTEN, WITH_FLATTEN),
        combine=st.sampled_from(["sum", "product", "concatenate"]),
    ),
    min_size=1,
    max_size=4,
)
# Of the last axis; a gated unit halves it.
WIDTHS = sorted({n << k for n in (1, 2, 3, 4, 6, 8, 9) for k in range(4)})


def fits(graph, shape):
    try:
        output_shapes(graph, shape)
    except ValueError:
        return False
    return True


@given(GRAPH, st.lists(st.integers(1, 9), max_size=3), st.sampled_from(WIDTHS))
@settings(max_examples=300, deadline=None)
def test_what_is_refused_fits_no_input(layers, places, width):
    graph = graph_of(layers)
    if not fits(graph, None):
        assert not fits(graph, (*places, width))
        # With few numbers, more of the inputs that might fit are tried.
        for shape in product(range(1, 4), repeat=len(places) + 1):
            assert not fits(graph, shape)


@given(st.lists(LAYER, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_chain_that_is_accepted_fits_some_input(layers):
    """Where no layer merges axes: then any numbers are possible."""
    graph = graph_of(layers)
    if fits(graph, None):
        large = [(*[64] * axes, width) for axes in range(4) for width in WIDTHS]
        assert any(fits(graph, shape) for shape in large)


LENGTHS = st.integers(1, 9) | st.builds(Unknown, st.integers(1, 6), st.integers(1, 4))


def some_of(length):
    """Return small numbers that a length may be."""
    return (
        [length] if isinstance(length, int) else [length.first + i * length.step for i in (0, 1, 4)]
    )


@given(LENGTHS, LENGTHS, st.integers(1, 4), st.integers(-9, 9), st.integers(1, 4))
def test_lengths_may_be_all_that_they_are(one, other, times, more, by):
    for m in some_of(one):
        assert may_be(one, m)
        scale = (times * m + more) // by
        assert scale < 1 or may_be(scaled(one, times, more, by), scale)
        assert m % 2 or may_be(halved(one), m // 2)
        for n in some_of(other):
            assert may_be(product_of((one, other, 3)), 3 * m * n)
            assert may_be(total((one, other, 3)), 3 + m + n)
            assert may_be(either(one, other), m)
            assert may_be(either(one, other), n)
            assert m != n or may_be(common([one, other]), n)


@given(st.lists(st.tuples(*[st.integers(1, 3), st.integers(-3, 3), st.integers(1, 3)]), max_size=3))
def test_lengths_of_one_axis_that_may_be_the_same_have_a_common_one(steps):
    """Whether an axis keeps its length: a long one must not, if it is said that it never does."""
    lengths = [Unknown()]
    for step in steps:
        lengths.append(scaled(lengths[-1], *step))
    for n in range(1, 30):
        numbers = [n]
        for times, more, by in steps:
            numbers.append((times * numbers[-1] + more) // by)
        if min(numbers) < 1:
            continue
        for i, j in product(range(len(numbers)), repeat=2):
            assert numbers[i] != numbers[j] or may_be(common([lengths[i], lengths[j]]), numbers[i])

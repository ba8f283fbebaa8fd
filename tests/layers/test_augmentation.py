"""Random shifts, flips and crops: what is drawn, and where they apply."""

import tracemalloc

import numpy as np
import pytest

import chainrule as cr

BOTH = pytest.mark.parametrize("backend", ["numba", "numpy"])
LAYERS = [
    cr.RandomShift((2, 1)),
    cr.RandomFlip("horizontal_and_vertical"),
    cr.RandomCrop((6, 5)),
    cr.RandomCrop(7, padding=2),
]
EACH = pytest.mark.parametrize("layer", LAYERS, ids=repr)
ALONE = {"seed": 0, "dtype": "float64"}


def rng(seed=0):
    return np.random.default_rng(seed)


def images(rows=5):
    return rng().uniform(1, 2, size=(rows, 8, 7, 3))


def padded(image, n=8):
    return np.pad(image, ((n, n), (n, n), (0, 0)))


def parts_of(image, size):
    """Yield all parts of an image among zeros, by their first row and column."""
    wide = padded(image)
    for row in range(-7, 8):
        for column in range(-7, 8):
            yield (row, column), wide[8 + row :, 8 + column :][: size[0], : size[1]]


def place_of(part, image):
    """Return the row and column of an image where a part of it begins."""
    found = [at for at, own in parts_of(image, part.shape) if np.array_equal(own, part)]
    assert len(found) == 1
    return found[0]


@BOTH
def test_shifts_are_as_probable_each(backend):
    net = cr.Sequential(cr.RandomShift((2, 1)), backend=backend, **ALONE)
    x = np.repeat(images(1), 300, axis=0)
    found = [place_of(out, x[0]) for out in net.forward(x)]
    counts = np.array([found.count((r, c)) for r in range(-2, 3) for c in range(-1, 2)])
    assert counts.sum() == 300
    assert ((counts - 20) ** 2 / 20).sum() < 35  # chi-squared: 14 on average, 35 one time in 700
    np.testing.assert_array_equal(net.predict(x), x)


@BOTH
def test_crops_lie_within_the_padding(backend):
    net = cr.Sequential(cr.RandomCrop((6, 7), padding=(1, 0)), backend=backend, **ALONE)
    x = np.repeat(images(1), 100, axis=0)
    found = {place_of(out, x[0]) for out in net.forward(x)}
    assert found == {(row, 0) for row in range(-1, 4)}
    np.testing.assert_array_equal(net.predict(x), x[:, 1:7])


@BOTH
@pytest.mark.parametrize(
    ("mode", "p", "axes"),
    [("horizontal", 1.0, 2), ("vertical", 1.0, 1), ("horizontal_and_vertical", 1.0, (1, 2))],
)
def test_flips(mode, p, axes, backend):
    net = cr.Sequential(cr.RandomFlip(mode, p), backend=backend, **ALONE)
    np.testing.assert_array_equal(net.forward(images()), np.flip(images(), axes))
    np.testing.assert_array_equal(net.predict(images()), images())
    never = cr.Sequential(cr.RandomFlip(mode, 0.0), backend=backend, **ALONE)
    np.testing.assert_array_equal(never.forward(images()), images())


def test_flips_of_both_axes_are_independent():
    net = cr.Sequential(cr.RandomFlip("horizontal_and_vertical", 0.25), **ALONE)
    x = np.repeat(images(1), 800, axis=0)
    flipped = {
        axes: sum(np.array_equal(out, np.flip(x[0], axes)) for out in net.forward(x))
        for axes in ((), 0, 1, (0, 1))
    }
    expected = {(): 450, 0: 150, 1: 150, (0, 1): 50}
    assert sum((flipped[axes] - n) ** 2 / n for axes, n in expected.items()) < 14


@BOTH
@EACH
def test_the_backward_pass_draws_the_same(layer, backend):
    net, x = cr.Sequential(layer, backend=backend, **ALONE), images()
    y = net.forward(x)
    dy = rng(1).normal(size=y.shape)
    dx = net.backward(dy)
    assert (x * dx).sum() == pytest.approx((y * dy).sum())
    assert not np.array_equal(net.forward(x), y)
    wide = cr.Sequential(layer, cr.Flatten(), cr.Tanh(), **ALONE)
    target = rng(2).normal(size=wide.predict(x).shape)
    assert cr.gradcheck(wide, cr.MSELoss(), x, target).passed


@EACH
def test_both_backends_draw_the_same(layer):
    nets = [cr.Sequential(layer, backend=backend, **ALONE) for backend in ("numba", "numpy")]
    for _ in range(3):
        np.testing.assert_array_equal(*(net.forward(images()) for net in nets))


@EACH
def test_signals(layer):
    if isinstance(layer, cr.RandomFlip):
        layer = cr.RandomFlip()
    elif layer in (LAYERS[0], LAYERS[2]):
        layer = type(layer)(3)
    net, x = cr.Sequential(layer, **ALONE), images(20)[:, :, 0]
    of_images = cr.Sequential(
        cr.RandomCrop((1, 7), (0, 2)) if layer == LAYERS[3] else
        cr.RandomCrop((1, 3)) if isinstance(layer, cr.RandomCrop) else
        cr.RandomShift((0, 3)) if isinstance(layer, cr.RandomShift) else layer, **ALONE,
    )  # fmt: skip
    np.testing.assert_array_equal(net.forward(x), of_images.forward(x[:, np.newaxis])[:, 0])


def network(*first, width=7 * 7 * 3, **options):
    return cr.Sequential(*first, cr.Flatten(), cr.Linear(width, 3), seed=1, **options)


def fit(net, X, y, **options):
    options = {"loss": cr.CrossEntropyLoss(), "epochs": 2, "batch_size": 50} | options
    return cr.fit(net, X, y, progress=False, **options)


def pixels(rows=150):
    return rng().integers(0, 256, (rows, 8, 7, 3), np.uint8), rng(1).integers(0, 3, rows)


def test_any_number_of_threads_gives_the_same_bits(all_threads):
    X, y = pixels()
    found = []
    for threads in (1, 2, 3):
        net = network(cr.Rescale(1 / 255), cr.RandomShift(1), cr.RandomFlip(), cr.RandomCrop(7))
        with all_threads(), cr.threads(threads):
            history = fit(net, X, y, validation=(X, y))
        found.append((net.params.tobytes(), history.validation_loss))
    assert found[0] == found[1] == found[2]


def test_layers_of_one_network_draw_something_else_each():
    net = cr.Sequential(cr.RandomFlip(), cr.RandomFlip(), cr.RandomFlip(), **ALONE)
    x = np.repeat(images(1), 50, axis=0)
    turned = [np.array_equal(out, x[0, :, ::-1]) for out in net.forward(x)]
    assert 10 < sum(turned) < 40  # the first two do not cancel


def test_validation_and_derivatives_are_of_what_predict_computes():
    X, y = pixels()
    net = network(cr.Rescale(1 / 255), cr.RandomCrop(7), cr.RandomShift(2), dtype="float64")
    without = network(cr.Rescale(1 / 255), dtype="float64")
    middle, loss = X[:, 0:7], cr.CrossEntropyLoss()
    value, gradient = cr.value_and_grad(net, loss)(net.params, X, y)
    expected = cr.value_and_grad(without, loss)(net.params, middle, y)
    assert value == pytest.approx(expected[0])
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-12, atol=1e-15)
    history = fit(net, X, y, epochs=1, validation=(X, y))
    assert history.validation_loss[0] == pytest.approx(loss(net.predict(X), y)[0])


def test_the_same_seed_gives_the_same_training():
    X, y = pixels()
    found = []
    for seed in (0, 0, 1):
        net = network(cr.Rescale(1 / 255), cr.RandomShift(1), width=8 * 7 * 3)
        fit(net, X, y, seed=seed)
        found.append(net.params.tobytes())
    assert found[0] == found[1] != found[2]


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:X holds whole numbers")
@pytest.mark.parametrize("first", [[], [cr.Rescale(1 / 255)], [cr.RandomShift(1)]], ids=repr)
def test_bytes_are_read_in_place(first):
    """Neither fit nor predict makes floats of all images."""
    X, y = rng().integers(0, 256, (4000, 8, 8, 4), np.uint8), rng(1).integers(0, 3, 4000)
    net = network(*first, width=8 * 8 * 4)
    calls = [lambda: fit(net, X, y, epochs=1), lambda: net.predict(X)]
    for call in calls:
        call()  # plans are made
        tracemalloc.start()
        call()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < X.nbytes / 2


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cr.RandomShift(-1), ValueError, "shift must be at least 0, not -1"),
        (lambda: cr.RandomShift(0.1), TypeError, "shift must be an integer, not 0.1"),
        (lambda: cr.RandomShift((1, 2, 3)), ValueError, "shift must be an integer, or a tuple"),
        (lambda: cr.RandomFlip("left"), ValueError, "mode must be 'horizontal' or 'vertical' or"),
        (lambda: cr.RandomFlip(p=1.5), ValueError, "p must be from 0 to 1, not 1.5"),
        (lambda: cr.RandomCrop(0), ValueError, "size must be at least 1, not 0"),
        (lambda: cr.RandomCrop(2, -1), ValueError, "padding must be at least 0, not -1"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()

"""X of any dtype and layout: read in place, batch by batch, with the bits of a converted copy."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

import chainrule as cr
from chainrule.engine.rows import as_rows
from chainrule.kernels import conversion
from chainrule.kernels import gather as kernels
from chainrule.kernels.gather import gather_rescaled
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.reference import gather as twins
from chainrule.reference.gather import gather_rescaled as reference
from chainrule.utils import arrays
from chainrule.utils.arrays import GATHERED

DTYPES = sorted(dtype.name for dtype in GATHERED)
MIB = 1 << 20


def numbers(shape, dtype, seed=0):
    """Numbers of every size that the dtype has; float64 as large as float32 goes."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        largest = 38 if dtype.itemsize > 2 else 4
        powers = 10.0 ** rng.uniform(-largest, largest, shape)
        return (rng.choice([-1.0, 1.0, 0.0, -0.0], shape) * powers).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape, dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def as_field(X):
    """A packed record's field: rows that are aligned to nothing."""
    record = np.zeros(len(X), [("before", np.uint8), ("x", X.dtype, X.shape[1:])])
    record["x"] = X
    return record["x"]


IN_PLACE = {
    "contiguous": lambda X: X,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda X: X[::-1].copy()[::-1],
    "every third row, reversed": lambda X: np.repeat(X[::-1], 3, axis=0)[::-3],
    "some columns of a table": lambda X: np.pad(X, ((0, 0), (2, 3)))[:, 2:-3],
    "field of a record": as_field,
    "one row for all": lambda X: np.broadcast_to(X[0], X.shape),
    "windows over a series": lambda X: sliding_window_view(X.ravel(), X.shape[1])[: len(X)],
    "read-only": lambda X: np.frombuffer(X.tobytes(), X.dtype).reshape(X.shape),
}
COPIED = {
    "Fortran order": np.asfortranarray,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "columns reversed": lambda X: X[:, ::-1].copy()[:, ::-1],
    "other byte order": lambda X: X.astype(X.dtype.newbyteorder()),
    "longdouble": lambda X: X.astype(np.longdouble),
}


def test_the_door_lets_in_what_compiled_code_converts():
    assert {np.dtype(name) for name in conversion.ELEMENTS} == GATHERED


@settings(max_examples=200)
@given(data=st.data())
def test_gathered_rows_have_the_bits_of_converted_ones(data):
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 200))
    X = numbers((rows, columns), data.draw(st.sampled_from(DTYPES)), data.draw(st.integers(0, 99)))
    X = IN_PLACE[data.draw(st.sampled_from(list(IN_PLACE)))](X)
    places = st.integers(0, rows - 1)
    in_order = places.map(lambda first: range(first, rows))
    order = np.array(data.draw(st.lists(places, max_size=12) | in_order), np.int64)
    out = np.empty((order.size, columns), data.draw(st.sampled_from(arrays.FLOATS)))
    expected = X[order].astype(out.dtype)
    for gather in (gather_rescaled, reference):
        out[:] = np.nan
        gather(*as_rows(X), order, 1.0, -0.0, out)
        assert out.tobytes() == expected.tobytes()
        scale, offset = out.dtype.type(0.3), out.dtype.type(-7)
        gather(*as_rows(X), order, scale, offset, out)
        np.testing.assert_allclose(  # rounded once or twice
            out, expected * scale + offset, rtol=1e-6, atol=7 * np.finfo(out.dtype).eps
        )


@settings(max_examples=100)
@given(data=st.data())
def test_targets_and_weights_of_each_row_the_last_too(data):
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 20))
    places = st.integers(0, rows - 1)
    in_order = places.map(lambda first: range(first, rows))
    last = st.just([rows - 1])
    order = np.array(data.draw(st.lists(places, max_size=12) | in_order | last), np.int64)
    matrix = np.arange(1.0, rows * columns + 1).reshape(rows, columns)
    labels = np.arange(1, rows + 1)
    for module in (kernels, twins):
        out = np.full((order.size, columns), np.nan)
        module.gather_rows(matrix, order, out)
        assert np.array_equal(out, matrix[order])
        for vector in (matrix[:, 0].copy(), labels):
            chosen = np.zeros(order.size, vector.dtype)
            module.gather_values(vector, order, chosen)
            assert np.array_equal(chosen, vector[order])


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("rows", [1, 2, 7, 16])
def test_a_step_on_any_row_is_one_on_that_row(rows, backend):
    """X, y and the weights of the same row come together, wherever it stands in the data."""
    rng = np.random.default_rng(rows)
    X, y = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2))
    for row in range(rows):
        options = {"loss": cr.MSELoss(), "optimizer": cr.SGD(lr=0.1), "progress": False}
        nets = [
            cr.Sequential(cr.Linear(3, 2), seed=0, dtype="float64", backend=backend) for _ in "ab"
        ]
        weights = np.where(np.arange(rows) == row, 2.0, 0.0)
        cr.fit(nets[0], X, y, sample_weight=weights, epochs=1, batch_size=rows, **options)
        alone = slice(row, row + 1)
        cr.fit(nets[1], X[alone], y[alone], epochs=1, batch_size=1, **options)
        np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-13)


@pytest.mark.parametrize("dtype", arrays.FLOATS)
def test_every_float16(dtype):
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)[None]
    out = np.empty(halves.shape, dtype)
    with np.errstate(invalid="ignore"):  # NumPy says so of signaling NaNs
        gather_rescaled(*as_rows(halves), np.zeros(1, np.int64), 1.0, -0.0, out)
        expected = halves.astype(dtype)
    number = ~np.isnan(expected)
    assert np.array_equal(np.isnan(out), ~number)
    assert out[number].tobytes() == expected[number].tobytes()


def network(columns, **options):
    layers = cr.Rescale(0.02, offset=-1), cr.Linear(columns, 8), cr.ReLU(), cr.Linear(8, 3)
    return cr.Sequential(*layers, **{"seed": 0} | options)


def fit(net, X, **options):
    y = np.arange(len(X)) % 3
    defaults = {"loss": cr.CrossEntropyLoss(), "epochs": 2, "batch_size": 5, "progress": False}
    return cr.fit(net, X, y, **defaults | options)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_training_gives_the_bits_of_a_converted_copy(dtype, backend):
    for layout in (IN_PLACE | COPIED).values():
        X = layout(np.random.default_rng(0).uniform(0, 100, (23, 6)).astype(dtype))
        net, same = (network(6, backend=backend) for _ in range(2))
        copy = np.ascontiguousarray(X, np.float32)
        assert fit(net, X).batch_loss == fit(same, copy).batch_loss
        assert np.array_equal(net.params, same.params)
        assert np.array_equal(net.predict(X), same.predict(copy))


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_rescaled_pixels_train_as_rescaled_data(backend):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    layers = cr.Flatten(), cr.Linear(16, 8), cr.Tanh(), cr.Linear(8, 3)
    plain = cr.Sequential(*layers, seed=0, backend=backend)
    rescaling = cr.Sequential(cr.Rescale(1 / 255), *layers, seed=0, backend=backend)
    rescaled = pixels * np.float32(1 / 255)
    assert fit(plain, rescaled).batch_loss == fit(rescaling, pixels).batch_loss
    assert np.array_equal(plain.params, rescaling.params)
    assert np.array_equal(plain.predict(rescaled), rescaling.predict(pixels))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", IN_PLACE)
def test_it_is_not_copied(layout, dtype):
    X = IN_PLACE[layout](np.ones((8, 6), dtype))
    checked = network(6).check_input(X, "X")
    assert np.shares_memory(checked, X)
    memory = as_rows(checked)[0]
    assert np.shares_memory(memory, X)


def test_images_whose_rows_are_apart_are_not_copied():
    images = np.zeros((20, 5, 4, 3), np.uint8)
    images[::2] = np.random.default_rng(0).integers(0, 256, (10, 5, 4, 3))
    net = cr.Sequential(cr.Flatten(), cr.Linear(60, 2), seed=0)
    assert np.shares_memory(net.check_input(images[::2], "X"), images)
    assert np.array_equal(net.predict(images[::2]), net.predict(images[::2].astype(np.float32)))


# Memory


def peak_of(function):
    """Bytes that NumPy and Python held at most while the function ran, beyond what they held."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.skipif(JIT_DISABLED, reason="takes minutes")
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_memory_mapped_data_stays_on_disk(tmp_path, dtype):
    columns = 2048
    rows = 16 * MIB // columns // np.dtype(dtype).itemsize
    path = tmp_path / "x.npy"
    mapped = np.lib.format.open_memmap(path, "w+", dtype, (rows, columns))
    mapped[:] = np.random.default_rng(0).integers(0, 100, (1, columns))
    mapped.flush()
    net, X = network(columns), np.load(path, mmap_mode="r")
    options = {"epochs": 1, "batch_size": 64}
    fit(net, X[:64], **options)  # whatever is made at the first use
    # What they need by themselves: an arena for 64 and one for 256 rows of float32.
    with cr.threads(1):  # each would predict blocks of its own
        assert peak_of(lambda: fit(net, X, **options)) < 4 * MIB
        assert peak_of(lambda: net.predict(X)) < 4 * MIB
        assert peak_of(lambda: net.predict(X[::2])) < 4 * MIB


# What is not finite


@pytest.mark.parametrize("layout", [lambda X: X, np.asfortranarray, lambda X: X[::-1]])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_the_first_bad_number_is_named_wherever_it_is(monkeypatch, dtype, layout):
    monkeypatch.setattr(arrays, "BLOCK", 8)  # two rows of three
    for row in range(7):
        X = np.ones((7, 3), dtype)
        X[row, 2] = np.nan
        X[row:, 2][1:] = np.inf
        X = layout(X)
        first = np.argwhere(~np.isfinite(X))[0]
        with pytest.raises(ValueError, match=rf"X\[{first[0]}, 2\] is (nan|inf)\."):
            network(3).check_input(X, "X")


def test_what_only_float64_can_hold_is_refused_unless_the_network_is_of_float64():
    X = np.ones((4, 3))
    X[2, 1] = -1e39
    with pytest.raises(ValueError, match=r"X\[2, 1\] is -inf \(-1e\+39 does not fit into float32"):
        network(3).predict(X)
    assert np.isfinite(network(3, dtype="float64").predict(X)).all()


# Rescale


def test_a_rescale_that_overflows_is_named():
    net = cr.Sequential(cr.Flatten(), cr.Rescale(1e38), cr.Linear(4, 3), seed=0)
    with pytest.raises(cr.NonFiniteError, match=r"that of Rescale \(layer 1\)"):
        fit(net, np.full((6, 2, 2), 10.0))


@pytest.mark.parametrize("dtype", arrays.FLOATS)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_rescale_in_the_gather_equals_one_of_its_own(dtype, backend):
    x = np.random.default_rng(0).normal(size=(5, 4))
    rest = cr.Linear(4, 3), cr.Tanh()
    options = {"seed": 0, "dtype": dtype, "backend": backend}
    gathered = cr.Sequential(cr.Rescale(0.3, offset=0.7), *rest, **options)
    # A second one is not taken into the gather.
    apart = cr.Sequential(cr.Rescale(1.0), cr.Rescale(0.3, offset=0.7), *rest, **options)
    out = gathered.forward(x)
    assert np.array_equal(out, apart.forward(x))
    assert np.array_equal(gathered.backward(out), apart.backward(out))
    assert np.array_equal(gathered.grads, apart.grads)
    assert np.array_equal(gathered.predict(x), apart.predict(x))

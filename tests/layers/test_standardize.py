"""Standardize: what it learns from data, and that a network keeps it."""

import numpy as np
import pytest

import chainrule as cr

rng = np.random.default_rng(0)
X = rng.normal(size=(500, 4)) * [1.0, 300.0, 1e-4, 5.0] + [0.0, 1e5, 1.0, -20.0]


def network(layer, dtype="float64", **options):
    return cr.Sequential(layer, cr.Linear(4, 2), seed=0, dtype=dtype, **options)


@pytest.mark.parametrize("block", [1, 7, 1 << 16])
def test_it_computes_what_numpy_does(block, monkeypatch):
    monkeypatch.setattr(cr.layers.standardize, "BLOCK", block)
    layer = cr.Standardize().adapt(X)
    np.testing.assert_allclose(layer.mean, X.mean(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(layer.variance, X.var(axis=0), rtol=1e-9)
    scaled = cr.Sequential(layer, dtype="float64").predict(X)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(scaled.var(axis=0), 1, rtol=1e-9)


def test_it_is_scikit_learns():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    data = np.concatenate([X, np.full((len(X), 1), 0.1)], axis=1)  # with a constant column
    expected = preprocessing.StandardScaler().fit_transform(data)
    found = cr.Sequential(cr.Standardize().adapt(data), dtype="float64").predict(data)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("value", [0.1, -3.0, 1e30, 0.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_feature_becomes_zero(value, dtype):
    data = np.full((1001, 2), value, dtype)
    layer = cr.Standardize().adapt(data)
    assert layer.variance == (1.0, 1.0)
    assert not cr.Sequential(layer, dtype=dtype).predict(data).any()


def test_a_large_mean_takes_no_digits_of_the_variance():
    data = 1e9 + np.arange(10.0)[:, np.newaxis]
    assert cr.Standardize().adapt(data).variance[0] == pytest.approx(8.25, rel=1e-12)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.longdouble])
def test_data_of_any_dtype(dtype):
    data = rng.integers(0, 2, (64, 3)).astype(dtype)
    layer = cr.Standardize().adapt(data)
    np.testing.assert_allclose(layer.mean, data.mean(axis=0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(layer.variance, data.astype(float).var(axis=0), rtol=1e-12)


def test_the_last_axis_has_the_features(tmp_path):
    images = rng.normal(size=(20, 5, 3)) * [1.0, 10.0, 100.0]
    np.save(tmp_path / "X.npy", images.astype("float32"))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    layer = cr.Standardize().adapt(mapped)
    np.testing.assert_allclose(layer.variance, images.reshape(-1, 3).var(axis=0), rtol=1e-5)
    scaled = cr.Sequential(layer).predict(mapped)
    np.testing.assert_allclose(scaled.reshape(-1, 3).std(axis=0), 1, rtol=1e-4)


def test_it_stays_with_the_network(tmp_path):
    net = network(cr.Standardize(name="scaling").adapt(X), "float32")
    assert repr(net.layers[0]) == "Standardize(4)"
    path = tmp_path / "net.safetensors"
    net.save(path)
    for copy in (cr.load(path), net.copy(), cr.Sequential(*cr.load(path).layers, seed=0)):
        assert copy.layers == net.layers
        assert np.array_equal(copy.predict(X), net.predict(X))
    before = net.buffers()["0.mean"].copy()
    y = np.zeros((500, 2))
    cr.fit(net, X, y, loss=cr.MSELoss(), epochs=2, progress=False, optimizer=cr.AdamW())
    assert np.array_equal(net.buffers()["0.mean"], before)
    assert list(net.parameters()) == ["1.weight", "1.bias"]


def test_a_network_with_it_learns_from_data_on_any_scale():
    y = (X - X.mean(axis=0)) / X.std(axis=0) @ [[1.0], [2.0], [-1.0], [0.5]]
    layers = cr.Linear(4, 16), cr.Tanh(), cr.Linear(16, 1)
    options = {"loss": cr.MSELoss(), "optimizer": cr.Adam(lr=0.01), "epochs": 30}
    scores = []
    for first in (cr.Standardize().adapt(X), cr.Identity()):
        net = cr.Sequential(first, *layers, cr.Rescale(y.std(), offset=y.mean()), seed=0)
        cr.fit(net, X, y, progress=False, **options)
        scores.append(cr.metrics.r2_score(y, net.predict(X)))
    assert scores[0] > 0.99 > 0.9 > scores[1]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: network(cr.Standardize()),
            ValueError,
            r"no statistics yet: Standardize\(\)\.adapt",
        ),
        (lambda: cr.Standardize(3).adapt(X), ValueError, r"X must have 3 features, but its shape"),
        (lambda: cr.Standardize().adapt(X[:, 0]), ValueError, r"X must have shape \(n, features\)"),
        (lambda: cr.Standardize().adapt(X[:0]), ValueError, "X must have at least one row"),
        (
            lambda: cr.Standardize().adapt(X * np.nan),
            ValueError,
            r"X must be finite, but X",
        ),
        (lambda: cr.Standardize().adapt(X.astype(str)), TypeError, "X must hold real numbers"),
        (lambda: cr.Standardize(0), ValueError, "features must be at least 1"),
        (lambda: cr.Standardize(3, mean=[0.0]), ValueError, "mean has 1 numbers, but there are 3"),
        (
            lambda: cr.Standardize(mean=[0.0], variance=[0.0]),
            ValueError,
            r"variance\[0\] must be more",
        ),
        (
            lambda: network(cr.Standardize(variance=[1.0, 1.0, 1e-50, 1.0]), "float32"),
            ValueError,
            r"Standardize's variance\[2\] must be more than 0 in float32",
        ),
        (
            lambda: network(cr.Standardize().adapt(X)).predict(X[:, :3]),
            ValueError,
            r"Standardize\(4\) \(layer 0\) expects 4 features",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_it_has_its_own_operator_in_onnx(tmp_path):
    pytest.importorskip("onnx")
    net = network(cr.Standardize().adapt(X))
    net.to_onnx(tmp_path / "net.onnx")
    same = cr.from_onnx(tmp_path / "net.onnx")
    assert repr(same) == repr(net)
    np.testing.assert_allclose(same.predict(X), net.predict(X), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-15, 1e-9, 1.0, 1e9, 1e15])
def test_values_of_any_size_are_scaled(size, dtype):
    data = size * np.random.default_rng(0).normal(2.0, 1.0, size=(50, 2))
    net = cr.Sequential(cr.Standardize().adapt(data), dtype=dtype)
    scaled = net.predict(data.astype(dtype))
    expected = (data - data.mean(axis=0)) / data.std(axis=0)
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1e-170, 1e200])
def test_a_feature_whose_square_is_no_number_is_named(size):
    data = np.stack([np.arange(5.0), size * np.arange(5.0)], axis=1)
    with pytest.raises(ValueError, match=r"X varies by 1\.41e[-+]\d+ in feature 1, whose square"):
        cr.Standardize().adapt(data)


def test_a_variance_of_few_digits_is_refused():
    layer = cr.Standardize().adapt(5e-20 * np.arange(5.0)[:, None])
    cr.Sequential(layer, dtype="float64")
    with pytest.raises(ValueError, match=r"variance\[0\] is 5e-39, but below 1.18e-38"):
        cr.Sequential(layer, dtype="float32")


def test_what_is_constant_up_to_rounding_is_constant_as_in_scikit_learn():
    data = np.array([0.3, 0.1 * 3] * 500)[:, None]
    layer = cr.Standardize().adapt(data)
    assert layer.variance == (1.0,)
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    expected = preprocessing.StandardScaler().fit(data).transform([[0.31]])
    np.testing.assert_allclose(
        cr.Sequential(layer, dtype="float64").predict([[0.31]]), expected, rtol=1e-9
    )


def test_without_statistics_there_is_no_network():
    layer = cr.Standardize(4)
    layer.adapt(np.ones((3, 4)))  # which returns another layer
    with pytest.raises(ValueError, match=r"no statistics yet: Standardize\(\)\.adapt\(X\) returns"):
        cr.Sequential(layer)

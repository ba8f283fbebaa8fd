"""Columns: branches of a table, and codes among them."""

import numpy as np
import pytest

import chainrule as cr


def table(rows=60, seed=0):
    """Return a table with codes in columns 0 and 3, and targets."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 4))
    X[:, 0], X[:, 3] = rng.integers(0, 12, rows), rng.integers(0, 3, rows)
    return X, rng.normal(size=(rows, 2))


def network(**options):
    month = cr.Sequential(cr.Columns([0]), cr.Embedding(12, 4), cr.Flatten(), seed=1)
    kind = cr.Sequential(cr.Columns([-1]), cr.Embedding(3, 2), cr.Flatten(), seed=2)
    branches = cr.Parallel(month, kind, cr.Columns([1, 2]), combine="concatenate")
    return cr.Sequential(branches, cr.Linear(8, 2), seed=0, **options)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_table_is_divided_among_branches(backend):
    X, y = table()
    net = network(dtype="float64", backend=backend)
    values = net.named_values()
    month, kind = values["0.0.1.weight"], values["0.1.1.weight"]
    row = np.concatenate([month[X[:, 0].astype(int)], kind[X[:, 3].astype(int)], X[:, 1:3]], axis=1)
    np.testing.assert_allclose(net.predict(X), row @ values["1.weight"] + values["1.bias"])
    assert cr.gradcheck(net, cr.MSELoss(), X, y).passed
    assert cr.gradgradcheck(net, cr.MSELoss(), X, y).passed
    gradient = cr.value_and_grad(net, cr.MSELoss(), wrt="x")(net.params, X, y)[1]
    assert (gradient[:, [0, 3]] == 0).all()
    assert (gradient[:, [1, 2]] != 0).all()


def test_any_number_of_threads_gives_the_same_bits(all_threads):
    X, y = table(200)
    found = []
    for threads in (1, 2, 3):
        net = network()
        with all_threads(), cr.threads(threads):
            cr.fit(net, X, y, loss=cr.MSELoss(), epochs=2, batch_size=48, progress=False)
        found.append(net.params.tobytes())
    assert found[0] == found[1] == found[2]


def test_files_hold_it(tmp_path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    net, X = network(), table()[0].astype("float32")
    net.save(tmp_path / "model.safetensors")
    net.to_onnx(tmp_path / "model.onnx", input_shape=(4,))
    read = cr.load(tmp_path / "model.safetensors"), cr.from_onnx(tmp_path / "model.onnx")
    for same in read:
        np.testing.assert_array_equal(same.predict(X), net.predict(X))
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    np.testing.assert_allclose(session.run(None, {"input": X})[0], net.predict(X), rtol=1e-4)


@pytest.mark.parametrize(("column", "last"), [(0, 11), (3, 2)])
@pytest.mark.parametrize("code", [-1.0, 0.5, 12.0])
def test_a_wrong_code_is_named_by_its_column_of_x(column, last, code):
    X, y = table()
    X[7, column] = code
    net = network()
    before = net.params.copy()
    message = rf"the code {code} at row 7, column {column}, but Embedding.* from 0 to {last}\."
    with pytest.raises(ValueError, match="X has " + message):
        net.predict(X)
    with pytest.raises(ValueError, match="x has " + message):
        net.forward(X)
    with pytest.raises(ValueError, match="X has " + message):
        cr.fit(net, X, y, loss=cr.MSELoss(), progress=False)
    np.testing.assert_array_equal(net.params, before)


def test_codes_may_be_picked_several_times_and_of_more_axes():
    selected = cr.Columns([3, 0]), cr.Columns([0, -1, -1])
    net = cr.Sequential(*selected, cr.Embedding(5, 2), seed=0)
    x = np.random.default_rng(0).integers(0, 5, (6, 2, 4))
    np.testing.assert_array_equal(net.predict(x), net.parameters()["2.weight"][x[..., [3, 0, 0]]])
    x[4, 1, 0] = 5
    with pytest.raises(ValueError, match=r"the code 5 at row 4, column \(1, 0\)"):
        net.predict(x)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cr.Columns([]), ValueError, "^Columns' indices must have at least one number"),
        (lambda: cr.Columns(0), TypeError, "indices must be numbers in a list, not 0"),
        (lambda: cr.Columns([0.5]), TypeError, r"indices\[0\] must be an integer, not 0.5"),
        (
            lambda: cr.Sequential(cr.Columns([0, -5])).predict(np.ones((2, 4))),
            ValueError,
            r"Columns\(\(0, -5\)\) \(layer 0\) expects at least 5 columns, but X has shape",
        ),
        (
            lambda: cr.Sequential(cr.Tanh(), cr.Columns([0]), cr.Embedding(3, 2)),
            ValueError,
            r"Embedding\(3, 2\) \(layer 2\) takes codes: it must be given the network's input, or",
        ),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()

"""Embedding: codes pick rows of a table."""

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "operations.json").read_text())
BOTH = pytest.mark.parametrize("backend", ["numba", "numpy"])


def rng(seed=0):
    return np.random.default_rng(seed)


def network(seed=0, **options):
    return cr.Sequential(
        cr.Embedding(7, 3), cr.Flatten(), cr.Linear(6, 4), cr.Tanh(), cr.Linear(4, 2), seed=seed,
        **options,
    )  # fmt: skip


def data(rows=60):
    X = rng().integers(0, 7, (rows, 2))
    return X, rng(1).normal(size=(rows, 2))


@BOTH
def test_it_is_as_in_pytorch(backend):
    (case,) = (case for case in GOLDEN if case.get("layer") == "Embedding")
    net = cr.Sequential(cr.Embedding(**case["options"]), dtype="float64", backend=backend)
    cr.interop.torch.from_state_dict(net, {"0.weight": np.array(case["state"]["weight"])})
    np.testing.assert_array_equal(net.predict(case["x"]), case["output"])
    net.backward(cr.MSELoss()(net.forward(case["x"]), case["y"])[1])
    found = net.gradients()["0.weight"]
    np.testing.assert_allclose(found, case["d_parameters"][0], rtol=1e-12)
    state = cr.interop.torch.to_state_dict(net, framework="numpy")
    np.testing.assert_array_equal(state["0.weight"], case["state"]["weight"])


@BOTH
def test_derivatives(backend):
    net, (X, y) = network(backend=backend, dtype="float64"), data(9)
    report = cr.gradcheck(net, cr.MSELoss(), X, y)
    assert report.passed
    assert "x" not in [parameter.name for parameter in report.parameters]
    assert cr.gradgradcheck(net, cr.MSELoss(), X, y).passed
    assert not net.backward(np.ones_like(net.forward(X))).any()
    grads = cr.per_sample_grad(net, cr.MSELoss(), X, y)
    np.testing.assert_allclose(grads.mean(axis=0), cr.value_and_grad(net, cr.MSELoss())(
        net.params, X, y)[1], atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "bool"])
def test_codes_of_any_dtype(dtype):
    X = rng().integers(0, 2, (5, 2)).astype(dtype)
    net = network()
    np.testing.assert_array_equal(net.predict(X), net.predict(X.astype(int)))


def test_any_number_of_threads_gives_the_same_bits(all_threads):
    X, y = data(300)
    found = []
    for threads in (1, 2, 3):
        net = network()
        with all_threads(), cr.threads(threads):
            cr.fit(net, X, y, loss=cr.MSELoss(), epochs=2, batch_size=50, progress=False)
        found.append(net.params.tobytes())
    assert found[0] == found[1] == found[2]


def test_codes_beside_numbers():
    """A branch takes the codes; all columns go to the other one too."""
    parts = cr.Sequential(cr.Embedding(7, 3), cr.Flatten()), cr.Linear(2, 4)
    net = cr.Sequential(cr.Parallel(*parts, combine="concatenate"), cr.Linear(10, 1), seed=0)
    assert net.predict(data()[0]).shape == (60, 1)


def test_padding_begins_with_zeros_and_stays():
    net = cr.Sequential(cr.Embedding(7, 3, padding_idx=-1), cr.Flatten(), cr.Linear(6, 2), seed=0)
    assert net[0].padding_idx == 6
    X, y = data()
    cr.fit(net, X, y, loss=cr.MSELoss(), epochs=3, progress=False)
    assert not net.parameters()["0.weight"][6].any()
    assert net.parameters()["0.weight"][:6].all()


def test_files(tmp_path):
    pytest.importorskip("onnx")
    net, (X, _) = network(), data()
    net.save(tmp_path / "model.safetensors")
    net.to_onnx(tmp_path / "model.onnx", input_shape=(2,))
    for same in (cr.load(tmp_path / "model.safetensors"), cr.from_onnx(tmp_path / "model.onnx")):
        assert [type(layer) for layer in same.layers] == [type(layer) for layer in net.layers]
        np.testing.assert_array_equal(same.predict(X), net.predict(X))
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {"input": X.astype("float32")})
    np.testing.assert_allclose(found, net.predict(X), rtol=1e-5, atol=1e-6)


def test_explain_shows_it():
    net, (X, y) = network(), data(4)
    path = cr.explain(net, cr.MSELoss(), X, y).path("0.weight")
    gradient = net.views(cr.value_and_grad(net, cr.MSELoss())(net.params, X, y)[1])["0.weight"]
    np.testing.assert_allclose(path.gradient, gradient, rtol=1e-4, atol=1e-7)


def with_code(value, at=(3, 1)):
    X = data()[0].astype(float)
    X[at] = value
    return X


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (with_code(7), r"has the code 7\.0 at row 3, column 1, but Embedding\(7, 3\) \(layer 0\)"),
        (with_code(-1, (0, 0)), r"has the code -1\.0 at row 0, column 0"),
        (with_code(2.5), r"has the code 2\.5 at row 3, column 1"),
        (
            with_code(9).astype("uint8"),
            r"has the code 9 at row 3, column 1.* from 0 to 6\.",
        ),
    ],
)
def test_a_wrong_code_is_named_before_anything_changes(X, message):
    net, (good, y) = network(), data()
    before = net.params.copy()
    calls = [
        lambda: net.predict(X),
        lambda: net.forward(X),
        lambda: cr.fit(net, X, y, loss=cr.MSELoss(), progress=False),
        lambda: cr.fit(net, good, y, loss=cr.MSELoss(), validation=(X, y), progress=False),
        lambda: cr.value_and_grad(net, cr.MSELoss())(net.params, X, y),
        lambda: cr.jacobian(net, X),
        lambda: cr.gradcheck(net, cr.MSELoss(), X, y),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()
    np.testing.assert_array_equal(net.params, before)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cr.Embedding(0, 3), ValueError, "num_embeddings must be at least 1"),
        (lambda: cr.Embedding(3, 2.0), TypeError, "embedding_dim must be an integer"),
        (lambda: cr.Embedding(3, 2, 3), ValueError, "padding_idx must be less than 3, not 3"),
        (lambda: cr.Embedding(3, 2, -4), ValueError, "padding_idx must be at least -3, not -4"),
        (
            lambda: cr.Sequential(cr.Linear(2, 2), cr.Embedding(3, 2)),
            ValueError,
            r"Embedding\(3, 2\) \(layer 1\) takes codes: it must be given the network's input",
        ),
        (
            lambda: cr.Sequential(cr.Embedding((1 << 24) + 1, 1)),
            ValueError,
            "num_embeddings must be at most 16,777,216 in float32",
        ),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()

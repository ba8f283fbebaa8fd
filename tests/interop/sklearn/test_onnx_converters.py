"""Estimators written as ONNX by skl2onnx give the same in onnxruntime."""

import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import chainrule as cr
from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor, register_onnx_converters

pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

rng = np.random.default_rng(0)
X = rng.normal(3, 2, (90, 4)).astype(np.float32)
NAMES = np.array(["a", "b", "c"])
CLASSES = {
    "numbers": rng.integers(3, 6, 90),
    "two numbers": rng.integers(0, 2, 90),
    "bool": rng.integers(0, 2, 90).astype(bool),
    "floats": rng.integers(0, 3, 90).astype(float),
    "names": NAMES[rng.integers(0, 3, 90)],
    "objects": NAMES[rng.integers(0, 2, 90)].astype(object),
    "several labels": rng.integers(0, 2, (90, 3)),
}
NUMBERS = {"one": X.sum(axis=1), "three": X @ rng.normal(size=(4, 3)).astype(np.float32)}
OPTIONS = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "max_iter": 20, "random_state": 0}


def test_without_skl2onnx_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "chainrule\[skl2onnx\]"'):
        register_onnx_converters()


@pytest.fixture
def run():
    """Return a function that writes a model, and runs it on rows."""
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    register_onnx_converters()
    register_onnx_converters()  # a second call changes nothing

    def run(model, X, *, zipmap=False, nocl=False, **options):
        if hasattr(model, "classes_"):
            options["options"] = {"zipmap": zipmap} | ({"nocl": True} if nocl else {})
        file = skl2onnx.to_onnx(model, X[:1], **options).SerializeToString()
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: X})

    return run


def check_classifier(model, outputs, X=X):
    labels, chances = outputs
    expected = model.predict(X)
    assert labels.shape == expected.shape
    assert np.array_equal(labels.astype(expected.dtype), expected)
    assert np.allclose(chances, model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classifier(kind, dtype, run):
    model = NetworkClassifier(dtype=dtype, **OPTIONS).fit(X, CLASSES[kind])
    check_classifier(model, run(model, X))


def test_numbers_in_place_of_classes(run):
    model = NetworkClassifier(**OPTIONS).fit(X, CLASSES["names"])
    labels, _ = run(model, X, nocl=True)
    assert np.array_equal(model.classes_[labels], model.predict(X))


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regressor(kind, loss, run):
    y = NUMBERS[kind] if loss == "squared_error" else np.abs(NUMBERS[kind])
    model = NetworkRegressor(loss, **OPTIONS).fit(X, y)
    (predicted,) = run(model, X)
    expected = model.predict(X).reshape(90, -1)
    assert predicted.shape == expected.shape
    assert np.allclose(predicted, expected, rtol=1e-4, atol=1e-4)


def test_regressor_with_several_outputs(run):
    def module(n_in, n_out):
        return cr.Sequential(
            cr.Linear(n_in, 6), cr.Tanh(), cr.Branch(cr.Linear(6, 3), cr.Linear(6, 2)), seed=0
        )

    y = np.column_stack([rng.integers(0, 3, 90), X[:, :2]])
    loss = cr.MultiLoss(cr.CrossEntropyLoss(), cr.MSELoss())
    model = NetworkRegressor(loss, module=module, max_iter=5).fit(X, y)
    (predicted,) = run(model, X)
    assert np.allclose(predicted, model.predict(X), atol=1e-5)


@pytest.mark.parametrize("opset", [17, None])
def test_every_kind_of_layer_in_a_module(opset, run):
    net = cr.Sequential(
        cr.Linear(4, 8),
        cr.BatchNorm(8),
        cr.GLU(),
        cr.Residual(cr.LayerNorm(4), cr.Linear(4, 4), cr.GELU()),
        cr.Dropout(0.2),
        cr.Linear(4, 3),
        seed=0,
    )
    model = NetworkClassifier(module=net, max_iter=5)
    model.fit(X, CLASSES["names"])
    check_classifier(model, run(model, X, target_opset=opset))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pipeline(dtype, run):
    table = np.column_stack([X, rng.integers(0, 4, 90)]).astype(dtype)
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), [0, 1, 2, 3]), ("codes", OneHotEncoder(), [4])]
    )
    model = make_pipeline(columns, NetworkClassifier(**OPTIONS)).fit(table, CLASSES["names"])
    check_classifier(model, run(model, table), table)
    if dtype == np.float64:
        return  # ONNX has no ZipMap of float64
    maps = run(model, table, zipmap=True)[1]
    assert np.allclose(maps[0]["b"], model.predict_proba(table)[0, 1], atol=1e-5)


def test_two_networks_in_one_model(run):
    members = [(f"net{i}", NetworkClassifier(**{**OPTIONS, "random_state": i})) for i in range(2)]
    model = VotingClassifier(members, voting="soft", flatten_transform=False).fit(
        X, CLASSES["numbers"]
    )
    check_classifier(model, run(model, X))


def test_a_layer_of_ones_own_is_named(run):
    class Own(cr.NumPyLayer):
        def forward(self, x):
            return x, None

        def backward(self, dy, saved):
            return dy, {}

    net = cr.Sequential(cr.Linear(4, 3), Own(), seed=0)
    model = NetworkClassifier(module=net, max_iter=1)
    model.fit(X, CLASSES["names"])
    with pytest.raises(ValueError, match=r"Own.* cannot be written as ONNX"):
        run(model, X)

"""What is unpickled works as before, also with arrays in a mapped file or in shared memory."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import chainrule as cr
from chainrule.engine import interpreter
from chainrule.engine.update import UpdateOptions
from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor
from chainrule.utils.arrays import CACHE_LINE

pytestmark = pytest.mark.once

LOSS = cr.CrossEntropyLoss()
rng = np.random.default_rng(0)
X, y = rng.normal(size=(40, 8)), rng.integers(0, 3, 40)


def plain(value, folder):
    return pickle.loads(pickle.dumps(value))


def mapped(value, folder):
    joblib.dump(value, folder / "value")
    return joblib.load(folder / "value", mmap_mode="r")


def shared(value, folder):
    buffers = []
    content = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(content, buffers=[bytes(buffer.raw()) for buffer in buffers])


def shared_unaligned(value, folder):
    buffers = []
    content = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    copies = [memoryview(b"0" + bytes(buffer.raw()))[1:] for buffer in buffers]
    return pickle.loads(content, buffers=copies)


CARRIERS = plain, mapped, shared, shared_unaligned


@pytest.fixture(autouse=True)
def nothing_is_compiled_anew():
    network = cr.Sequential(cr.Linear(8, 3), seed=0)
    cr.fit(network, X, y, loss=LOSS, progress=False)
    cr.objective(network, LOSS, X, y).fun(np.zeros(27))  # float64
    before = len(getattr(interpreter.run, "signatures", ()))
    yield
    assert len(getattr(interpreter.run, "signatures", ())) == before


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_vectors_begin_at_a_cache_line(carrier, dtype, tmp_path):
    net = cr.Sequential(cr.Linear(3, 5), cr.BatchNorm(5), cr.Linear(5, 1), seed=0, dtype=dtype)
    optimizer = cr.Adam()
    optimizer.step(net)
    carried, with_state = carrier((net, optimizer), tmp_path)
    with_state.step(carried)
    for network in (net, net.copy(), carried):
        state = with_state.state(network, UpdateOptions())
        for vector in (network.values, network.params, network.grads, state.vectors):
            assert vector.ctypes.data % CACHE_LINE == 0


def fit(net, optimizer, average, callbacks):
    how = {"loss": LOSS, "batch_size": 8, "epochs": 3, "validation": (X, y), "progress": False}
    return cr.fit(
        net, X, y, optimizer=optimizer, average=average, callbacks=callbacks, seed=1, **how
    )


@pytest.mark.parametrize("carry", CARRIERS)
@pytest.mark.parametrize(
    "optimizer",
    [cr.SGD(momentum=0.9, nesterov=True), cr.Adam(), cr.AdamW(weight_decay={"*.weight": 0.1})],
    ids=repr,
)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_training_goes_on_as_the_original(tmp_path, carry, optimizer, backend):
    net = cr.Sequential(
        cr.Linear(8, 16), cr.Tanh(), cr.Dropout(0.1), cr.Linear(16, 3), seed=0, backend=backend
    )
    average = cr.ExponentialMovingAverage(net, decay=0.9)
    callbacks = [
        cr.callbacks.EarlyStopping(patience=2),
        cr.GradientFlow(),
        cr.schedules.ReduceLROnPlateau(patience=1),
        cr.callbacks.ModelCheckpoint(tmp_path / "best.safetensors"),
        cr.callbacks.CSVLogger(tmp_path / "log.csv"),
        cr.callbacks.JSONLLogger(tmp_path / "log.jsonl"),
        cr.callbacks.TensorBoard(tmp_path / "events"),
    ]
    history = fit(net, optimizer, average, callbacks)
    original = net, optimizer, average, callbacks
    *twin, its_history = carry((*original, history), tmp_path)
    assert its_history.loss == history.loss
    assert repr(its_history.gradient_flow) == repr(history.gradient_flow)
    results = []
    for one, rule, mean, calls in (original, twin):
        results.append(fit(one, rule, mean, calls))
        one.backward(one.forward(X))  # a step by hand
        rule.step(one)
        mean.update()
    assert results[0].batch_loss == results[1].batch_loss
    its, _, its_average, _ = twin
    assert np.array_equal(its.params, net.params)
    assert np.array_equal(its_average.network.params, average.network.params)
    assert np.array_equal(its.predict(X), net.predict(X))
    its.params = its.params + 1
    assert np.array_equal(its.params, net.params + 1)


@pytest.mark.parametrize("carry", CARRIERS)
@pytest.mark.parametrize("Estimator", [NetworkClassifier, NetworkRegressor])
@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")
def test_an_estimator_goes_on_as_the_original(tmp_path, carry, Estimator):
    model = Estimator(max_iter=2, random_state=np.random.RandomState(0)).fit(X, y)
    twin = carry(model, tmp_path)
    assert np.array_equal(twin.predict(X), model.predict(X))
    for one in (model, twin):
        one.partial_fit(X, y)
        one.coefs_[0][...] *= 0.5
    assert np.array_equal(twin.predict(X), model.predict(X))
    twin.fit(X, y)


@pytest.mark.parametrize("carry", CARRIERS)
def test_an_objective_is_the_same(tmp_path, carry):
    net = cr.Sequential(cr.Linear(8, 3), seed=0)
    for loss, target in ((LOSS, y), (cr.MSELoss(), X[:, :3])):
        objective = cr.objective(net, loss, X, target, sample_weight=np.arange(40))
        value, gradient = objective.fun(objective.start)
        twin = carry(objective, tmp_path)
        its_value, its_gradient = twin.fun(twin.start)
        assert its_value == value
        assert np.array_equal(its_gradient, gradient)


@pytest.mark.parametrize("carry", CARRIERS)
def test_data_may_lie_anywhere(tmp_path, carry):
    nets = [cr.Sequential(cr.Linear(8, 3), seed=0) for _ in range(2)]
    its_X, its_y, weights = carry((X, y, np.ones(40)), tmp_path)
    cr.fit(nets[0], X, y, loss=LOSS, seed=0, progress=False)
    cr.fit(nets[1], its_X, its_y, sample_weight=weights, loss=LOSS, seed=0, progress=False)
    assert np.array_equal(nets[0].params, nets[1].params)


def test_a_network_pickled_under_the_former_name_of_an_attribute():
    network = cr.Sequential(cr.Linear(8, 3), cr.Dropout(0.5), seed=0)
    network.training = False
    state = network.__getstate__()
    former = {"drops" if name == "_training" else name: state[name] for name in state}
    twin = cr.Sequential.__new__(cr.Sequential)
    twin.__setstate__(former)
    assert twin.training is False
    assert not hasattr(twin, "drops")
    np.testing.assert_array_equal(twin.forward(X), network.forward(X))

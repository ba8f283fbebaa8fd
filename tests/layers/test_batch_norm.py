"""BatchNorm and buffers: what is saved with the parameters, but not trained."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

BOTH = pytest.mark.parametrize("backend", ["numba", "numpy"])


def data(rows=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(3, 2, size=(rows, 4)), rng.normal(size=(rows, 2))


def network(seed=0, **options):
    return cr.Sequential(
        cr.Linear(4, 6), cr.BatchNorm(6), cr.ReLU(), cr.Linear(6, 2), seed=seed, **options
    )


def fit(net, X, y, **options):
    defaults = {"loss": cr.MSELoss(), "epochs": 2, "batch_size": 16, "progress": False}
    return cr.fit(net, X, y, **defaults | options)


def trained(**options):
    net = network(**options)
    fit(net, *data())
    return net


def assert_same(net, other):
    assert net.named_values().keys() == other.named_values().keys()
    np.testing.assert_array_equal(net.values, other.values)
    np.testing.assert_array_equal(net.predict(data()[0]), other.predict(data()[0]))


# What it computes


@BOTH
def test_a_training_step_has_the_statistics_of_its_batch(backend):
    X, _ = data()
    net = cr.Sequential(cr.BatchNorm(4, momentum=0.25), dtype="float64", backend=backend)
    output = net.forward(X)
    np.testing.assert_allclose(output.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(output.var(axis=0), 1, rtol=1e-4)
    buffers = net.buffers()
    np.testing.assert_allclose(buffers["0.running_mean"], X.mean(axis=0) / 4)
    np.testing.assert_allclose(buffers["0.running_var"], 0.75 + X.var(axis=0, ddof=1) / 4)
    assert buffers["0.num_batches_tracked"] == 1


@BOTH
@pytest.mark.parametrize("value", [1.1e5, 1e6, 1e9])
def test_constant_channels_have_no_negative_variance(backend, value):
    x = np.full((64, 31, 33, 16), value, np.float32) * np.linspace(1, 1.1, 16, dtype=np.float32)
    net = cr.Sequential(cr.BatchNorm(16), backend=backend)
    assert np.isfinite(net.forward(x)).all()
    assert (net.buffers()["0.running_var"] >= 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_a_mean_far_from_zero_costs_no_digits(seed):
    x = np.random.default_rng(seed).normal(size=(4096, 3)) + np.array([0, 1e3, -1e5])
    x = x.astype("float32")
    net = cr.Sequential(cr.BatchNorm(3, eps=1e-12, momentum=1.0))
    output = net.forward(x)
    exact = x.astype(float)
    np.testing.assert_allclose(output, (exact - exact.mean(0)) / exact.std(0), atol=0.02)
    np.testing.assert_allclose(net.buffers()["0.running_var"], exact.var(0, ddof=1), rtol=2e-6)


@BOTH
def test_all_axes_but_the_last_are_those_of_the_batch(backend):
    x = data()[0].reshape(10, 5, 4)
    net = cr.Sequential(cr.BatchNorm(4), dtype="float64", backend=backend)
    flat = cr.Sequential(cr.BatchNorm(4), dtype="float64", backend=backend)
    # Other rows are added up together.
    found, expected = net.forward(x).reshape(-1, 4), flat.forward(x.reshape(-1, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(net.values, flat.values, rtol=1e-12)
    assert net.forward(x[:1]).shape == (1, 5, 4)  # five values of each feature
    assert cr.gradcheck(net, cr.MSELoss(), x, x * 2).passed


def test_predictions_have_the_running_statistics():
    net, (X, _) = trained(dtype="float64"), data()
    before = net.values.copy()
    values = net.named_values()
    h = X @ values["0.weight"] + values["0.bias"]
    h = (h - values["1.running_mean"]) / np.sqrt(values["1.running_var"] + 1e-5)
    h = np.maximum(h * values["1.weight"] + values["1.bias"], 0)
    expected = h @ values["3.weight"] + values["3.bias"]
    np.testing.assert_allclose(net.predict(X), expected)
    np.testing.assert_allclose(net.predict(X[:1]), expected[:1])
    net.training = False
    np.testing.assert_allclose(net.forward(X), expected)
    np.testing.assert_array_equal(net.values, before)


@pytest.mark.parametrize("rows", [2, 7, 33, 150])
def test_any_number_of_threads_gives_the_same_bits(all_threads, rows):
    X, y = data(300)
    found = []
    for threads in (1, 2, 3):
        net = network()
        with all_threads(), cr.threads(threads):
            history = fit(net, X, y, batch_size=rows, validation=(X, y))
        found.append((net.values.tobytes(), history.loss, history.validation_loss))
    assert found[0] == found[1] == found[2]


def test_backends_train_alike():
    numba, numpy = trained(dtype="float64"), trained(dtype="float64", backend="numpy")
    np.testing.assert_allclose(numba.predict(data()[0]), numpy.predict(data()[0]), rtol=1e-6)
    np.testing.assert_allclose(*(n.buffers()["1.running_var"] for n in (numba, numpy)), rtol=1e-8)


def test_a_shared_layer_follows_all_its_places():
    shared = cr.Shared(cr.BatchNorm(4))
    net = cr.Sequential(shared, cr.Rescale(2.0, 1.0), shared, dtype="float64")
    net.forward(data()[0])
    assert list(net.buffers()) == [
        "0.0.running_mean", "0.0.running_var", "0.0.num_batches_tracked"
    ]  # fmt: skip
    assert net.buffers()["0.0.num_batches_tracked"] == 2


# Where buffers go


def test_copies_have_buffers_of_their_own():
    net = trained()
    copies = [net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    for twin in copies:
        assert_same(net, twin)
        before = net.values.copy()
        fit(twin, *data())
        np.testing.assert_array_equal(net.values, before)
        assert not np.array_equal(twin.buffers()["1.running_mean"], net.buffers()["1.running_mean"])
    exact = net.copy(dtype="float64")
    np.testing.assert_array_equal(exact.values, net.values)


def test_a_network_in_another_brings_its_buffers():
    inner = trained()
    outer = cr.Sequential(cr.Identity(), inner, cr.Tanh())
    np.testing.assert_array_equal(
        outer.buffers()["1.1.running_var"], inner.buffers()["1.running_var"]
    )


def test_a_file_holds_them(tmp_path):
    net = trained()
    net.save(tmp_path / "model.safetensors")
    assert_same(net, cr.load(tmp_path / "model.safetensors"))
    average = cr.Sequential(cr.BatchNorm(3, momentum=None))
    average.save(tmp_path / "average.safetensors")
    assert cr.load(tmp_path / "average.safetensors").layers == average.layers
    net.buffers()["1.running_var"][0] = np.nan
    with pytest.raises(ValueError, match=r"1\.running_var holds NaN"):
        net.save(tmp_path / "nan.safetensors")


def test_an_onnx_file_holds_them(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    for layers, x in (
        (network().layers, data()[0]),
        ([cr.BatchNorm(4)], data()[0]),
        ([cr.BatchNorm(4, affine=False)], data()[0].reshape(10, 5, 4)),
    ):
        net = cr.Sequential(*layers, seed=0)
        net.forward(x), net.forward(2 * x)
        path = tmp_path / "model.onnx"
        net.to_onnx(path, input_shape=x.shape[1:])
        (found,) = onnxruntime.InferenceSession(path).run(None, {"input": x.astype("float32")})
        np.testing.assert_allclose(found, net.predict(x), rtol=1e-4, atol=1e-5)
        read = cr.from_onnx(path)
        assert [type(layer) for layer in read.layers] == [type(layer) for layer in net.layers]
        np.testing.assert_array_equal(read.predict(x), net.predict(x))


class Stop(cr.Callback):
    """As Ctrl-C would, after so many steps."""

    every = 3

    def on_steps(self, training):
        training.interruption.requested = True


def test_a_resumed_training_has_the_same_bits(tmp_path):
    whole = network()
    fit(whole, *data(), epochs=3)
    path = tmp_path / "run.safetensors"
    for _ in range(20):
        net = network(seed=9) if path.exists() else network()
        history = fit(
            net, *data(), epochs=3, callbacks=[Stop()], checkpoint=path, resume=True,
            interrupt="stop",
        )  # fmt: skip
        if not history.interrupted:
            break
    np.testing.assert_array_equal(net.values, whole.values)
    np.testing.assert_array_equal(cr.load(path).values, whole.values)


def test_the_average_copies_them_as_in_pytorch():
    net = network()
    average = cr.ExponentialMovingAverage(net, decay=0.9)
    fit(net, *data(), average=average)
    for name, value in net.buffers().items():
        np.testing.assert_array_equal(average.network.buffers()[name], value)
    assert not np.array_equal(average.network.params, net.params)
    net.buffers()["1.running_mean"][:] = 7
    average.update()
    assert (average.network.buffers()["1.running_mean"] == 7).all()


def test_the_best_epoch_comes_back_with_its_buffers(tmp_path):
    X, y = data()
    kept = {}

    class Keep(cr.Callback):
        def on_epoch_end(self, training):
            kept[training.epoch] = training.network.values.copy()

    net = network()
    stopping = cr.callbacks.EarlyStopping(patience=2)
    saving = cr.callbacks.ModelCheckpoint(tmp_path / "best.safetensors")
    options = {"optimizer": cr.SGD(lr=0.5), "validation": (X, -5 * y), "epochs": 20}
    fit(net, X, y, callbacks=[stopping, Keep(), saving], **options)
    assert stopping.best_epoch < len(kept)
    np.testing.assert_array_equal(net.values, kept[stopping.best_epoch])
    np.testing.assert_array_equal(cr.load(saving.best_path).values, kept[stopping.best_epoch])


@pytest.mark.parametrize("at", [5, 17, 40])
def test_what_is_not_finite_leaves_the_buffers_of_the_last_finite_step(at):
    """Where X overflows on its way, and where only the running statistics do."""
    X, y = data(48)
    X = X.astype("float32")
    bad = X.copy()
    bad[at] = 3e38
    for layers in (network().layers, [cr.BatchNorm(4), cr.Linear(4, 2)]):
        net = cr.Sequential(*layers, seed=0)
        average = cr.ExponentialMovingAverage(net)
        with pytest.raises(cr.NonFiniteError) as caught:
            fit(net, bad, y, shuffle=False, average=average, optimizer=cr.SGD(lr=0.01))
        assert caught.value.step == at // 16 + 1
        same = cr.Sequential(*layers, seed=0)
        if at >= 16:
            finite = at // 16 * 16
            fit(same, X[:finite], y[:finite], shuffle=False, epochs=1, optimizer=cr.SGD(lr=0.01))
        np.testing.assert_array_equal(net.values, same.values)
        for name, value in net.buffers().items():
            np.testing.assert_array_equal(average.network.buffers()[name], value)


def test_derivatives_and_find_lr_leave_them_as_they_are():
    net, (X, y) = trained(), data()
    before = net.values.copy()
    loss = cr.MSELoss()
    cr.value_and_grad(net, loss)(net.params, X, y)
    cr.per_sample_grad(net, loss, X, y)
    cr.jacobian(net, X[:2])
    cr.hvp(net, loss, X, y, np.ones_like(net.params))
    cr.gradcheck(net, loss, X[:5], y[:5])
    cr.find_lr(net, X, y, loss=loss, steps=5)
    cr.objective(net, loss, X, y).fun(net.params)
    np.testing.assert_array_equal(net.values, before)
    assert cr.gradgradcheck(net, loss, X[:5], y[:5]).passed


DERIVATIVES = {
    "value_and_grad": lambda net, loss, x, y: cr.value_and_grad(net, loss)(net.params, x, y)[1],
    "hvp": lambda net, loss, x, y: cr.hvp(net, loss, x, y, np.ones_like(net.params)),
    "hessian": lambda net, loss, x, y: cr.hessian(net, loss, x, y),
    "gauss_newton_vp": lambda net, loss, x, y: cr.gauss_newton_vp(
        net, loss, x, y, np.ones_like(net.params)
    ),
    "per_sample_grad": lambda net, loss, x, y: cr.per_sample_grad(net, loss, x, y),
    "jacobian": lambda net, loss, x, y: cr.jacobian(net, x),
    "jvp": lambda net, loss, x, y: cr.jvp(net, x, net.params)[1],
    "vjp": lambda net, loss, x, y: cr.vjp(net, x)[1](np.ones_like(net.predict(x)))[0],
    "objective": lambda net, loss, x, y: cr.objective(net, loss, x, y).jac(net.params),
    "explain": lambda net, loss, x, y: cr.explain(net, loss, x, y).gradients["0.weight"],
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_are_of_what_predict_computes_whatever_training_is(name):
    net, (x, y) = trained(), data()
    results = []
    for net.training in (True, False):
        results.append(DERIVATIVES[name](net, cr.MSELoss(), x[:5], y[:5]))
    np.testing.assert_array_equal(*results)


def test_explain_computes_what_predict_does():
    net, (X, y) = trained(), data()
    chain = cr.explain(net, cr.MSELoss(), X[:5], y[:5])
    expected, gradient = cr.value_and_grad(net, cr.MSELoss())(net.params, X[:5], y[:5])
    assert chain.loss == pytest.approx(expected, rel=1e-5)
    for name, view in net.views(gradient).items():
        np.testing.assert_allclose(chain.path(name).gradient, view, rtol=1e-4, atol=1e-6)


def test_streams_train_it():
    X, y = data(48)
    net, other = network(), network()
    batches = [(X[i : i + 16], y[i : i + 16]) for i in range(0, 48, 16)]
    cr.fit(net, batches, loss=cr.MSELoss(), epochs=2, progress=False)
    fit(other, X, y, shuffle=False)
    np.testing.assert_array_equal(net.values, other.values)


# Without running statistics


def untracked(**options):
    return cr.Sequential(
        cr.Linear(4, 6), cr.BatchNorm(6, track=False), cr.Tanh(), cr.Linear(6, 2), seed=0, **options
    )


@BOTH
def test_without_running_statistics_all_batches_have_their_own(backend):
    X, y = data(300)
    net = untracked(dtype="float64", backend=backend)
    assert net.buffers() == {}
    values = net.named_values()
    h = X @ values["0.weight"] + values["0.bias"]
    h = np.tanh((h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-5))
    expected = h @ values["3.weight"] + values["3.bias"]
    np.testing.assert_allclose(net.predict(X), expected, rtol=1e-9)
    np.testing.assert_allclose(net.predict(X), expected, rtol=1e-9)  # from what is prepared
    np.testing.assert_allclose(net.forward(X), expected, rtol=1e-9)
    net.training = False
    np.testing.assert_allclose(net.forward(X), expected, rtol=1e-9)
    history = fit(net, X, y, validation=(X, y), epochs=1, batch_size=50)
    expected = cr.MSELoss()(net.predict(X), y)[0]
    assert history.validation_loss == pytest.approx([expected])


@BOTH
@pytest.mark.parametrize("shape", [(9, 4), (3, 5, 4), (2, 3, 2, 4)])
def test_derivatives_without_running_statistics(backend, shape):
    x = np.random.default_rng(0).normal(size=shape)
    y = np.random.default_rng(1).normal(size=(*shape[:-1], 2))
    # Without a bias, whose gradient would be 0: the mean takes it away.
    layers = cr.Linear(4, 6, bias=False), *untracked().layers[1:]
    net, loss = cr.Sequential(*layers, seed=0, dtype="float64", backend=backend), cr.MSELoss()
    assert cr.gradcheck(net, loss, x, y).passed
    assert cr.gradgradcheck(net, loss, x, y).passed


@BOTH
def test_without_running_statistics_it_is_as_in_pytorch(backend):
    text = (Path(__file__).parents[1] / "golden" / "operations.json").read_text()
    (case,) = [c for c in json.loads(text) if c["options"].get("track") is False]
    net = cr.Sequential(cr.BatchNorm(**case["options"]), dtype="float64", backend=backend)
    cr.interop.torch.from_state_dict(net, {f"0.{k}": v for k, v in case["state"].items()})
    x, y, loss = np.array(case["x"]), np.array(case["y"]), cr.MSELoss()
    for output in (net.predict(x), net.forward(x)):
        np.testing.assert_allclose(output, case["output"], rtol=1e-10)
        np.testing.assert_allclose(output, case["training"]["output"], rtol=1e-10)
    _, (d_x, d_params) = cr.value_and_grad(net, loss, wrt=("x", "params"))(net.params, x, y)
    np.testing.assert_allclose(d_x, case["gradient"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(d_params, np.concatenate(case["d_parameters"]), rtol=1e-10)
    found = cr.hvp(net, loss, x, y, np.array(case["direction"]), wrt="x")
    np.testing.assert_allclose(found, case["hessian_product"], rtol=1e-10, atol=1e-12)


def test_derivatives_of_many_rows_take_them_all_at_once():
    X, y = data(5000)
    net, loss, h = untracked(dtype="float64"), cr.MSELoss(), 1e-6
    direction = np.random.default_rng(2).normal(size=net.params.size)
    _, gradient = cr.value_and_grad(net, loss)(net.params, X, y)
    ends = [loss(_moved(net, sign * h * direction).predict(X), y)[0] for sign in (1, -1)]
    assert gradient @ direction == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)
    fun = cr.objective(net, loss, X, y).fun(net.params)
    assert fun[0] == pytest.approx(loss(net.predict(X), y)[0])
    np.testing.assert_allclose(fun[1], gradient, rtol=1e-9)


def _moved(net, change):
    twin = net.copy()
    twin.params[:] += change
    return twin


def test_any_number_of_threads_gives_the_same_bits_without_running_statistics(all_threads):
    X, y = data(300)
    found = []
    for threads in (1, 2, 3):
        net = untracked()
        with all_threads(), cr.threads(threads):
            history = fit(net, X, y, batch_size=50, validation=(X, y))
            output = net.predict(X)
        found.append((net.params.tobytes(), history.validation_loss, output.tobytes()))
    assert found[0] == found[1] == found[2]


def test_what_needs_single_rows_refuses_a_network_without_running_statistics(tmp_path):
    pytest.importorskip("onnx")
    net, (X, y), loss = untracked(), data(6), cr.MSELoss()
    vector = np.ones(net.params.size)
    for use in (
        lambda: cr.jacobian(net, X),
        lambda: cr.per_sample_grad(net, loss, X, y),
        lambda: cr.per_sample_norms(net, loss, X, y),
        lambda: cr.clipped_grad(net, loss, X, y, max_norm=1.0),
        lambda: cr.input_derivatives(net, X, [()]),
        lambda: cr.gauss_newton_vp(net, loss, X, y, vector),
        lambda: cr.fisher_vp(net, loss, X, vector),
        lambda: cr.explain(net, loss, X, y),
    ):
        with pytest.raises(ValueError, match=r"do not depend on each other, but BatchNorm\(6, "):
            use()
    with pytest.raises(ValueError, match=r"\(layer \d\) cannot be written as ONNX: it has no run"):
        net.to_onnx(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"track=False\) \(layer 1\) expects at least two values"):
        net.predict(X[:1])
    net.save(tmp_path / "model.safetensors")
    assert cr.load(tmp_path / "model.safetensors").layers == net.layers


# Images


@pytest.mark.parametrize("shape", [(3, 2, 4), (6, 4)])
def test_images_train_with_the_same_bits_for_any_number_of_threads(all_threads, shape):
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, size=(90, *shape))
    y = rng.normal(size=(90, *shape[:-1], 2))
    layers = cr.Linear(4, 6), cr.BatchNorm(6), cr.GroupNorm(2, 6), cr.RMSNorm(6), cr.Linear(6, 2)
    found = []
    for threads in (1, 2, 3):
        net = cr.Sequential(*layers, seed=0)
        with all_threads(), cr.threads(threads):
            history = fit(net, X, y, batch_size=40, validation=(X, y))
        found.append((net.values.tobytes(), history.loss, history.validation_loss))
    assert found[0] == found[1] == found[2]


# Bad input


def test_one_row_in_a_training_step_is_an_error_before_anything_changes():
    net, (X, y) = network(), data(33)
    before = net.values.copy()
    message = r"BatchNorm\(.*\) \(layer 1\) expects at least two values of each feature in a "
    with pytest.raises(ValueError, match=message + r"training step, but a batch has 1 row"):
        net.forward(X[:1])
    last = r"The last batch of an epoch has 1 of 33 rows with batch_size=16: BatchNorm"
    with pytest.raises(ValueError, match=last):
        fit(net, X, y)
    with pytest.raises(ValueError, match=message):
        fit(net, X, y, batch_size=1)
    with pytest.raises(ValueError, match=r"Batch 1 of epoch 1: .*at least two values"):
        cr.fit(net, [(X[:1], y[:1])], loss=cr.MSELoss(), progress=False)
    np.testing.assert_array_equal(net.values, before)
    fit(net, X, y, batch_size=11)
    assert net.predict(X[:1]).shape == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"features": 0}, ValueError, "features must be at least 1"),
        ({"features": 2.5}, TypeError, "features must be an integer"),
        ({"eps": 0}, ValueError, "eps must be more than 0"),
        ({"eps": "small"}, TypeError, "eps must be a number"),
        ({"momentum": 1.5}, ValueError, "momentum must be from 0 to 1"),
        ({"momentum": np.nan}, ValueError, "momentum must be from 0 to 1"),
        ({"affine": "no"}, TypeError, "affine must be True or False"),
        ({"track": 1}, TypeError, "track must be True or False"),
    ],
)
def test_arguments_are_checked(arguments, error, message):
    with pytest.raises(error, match=f"BatchNorm's {message}"):
        cr.BatchNorm(**{"features": 3} | arguments)


def test_features_that_do_not_fit():
    with pytest.raises(ValueError, match=r"BatchNorm\(.*\) \(layer 1\) expects 5 features"):
        cr.Sequential(cr.Linear(4, 6), cr.BatchNorm(5))
    with pytest.raises(ValueError, match=r"eps must be more than 0 in float32"):
        cr.Sequential(cr.BatchNorm(3, eps=1e-60))


def test_buffers_that_are_not_finite_are_refused():
    net = network()
    net.buffers()["1.running_var"][0] = np.inf
    with pytest.raises(ValueError, match=r"net\.buffers\(\) must be finite"):
        fit(net, *data())

"""fit: what it learns, how it stops, and that it is the same every time."""

import os
import signal
import threading
from time import perf_counter

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import chainrule as cr
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.models.data_set import DataSet
from chainrule.training import epoch_runner, slice_length


def digits_like(rows=60, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 8)), rng.integers(0, classes, rows)


def network(seed=0, **options):
    layers = cr.Linear(8, 16), cr.ReLU(), cr.Linear(16, 5)
    return cr.Sequential(*layers, seed=seed, **options)


def fit(net, X, y, **options):
    defaults = {"loss": cr.CrossEntropyLoss(), "epochs": 3, "batch_size": 16, "progress": False}
    return cr.fit(net, X, y, **defaults | options)


def test_it_learns():
    X, y = digits_like()
    net = network()
    history = fit(net, X, y, epochs=300, optimizer=cr.Adam(lr=0.01))
    assert history.loss[-1] < 0.05 < 1 < history.loss[0]
    assert cr.metrics.accuracy(y, net.predict(X)) == 1.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer", [cr.SGD(lr=0.1, momentum=0.9), cr.Adam(), cr.AdamW()], ids=repr
)
def test_both_backends_agree_at_every_step(dtype, optimizer):
    X, y = digits_like()
    weights = np.random.default_rng(1).uniform(0, 2, len(X))
    tolerance = (
        {"rtol": 1e-4, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}
    )
    nets = {backend: network(dtype=dtype, backend=backend) for backend in ("numba", "numpy")}
    for epoch in range(5):  # one step each
        rows = slice(12 * epoch, 12 * epoch + 12)
        losses = {
            backend: fit(
                net,
                X[rows],
                y[rows],
                optimizer=optimizer,
                epochs=1,
                batch_size=12,
                sample_weight=weights[rows],
            ).batch_loss
            for backend, net in nets.items()
        }
        np.testing.assert_allclose(losses["numba"], losses["numpy"], **tolerance)
        np.testing.assert_allclose(nets["numba"].params, nets["numpy"].params, **tolerance)


def test_backend_of_fit_overrides_the_networks():
    X, y = digits_like()
    a, b = network(dtype="float64"), network(dtype="float64", backend="numpy")
    assert fit(a, X, y, backend="numpy").batch_loss == fit(b, X, y).batch_loss


def test_same_seed_same_bits_however_it_is_sliced(monkeypatch):
    X, y = digits_like()
    nets = [network() for _ in range(3)]
    histories = [fit(net, X, y, seed=7) for net in nets[:2]]
    monkeypatch.setattr(slice_length, "SLICE_SECONDS", 0.0)  # one step a slice
    histories.append(fit(nets[2], X, y, seed=7))
    for net, history in zip(nets[1:], histories[1:], strict=True):
        assert np.array_equal(net.params, nets[0].params)
        assert history.batch_loss == histories[0].batch_loss
    other = network()
    fit(other, X, y, seed=8)
    assert not np.array_equal(other.params, nets[0].params)


def test_each_row_is_seen_once_an_epoch_the_short_last_batch_too():
    X, y = digits_like(rows=50)
    net = network()
    history = fit(net, X, y, optimizer=cr.SGD(lr=0.0), batch_size=16)
    assert len(history.batch_loss) == 3 * 4
    whole, _ = cr.CrossEntropyLoss()(net.predict(X), y)
    assert history.loss == pytest.approx([whole] * 3, rel=1e-6)


def test_without_shuffle_steps_equal_the_manual_path():
    X, y = digits_like(rows=50)
    a, b = network(), network()
    fit(a, X, y, shuffle=False, epochs=2)
    optimizer, loss = cr.Adam(), cr.CrossEntropyLoss()
    for _ in range(2):
        for start in range(0, 50, 16):
            _, d_out = loss(b.forward(X[start : start + 16]), y[start : start + 16])
            b.backward(d_out)
            optimizer.step(b)
    assert np.array_equal(a.params, b.params)


def test_second_fit_goes_on_where_the_optimizer_was():
    X, y = digits_like()
    a, b = network(), network()
    optimizer = cr.Adam()
    fit(a, X, y, shuffle=False, epochs=4)
    fit(b, X, y, shuffle=False, epochs=2, optimizer=optimizer)
    fit(b, X, y, shuffle=False, epochs=2, optimizer=optimizer)
    assert np.array_equal(a.params, b.params)


def test_history_of_a_fit_with_validation():
    X, y = digits_like()
    net = network()
    history = fit(net, X, y, validation=(X, y))
    loss, _ = cr.CrossEntropyLoss()(net.predict(X), y)
    assert len(history.validation_loss) == len(history.seconds) == len(history.loss) == 3
    assert history.validation_loss[-1] == pytest.approx(loss, rel=1e-6)
    assert history.validation_accuracy[-1] == cr.metrics.accuracy(y, net.predict(X))
    assert not history.interrupted


def test_seconds_of_all_epochs_are_no_more_than_went_by():
    started = perf_counter()
    history = fit(network(), *digits_like(), epochs=200)  # most of which run together
    assert 0 < sum(history.seconds) <= perf_counter() - started
    assert len(history.seconds) == 200


def test_validation_of_a_regression_has_no_accuracy():
    X, _ = digits_like()
    net = cr.Sequential(cr.Linear(8, 1), seed=0)
    history = fit(net, X, X[:, 0], loss=cr.MSELoss(), validation=(X, X[:, 0]))
    assert history.validation_accuracy == []
    assert len(history.validation_loss) == 3


def test_accuracy_of_binary_targets():
    X, _ = digits_like()
    y = X[:, 0] > 0
    net = cr.Sequential(cr.Linear(8, 1), seed=0)
    loss, adam = cr.BCEWithLogitsLoss(), cr.Adam(lr=0.1)
    history = fit(net, X, y, loss=loss, optimizer=adam, epochs=50, validation=(X, y))
    assert history.validation_accuracy[-1] > 0.95


def test_progress_bar_shows_epoch_and_loss(capsys):
    X, y = digits_like()
    fit(network(), X, y, progress=True, validation=(X, y))
    shown = capsys.readouterr().out
    assert "epoch 3/3" in shown
    assert "loss" in shown
    assert "accuracy" in shown


def test_ctrl_c_stops_between_steps_and_keeps_everything():
    X, y = digits_like(rows=2000)
    net, twin = network(), network()
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    timer.start()
    history = fit(net, X, y, epochs=10**6, shuffle=False, interrupt="stop")
    assert history.interrupted
    assert signal.getsignal(signal.SIGINT) is before
    steps = len(history.batch_loss)
    assert steps > 0
    # The same number of steps by another way gives the same network.
    optimizer, whole = cr.Adam(), steps // 125
    if whole:
        fit(twin, X, y, epochs=whole, optimizer=optimizer, shuffle=False)
    rest = (steps % 125) * 16
    if rest:
        fit(twin, X[:rest], y[:rest], epochs=1, optimizer=optimizer, shuffle=False)
    assert np.array_equal(net.params, twin.params)
    assert len(history.loss) == whole


@pytest.mark.skipif(JIT_DISABLED, reason="plain Python holds the GIL")
def test_fit_works_outside_the_main_thread_and_holds_no_gil():
    X, y = digits_like(rows=2000)
    net, twin = network(), network()
    fit(twin, X, y, epochs=200)
    counted = 0
    thread = threading.Thread(target=fit, args=(net, X, y), kwargs={"epochs": 200})
    thread.start()
    while thread.is_alive():
        counted += 1
    thread.join()
    assert np.array_equal(net.params, twin.params)
    assert counted > 10_000  # Python ran all the while


@pytest.mark.skipif(JIT_DISABLED, reason="NumPy allocates")
def test_nothing_is_allocated_by_a_step():
    X, y = digits_like(rows=1600)
    net = network()
    data = DataSet.checked(net, cr.CrossEntropyLoss(), X, y, None)
    one = epoch_runner.EpochRunner(net, cr.CrossEntropyLoss(), cr.Adam(), data, 16, "numba")
    one.losses = np.empty((100, 2))
    _nrt_python.memsys_enable_stats()
    allocations = []
    for steps in (1, 1, 100):
        before = rtsys.get_allocation_stats().mi_alloc
        assert one._run(np.arange(16 * steps), None, data) == steps
        allocations.append(rtsys.get_allocation_stats().mi_alloc - before)
    _nrt_python.memsys_disable_stats()
    assert allocations[0] == allocations[2]

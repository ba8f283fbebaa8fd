"""GradientFlow: the figures of chain.influence, at the right steps, and a training untouched."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import notation, probe
from chainrule.explain.flow import TIME_FRACTION, _Schedule

pytestmark = pytest.mark.once

NETWORKS = {
    "relu": [cr.Linear(6, 8), cr.ReLU(), cr.Linear(8, 4)],
    "named": [cr.Linear(6, 8), cr.Tanh(name="T"), cr.Linear(8, 4, name="logits"), cr.Identity()],
    "not fused": [cr.Linear(6, 8), cr.GELU(), cr.Linear(8, 4), cr.Softmax()],
    "no instructions": [cr.Identity(name="I"), cr.Flatten(name="F"), cr.Linear(6, 4)],
    "rescaled": [cr.Rescale(0.5, 1.0), cr.Linear(6, 5), cr.Sigmoid(), cr.Linear(5, 4)],
    "rescaled link": [cr.Rescale(0.5, 1.0, name="S"), cr.Linear(6, 4), cr.Rescale(3.0)],
    "nested": [cr.Sequential(cr.Linear(6, 8), cr.ELU(), seed=1), cr.Linear(8, 4, bias=False)],
}


def data(rows=40, columns=6):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, columns)), rng.normal(size=(rows, 4))


def fit(net, X, y, callback, **options):
    defaults = {"loss": cr.MSELoss(), "epochs": 3, "batch_size": 10, "progress": False}
    return cr.fit(net, X, y, callbacks=[callback], **defaults | options)


def assert_same(record, influence, tolerance):
    flow, last = record, -1
    assert flow.links == tuple(link.symbol for link in influence.links)
    assert flow.parameters == tuple(parameter.name for parameter in influence.parameters)
    for ours, theirs in (
        (flow.forward, [link.forward for link in influence.links]),
        (flow.backward, [link.backward for link in influence.links]),
        (flow.gradient, [parameter.gradient for parameter in influence.parameters]),
        (flow.weight, [parameter.weight for parameter in influence.parameters]),
        (flow.update_ratio, [parameter.update_ratio for parameter in influence.parameters]),
    ):
        np.testing.assert_allclose(ours[last], theirs, **tolerance)


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-11), ("float32", 1e-4)])
@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_the_same_figures_as_chain_influence(layers, dtype, rtol):
    X, y = data()
    net, optimizer = cr.Sequential(*layers, seed=0, dtype=dtype), cr.Adam(lr=0.01)
    history = fit(net, X, y, cr.GradientFlow(every=6, rows=20), optimizer=optimizer)
    flow = history.gradient_flow
    assert flow.steps.tolist() == [0, 6, 12]
    chain = cr.explain(net, cr.MSELoss(), X[::2], y[::2])
    assert_same(flow, chain.influence(optimizer), {"rtol": rtol})


def test_labels_axes_and_weights():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 255, (30, 2, 3), dtype=np.uint8), rng.integers(0, 4, 30)
    layers = cr.Rescale(1 / 255), cr.Linear(3, 5), cr.Tanh(), cr.Flatten(), cr.Linear(10, 4)
    net, loss, adam = (
        cr.Sequential(*layers, seed=0, dtype="float64"),
        cr.CrossEntropyLoss(),
        cr.Adam(),
    )
    weights = np.repeat([1.0, 0.0], 15)
    history = fit(
        net, X, y, cr.GradientFlow(every=9, rows=100), loss=loss, optimizer=adam,
        sample_weight=weights,
    )  # fmt: skip
    flow = history.gradient_flow
    # Rows without a weight have no gradient; the mean over twice as many rows is half as much.
    heavy = cr.explain(net, loss, X[:15], y[:15]).influence(adam)
    gradients = [parameter.gradient for parameter in heavy.parameters]
    np.testing.assert_allclose(flow.gradient[-1], gradients, rtol=1e-11)
    backward = [link.backward for link in heavy.links]
    np.testing.assert_allclose(flow.backward[-1], np.sqrt(0.5) * np.array(backward), rtol=1e-11)


def test_both_backends_record_the_same():
    X, y = data()
    flows = [
        fit(
            cr.Sequential(*NETWORKS["relu"], seed=0, dtype="float64", backend=backend), X, y,
            cr.GradientFlow(every=5),
        ).gradient_flow
        for backend in ("numba", "numpy")
    ]  # fmt: skip
    np.testing.assert_allclose(flows[0].backward, flows[1].backward, rtol=1e-10)
    np.testing.assert_allclose(flows[0].update_ratio, flows[1].update_ratio, rtol=1e-10)


def test_it_runs_on_the_backend_of_the_training(monkeypatch):
    X, y = data()
    backends = []

    net = cr.Sequential(*NETWORKS["relu"], seed=0)
    probed = probe.Probe.__init__

    def watched(self, *arguments, **options):
        probed(self, *arguments, **options)
        backends.append(self._machine._backend)

    monkeypatch.setattr(probe.Probe, "__init__", watched)
    fit(net, X, y, cr.GradientFlow(), backend="numpy")
    assert net.backend == "numba"
    assert backends == ["numpy"]


@pytest.mark.parametrize("block", [1, 7, 8, 1000])
def test_squares_are_added_block_by_block(block, monkeypatch):
    monkeypatch.setattr(probe, "BLOCK", block)
    vector = np.arange(1.0, 31.0, dtype=np.float32)
    starts = np.array([2, 3, 8, 20])
    sums = probe._SumsOfSquares(vector, starts)
    vector *= 2  # it looks at what is there when it is called
    expected = [np.sum(part**2) for part in np.split(vector, starts)[1:]]
    assert sums().tolist() == expected


@pytest.mark.parametrize("every", [None, 1, 7])
def test_the_training_is_untouched(every):
    X, y = data()
    alone, watched = (cr.Sequential(*NETWORKS["relu"], seed=0) for _ in range(2))
    optimizers = [cr.Adam(), cr.Adam()]
    expected = fit(alone, X, y, cr.Callback(), optimizer=optimizers[0])
    history = fit(watched, X, y, cr.GradientFlow(every), optimizer=optimizers[1])
    assert np.array_equal(alone.params, watched.params)
    assert np.array_equal(alone.grads, watched.grads)
    states = [o.state(net) for o, net in zip(optimizers, (alone, watched), strict=True)]
    assert np.array_equal(states[0].vectors, states[1].vectors)
    assert states[0].step == states[1].step == 12
    assert history.batch_loss == expected.batch_loss
    assert expected.gradient_flow is None


def test_records_of_a_training_that_failed_stay_and_say_nan_where_the_loss_is_not_finite():
    X, y = data()
    net, callback = cr.Sequential(*NETWORKS["relu"], seed=0), cr.GradientFlow(every=1)
    with pytest.raises(cr.NonFiniteError):
        fit(net, X, y, callback, optimizer=cr.SGD(lr=1e18))
    flow = callback.flow
    assert flow.steps.tolist() == [0, 1]
    for values in (flow.backward, flow.gradient, flow.update_ratio):
        assert np.isfinite(values[0]).all()
        assert np.isnan(values[1]).all()
    assert np.isfinite(flow.forward).all()
    assert np.isfinite(flow.weight).all()
    assert "nan" in str(flow)


def test_a_network_without_parameters():
    X, _ = data()
    history = fit(cr.Sequential(cr.Tanh()), X, X, cr.GradientFlow(every=4))
    flow = history.gradient_flow
    assert flow.backward.shape == (4, 2)
    assert flow.gradient.shape == flow.update_ratio.shape == (4, 0)
    assert "0 parameters" in str(flow)


# How often


def test_by_default_it_chooses_and_thins_out(monkeypatch):
    X, y = data()
    monkeypatch.setitem(_Schedule.spent.__globals__, "TIME_FRACTION", 1e9)  # as often as it may
    monkeypatch.setitem(_Schedule.spent.__globals__, "MOST_RECORDS", 10)
    net = cr.Sequential(*NETWORKS["relu"], seed=0)
    flow = fit(net, X, y, cr.GradientFlow(), epochs=100).gradient_flow
    assert 5 <= len(flow) <= 10
    assert flow.steps[0] == 0
    assert (np.diff(flow.steps) > 0).all()
    assert len(flow.forward) == len(flow.steps)


def test_the_pace_keeps_to_its_share(monkeypatch):
    """With a clock of our own: a step takes a millisecond, a record 2, and a pause 0.1."""
    clock = [1000.0]
    monkeypatch.setitem(_Schedule.spent.__globals__, "perf_counter", lambda: clock[0])
    schedule = _Schedule(an_epoch=7)
    clock[0] += 0.01  # to prepare
    spent = records = 0
    step = 0
    while step < 20_000:
        if step == 0 or schedule.is_time(step, clock[0]):
            started = clock[0]
            clock[0] += 0.002
            spent, records = spent + 0.002, records + 1
            schedule.spent(started)
        following = schedule.next_step(step)
        assert following >= step
        following = max(following, step + 1)
        if following > step + 7:
            assert following % 7 == 0  # between epochs
        clock[0] += 0.001 * (following - step) + 0.0001
        step = following
    assert spent <= TIME_FRACTION * (clock[0] - 1000)
    assert spent > 0.6 * TIME_FRACTION * (clock[0] - 1000)


@pytest.mark.parametrize("options", [{"every": 0}, {"every": "often"}, {"rows": 0}, {"rows": 1.5}])
def test_bad_arguments_are_named(options):
    name = next(iter(options))
    with pytest.raises((TypeError, ValueError), match=f"GradientFlow's {name} must be"):
        cr.GradientFlow(**options)


# Text


def test_text_has_at_most_80_columns_and_a_plain_form(monkeypatch):
    X, y = data()
    net = cr.Sequential(*NETWORKS["relu"], seed=0)
    flow = fit(net, X, y, cr.GradientFlow(every=1), epochs=30).gradient_flow
    for signs in (notation.SYMBOLS, notation.PLAIN):
        monkeypatch.setattr(notation, "of_terminal", lambda signs=signs: signs)
        text = str(flow)
        assert max(map(len, text.splitlines())) <= 80
        assert text.isascii() == (signs is notation.PLAIN)
        assert "step 120" in text
    assert repr(cr.GradientFlow(every=5)) == "GradientFlow(every=5, rows=32)"

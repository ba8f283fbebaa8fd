"""Metrics as scikit-learn computes them, schedules as PyTorch does, events as TensorBoard reads."""

import numpy as np
import pytest

import chainrule as cr

rng = np.random.default_rng(0)


def test_metrics_equal_scikit_learns():
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, labels = rng.normal(size=(200, 7)), rng.integers(0, 7, 200)
    predicted = scores.argmax(axis=1)
    assert cr.metrics.accuracy(scores, labels) == sklearn.accuracy_score(labels, predicted)
    table = sklearn.confusion_matrix(labels, predicted)
    assert np.array_equal(cr.metrics.confusion_matrix(scores, labels), table)
    for some in (scores, scores.round()):  # with ties
        for k in range(1, 7):
            expected = sklearn.top_k_accuracy_score(labels, some, k=k)
            assert cr.metrics.top_k_accuracy(some, labels, k) == expected
    targets = scores + rng.normal(size=scores.shape)
    targets[:, 0] = 1.0
    for name in ("r2_score", "mean_absolute_error", "mean_squared_error"):
        expected = getattr(sklearn, name)(targets, scores)
        assert getattr(cr.metrics, name)(scores, targets) == pytest.approx(expected, rel=1e-12)
    two = labels % 2
    expected = sklearn.roc_auc_score(two, scores[:, 1] - scores[:, 0])
    assert cr.metrics.roc_auc(scores[:, :2], two) == expected
    powers = np.exp(scores)
    shares = powers / powers.sum(axis=1, keepdims=True)
    expected = sklearn.roc_auc_score(labels, shares, multi_class="ovr")
    assert cr.metrics.roc_auc(scores, labels) == pytest.approx(expected, rel=1e-12)


def rates_of_torch(make, steps):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "make", "steps"),
    [
        (cr.schedules.StepLR(0.1, 3), lambda s, o: s.StepLR(o, 3), 20),
        (cr.schedules.LinearLR(0.1, 9, 0.2), lambda s, o: s.LinearLR(o, 0.2, total_iters=9), 20),
        (
            cr.schedules.CosineAnnealingLR(0.1, 20, min_lr=0.01),
            lambda s, o: s.CosineAnnealingLR(o, 20, eta_min=0.01),
            20,
        ),
        (
            cr.schedules.OneCycleLR(0.1, 20, pct_start=0.35),
            lambda s, o: s.OneCycleLR(o, 0.1, total_steps=20, pct_start=0.35, cycle_momentum=False),
            20,
        ),
    ],
    ids=["step", "linear", "cosine", "one cycle"],
)
def test_schedules_equal_pytorchs(schedule, make, steps):
    np.testing.assert_allclose(
        schedule(np.arange(steps)), rates_of_torch(make, steps), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("cooldown", [0, 2])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_reduction_on_a_plateau_is_pytorchs(mode, cooldown):
    torch = pytest.importorskip("torch")
    values = np.abs(rng.normal(size=40)).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    numbers = {"factor": 0.5, "patience": 2, "cooldown": cooldown, "min_lr": 0.001, "mode": mode}
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **numbers)
    expected = []
    for value in values:
        theirs.step(value)
        expected.append(optimizer.param_groups[0]["lr"])

    class Figures(cr.Callback):
        def on_epoch_end(self, training):
            training.history.loss[-1] = values[training.epoch - 1]

    class Rates(cr.Callback):
        def __init__(self):
            self.rates = []

        def on_epoch_end(self, training):
            self.rates.append(training.optimizer.lr)

    rates = Rates()
    cr.fit(
        cr.Sequential(cr.Linear(1, 1), seed=0),
        np.zeros((1, 1)),
        np.zeros(1),
        loss=cr.MSELoss(),
        optimizer=cr.SGD(lr=0.1),
        epochs=40,
        batch_size=1,
        progress=False,
        callbacks=[Figures(), cr.schedules.ReduceLROnPlateau("loss", **numbers), rates],
    )
    assert rates.rates == pytest.approx(expected, rel=1e-12)


def test_tensorboard_events_can_be_read_back(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    X = np.linspace(-1, 1, 20)[:, np.newaxis]
    history = cr.fit(
        cr.Sequential(cr.Linear(1, 1), seed=0),
        X,
        X,
        loss=cr.MSELoss(),
        epochs=3,
        batch_size=10,
        validation=(X, X),
        progress=False,
        callbacks=[cr.callbacks.TensorBoard(tmp_path / "run")],
    )
    (path,) = (tmp_path / "run").iterdir()
    found, content = {}, path.read_bytes()
    while content:  # each record: its length, a checksum, an event, a checksum
        size = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + size])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        content = content[16 + size :]
    assert [step for step, _ in found["loss"]] == [1, 2, 3]
    for name in ("loss", "validation_loss"):
        read = [value for _, value in found[name]]
        assert read == pytest.approx(getattr(history, name), rel=1e-6)

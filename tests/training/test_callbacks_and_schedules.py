"""Callbacks, metrics and schedules that come with the package: what they do to a training."""

import csv
import json

import numpy as np
import pytest

import chainrule as cr

pytestmark = pytest.mark.once

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(60, 8)), rng.integers(0, 5, 60)
HELD_OUT = X[40:], Y[40:]


def network():
    return cr.Sequential(cr.Linear(8, 16), cr.ReLU(), cr.Linear(16, 5), seed=0)


def fit(net, **options):
    """Three steps an epoch."""
    defaults = {"loss": cr.CrossEntropyLoss(), "epochs": 4, "batch_size": 16, "progress": False}
    return cr.fit(net, X[:40], Y[:40], **defaults | {"validation": HELD_OUT} | options)


def worst_class(y, output):
    return min(float(np.mean(np.argmax(output, 1)[y == label] == label)) for label in np.unique(y))


def test_early_stopping_goes_back_to_the_best_epoch():
    net, twin = network(), network()
    stopping = cr.callbacks.EarlyStopping(patience=3)
    options = {"epochs": 200, "seed": 1}
    history = fit(net, callbacks=[stopping], optimizer=cr.Adam(lr=0.02), **options)
    best = int(np.argmin(history.validation_loss))
    assert stopping.best_epoch == best + 1 < len(history.loss) < 200
    assert stopping.stopped_epoch == len(history.loss) == stopping.best_epoch + 3
    assert stopping.best == history.validation_loss[best]
    fit(twin, optimizer=cr.Adam(lr=0.02), **options | {"epochs": best + 1})
    assert np.array_equal(net.params, twin.params)
    assert f"best {stopping.best:.4g} in epoch {best + 1}, stopped after" in repr(stopping)


def test_early_stopping_takes_up_its_state(tmp_path):
    whole, first, second = (cr.callbacks.EarlyStopping(patience=3) for _ in range(3))
    kept = {"checkpoint": tmp_path / "run", "resume": True}
    for stopping, options in (
        (whole, {"epochs": 20}),
        (first, {"epochs": 2, **kept}),
        (second, {"epochs": 20, **kept}),
    ):
        fit(network(), callbacks=[stopping], optimizer=cr.Adam(lr=0.1), **options)
    assert (second.best, second.best_epoch) == (whole.best, whole.best_epoch)
    assert second.stopped_epoch == whole.stopped_epoch
    assert whole.stopped_epoch is not None
    assert fit(network(), callbacks=[second], epochs=1).loss
    assert second.best_epoch == 1  # another training begins from nothing


def test_without_restoring_the_last_parameters_stay():
    net, twin = network(), network()
    stopping = cr.callbacks.EarlyStopping("loss", mode="max", patience=1, restore_best=False)
    history = fit(net, callbacks=[stopping])
    fit(twin, epochs=len(history.loss))
    assert np.array_equal(net.params, twin.params)


@pytest.mark.parametrize(
    "make",
    [
        cr.callbacks.EarlyStopping,
        lambda monitor: cr.callbacks.ModelCheckpoint("m.safetensors", monitor),
        cr.schedules.ReduceLROnPlateau,
    ],
)
def test_a_monitor_that_does_not_exist_is_named_before_training(make):
    net = network()
    before = net.params.copy()
    with pytest.raises(
        ValueError,
        match="monitor is 'validation_r2', but this training has only "
        "'loss', 'validation_loss', 'validation_accuracy', 'lr'",
    ):
        fit(net, callbacks=[make("validation_r2")])
    with pytest.raises(ValueError, match=r"'loss', 'lr'\. Validation metrics need validation"):
        fit(net, callbacks=[make("validation_loss")], validation=None)
    assert np.array_equal(net.params, before)


def test_metrics_are_measured_on_the_validation_and_can_be_watched():
    net = network()
    metrics = {"worst": worst_class, "top_2": lambda y, out: cr.metrics.top_k_accuracy(y, out, 2)}
    stopping = cr.callbacks.EarlyStopping("validation_worst", patience=100, mode="max")
    history = fit(net, metrics=metrics, callbacks=[stopping])
    assert list(history.metrics) == ["worst", "top_2"]
    assert stopping.best == max(history.metrics["worst"])
    assert history.latest()["validation_top_2"] == history.metrics["top_2"][-1]
    same = fit(network(), metrics=[worst_class])
    assert same.metrics == {"worst_class": history.metrics["worst"]}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"metrics": [worst_class], "validation": None}, ValueError, "give validation="),
        ({"metrics": worst_class}, TypeError, "metrics must be a list or a dict of functions"),
        ({"metrics": [worst_class] * 2}, ValueError, "two functions of the same name"),
        ({"metrics": {"a b": worst_class}}, ValueError, "the name 'a b'"),
        (
            {"metrics": {"a": 1}},
            TypeError,
            r"metrics\['a'\] must be a function such as cr.metrics.r2_score, not 1",
        ),
        (
            {"metrics": [cr.metrics.accuracy]},
            ValueError,
            "validation_accuracy is measured anyway",
        ),
        (
            {"metrics": {"worst": lambda output, y: 0.0}},
            ValueError,
            r"called with \(y_true, y_pred\).*: worst\(y, output\)",
        ),
        (
            {"metrics": {"a": lambda p, labels: 0.0}},
            ValueError,
            r"takes 'p' first.* a\(labels, p\)",
        ),
        ({"schedule": 0.1}, TypeError, "schedule must be one of cr.schedules"),
    ],
)
def test_bad_options(options, error, message):
    net = network()
    before = net.params.copy()
    with pytest.raises(error, match=message):
        fit(net, **options)
    assert np.array_equal(net.params, before)


def test_model_checkpoint_keeps_the_best_or_each(tmp_path):
    best = cr.callbacks.ModelCheckpoint(tmp_path / "best.safetensors", "validation_accuracy")
    each = cr.callbacks.ModelCheckpoint(
        tmp_path / "new" / "net-{epoch:02d}-{loss:.2f}.safetensors", best_only=False
    )
    net = network()
    history = fit(net, callbacks=[best, each])
    assert best.best == max(history.validation_accuracy)
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == [f"net-{i + 1:02d}-{v:.2f}.safetensors" for i, v in enumerate(history.loss)]
    assert np.array_equal(cr.load(tmp_path / "new" / names[-1]).params, net.params)
    assert cr.metrics.accuracy(Y[40:], cr.load(best.best_path).predict(X[40:])) == best.best
    with pytest.raises(ValueError, match="must be one of epoch, loss, validation_loss"):
        fit(net, callbacks=[cr.callbacks.ModelCheckpoint(tmp_path / "{step}.safetensors")])


class FromEpoch(cr.Callback):
    """Makes callbacks after it believe that the training is resumed."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_fit_begin(self, training):
        training.epoch = self.epoch


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_logs_go_on_where_a_killed_run_has_left_them(kind, tmp_path):
    path = tmp_path / "folder" / f"log.{kind}"
    make = cr.callbacks.CSVLogger if kind == "csv" else cr.callbacks.JSONLLogger
    history = fit(network(), callbacks=[make(path)])
    with open(path) as file:
        rows = list(csv.DictReader(file)) if kind == "csv" else [json.loads(row) for row in file]
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert [float(row["validation_loss"]) for row in rows] == history.validation_loss
    whole = path.read_text()
    path.write_text(whole[:-5])
    fit(network(), callbacks=[FromEpoch(2), make(path)])  # epochs 3 and 4
    lines = path.read_text().splitlines()
    kept = len(lines) - 2
    assert lines[:kept] == whole.splitlines()[:kept]
    assert len(lines) == len(whole.splitlines())
    if kind == "csv":
        with pytest.raises(ValueError, match="is a log of other metrics than"):
            fit(network(), callbacks=[FromEpoch(2), make(path)], validation=None)
    fit(network(), callbacks=[make(path)], epochs=1)
    assert len(path.read_text().splitlines()) == len(lines) - 3


@pytest.mark.parametrize(
    ("make", "start"),
    [(cr.callbacks.CSVLogger, b"4,"), (cr.callbacks.JSONLLogger, b'{"epoch": 4,')],
)
def test_a_line_with_damaged_bytes_is_none_of_a_log(make, start, tmp_path):
    path = tmp_path / "log"
    fit(network(), callbacks=[make(path)])
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(whole.replace(lines[-3], lines[-3][:-3] + b"\xff\xff\n"))  # of epoch 2
    fit(network(), callbacks=[FromEpoch(3), make(path)])  # epoch 4
    *kept, last = path.read_bytes().splitlines(keepends=True)
    assert kept == lines[:-3]
    assert last.startswith(start)
    assert lines[-1].startswith(start)


SCHEDULES = [
    cr.schedules.StepLR(0.1, steps=3, gamma=0.5),
    cr.schedules.LinearLR(0.1, steps=7),
    cr.schedules.CosineAnnealingLR(0.1, steps=12, warmup_steps=4, min_lr=0.001),
    cr.schedules.OneCycleLR(0.1, steps=12),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_each_step_of_fit_has_its_rate_as_in_a_loop_by_hand(schedule):
    net, twin = network(), network()
    optimizer, loss, by_hand = cr.AdamW(), cr.CrossEntropyLoss(), cr.AdamW()
    history = fit(net, optimizer=optimizer, schedule=schedule, shuffle=False)
    for step in range(12):
        rows = slice(step % 3 * 16, min(step % 3 * 16 + 16, 40))
        by_hand.lr = schedule(step)
        twin.backward(loss(twin.forward(X[rows]), Y[rows])[1])
        by_hand.step(twin)
    assert np.array_equal(net.params, twin.params)
    assert history.lr == [schedule(step) for step in (2, 5, 8, 11)]
    assert optimizer.lr == schedule(11)
    rates = schedule(np.arange(12))
    assert rates.tolist() == [schedule(step) for step in range(12)]


class Double(cr.NumPyLayer):
    def forward(self, x):
        return 2 * x, None

    def backward(self, dy, saved):
        return 2 * dy, {}


def test_model_checkpoint_finds_out_before_the_first_step_what_cannot_be_saved(tmp_path):
    net = cr.Sequential(Double(), cr.Linear(8, 5), seed=0)
    before = net.params.copy()
    saving = cr.callbacks.ModelCheckpoint(tmp_path / "best.safetensors")
    with pytest.raises(ValueError, match=r"Double\(\) cannot be saved"):
        fit(net, callbacks=[saving])
    assert np.array_equal(net.params, before)


class Own(cr.schedules.Schedule):
    def __init__(self, function):
        self.function = function

    def rates(self, steps):
        return self.function(steps)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (lambda steps: 0.1, r"must return an array of the shape of the steps, \(\d+,\)"),
        (lambda steps: np.full(1, 0.1), r"of the shape of the steps, \(\d+,\), not \(1,\)"),
        (lambda steps: np.where(steps == 5, -0.1, 0.1), "rate of step 5 must be .* not -0.1"),
        (lambda steps: np.where(steps == 5, np.nan, 0.1), "rate of step 5 must be .* not nan"),
    ],
)
def test_rates_of_a_custom_schedule_are_checked(rates, message):
    net = network()
    with pytest.raises(ValueError, match=message):
        fit(net, schedule=Own(rates), epochs=100)
    assert np.isfinite(net.params).all()


def test_rates_of_a_custom_schedule_may_be_of_any_dtype_and_layout():
    nets = network(), network(), network()
    for net, rates in zip(
        nets,
        (
            lambda steps: np.full(steps.shape, 0.125),
            lambda steps: np.broadcast_to(np.float32(0.125), steps.shape),
            lambda steps: [0.125] * len(steps),
        ),
        strict=True,
    ):
        fit(net, schedule=Own(rates))
    assert all(np.array_equal(net.params, nets[0].params) for net in nets)


def test_a_metric_must_return_a_number():
    with pytest.raises(TypeError, match=r"metrics\['nothing'\] must return a number, not None"):
        fit(network(), metrics={"nothing": lambda y, output: None})
    with pytest.raises(TypeError, match="must return a number, not array") as caught:
        fit(network(), metrics={"all": lambda y, output: np.ones((500, 2))})
    assert len(str(caught.value)) < 200


def test_a_rate_that_is_too_high_rolls_back_with_a_schedule():
    net = network()
    with pytest.raises(cr.NonFiniteError):
        fit(
            net,
            optimizer=cr.SGD(),
            schedule=cr.schedules.LinearLR(1e30, steps=3, start_factor=0.0),
            epochs=50,
        )
    assert np.isfinite(net.params).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.schedules.StepLR(-1.0, steps=3), "StepLR's lr must be 0 or more"),
        (lambda: cr.schedules.StepLR(0.1, steps=0), "StepLR's steps must be at least 1"),
        (
            lambda: cr.schedules.CosineAnnealingLR(0.1, steps=5, warmup_steps=5),
            "warmup_steps must be less than",
        ),
        (lambda: cr.schedules.OneCycleLR(0.1, steps=1), "OneCycleLR's steps must be at least 2"),
        (lambda: cr.schedules.ReduceLROnPlateau(factor=1.0), "factor must be less than 1"),
        (lambda: cr.callbacks.EarlyStopping(mode="up"), "mode must be 'min', 'max' or None"),
        (lambda: cr.callbacks.EarlyStopping(patience=0), "patience must be at least 1"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.metrics.accuracy([0], [0.1]), ValueError, r"shape \(n, classes\)"),
        (lambda: cr.metrics.accuracy([2], [[0.1, 0.2]]), ValueError, "label 2 at row 0"),
        (lambda: cr.metrics.accuracy([0.0], [[0.1, 0.2]]), TypeError, "integer class labels"),
        (lambda: cr.metrics.top_k_accuracy([0], [[0.1]], 3), ValueError, "only 2 classes"),
        (lambda: cr.metrics.r2_score([1.0, 2.0], [1.0]), ValueError, "y_true's shape"),
        (lambda: cr.metrics.r2_score([1.0], [1.0]), ValueError, "two rows"),
        (lambda: cr.metrics.mean_squared_error(["a"], ["b"]), TypeError, "real numbers"),
    ],
)
def test_bad_metrics(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_find_lr_needs_less_than_an_epoch():
    rows = np.arange(8000) % len(X)
    found = cr.find_lr(network(), X[rows], Y[rows], loss=cr.CrossEntropyLoss(), batch_size=1)
    assert len(found.rates) <= 100
    assert found.rates[-1] <= 1.0


@pytest.mark.parametrize("last", [1.0, 1e30])
def test_find_lr_leaves_network_and_optimizer_alone(last):
    net, optimizer = network(), cr.SGD(lr=0.5)
    before = net.params.copy()
    options = {"loss": cr.CrossEntropyLoss(), "optimizer": optimizer, "steps": 40}
    found = cr.find_lr(net, X, Y, last=last, **options)
    assert np.array_equal(net.params, before)
    assert optimizer.lr == 0.5
    assert optimizer.state(net).step == 0
    assert len(found.rates) == len(found.losses) <= 40
    assert found.suggestion == max(found.rates[np.argmin(found.losses)] / 10, 1e-6)
    with pytest.raises(ValueError, match="first must be more than 0"):
        cr.find_lr(net, X, Y, first=0.0, **options)
    with pytest.raises(ValueError, match=r"first must be less than last, 0\.1, not 0\.1"):
        cr.find_lr(net, X, Y, first=0.1, last=0.1, **options)


@pytest.mark.parametrize("first", [1e-6, 1e-3, 0.1])
def test_find_lr_suggests_a_rate_that_it_tried_or_none(first):
    found = cr.find_lr(network(), X, Y, loss=cr.CrossEntropyLoss(), first=first, last=10.0)
    assert first <= found.suggestion <= found.rates[-1] / 10


def test_find_lr_has_nothing_to_suggest_where_the_loss_never_fell():
    learning_rates = type(cr.find_lr(network(), X, Y, loss=cr.CrossEntropyLoss(), steps=2))
    for rates, losses in (
        ([1e-6], [2.0]),  # one loss, before it diverged
        ([1e-6, 1e-5, 1e-4], [1.0, 1.0, 5.0]),
        ([1e-6, 1e-5, 1e-4], [-3.0, -2.0, -1.0]),
    ):
        nothing = learning_rates(np.array(rates), np.array(losses))
        with pytest.raises(ValueError, match=f"no rate to suggest: over {len(rates)} rates"):
            _ = nothing.suggestion
        assert "no suggestion" in repr(nothing)
        assert nothing.plot().axes


class Below(cr.NumPyLoss):
    """A squared error less ten: a loss that is negative, as a log density's may be."""

    def forward(self, output, target):
        error = output - target
        return (error**2).sum(axis=1) - 10.0, 2 * error


def test_find_lr_goes_on_while_a_negative_loss_falls():
    line = np.linspace(-1, 1, 64)[:, None]
    net = cr.Sequential(cr.Linear(1, 1), seed=0)
    found = cr.find_lr(net, line, line, loss=Below())
    assert found.losses.max() < 0
    assert len(found.rates) == 100

"""Metrics as scikit-learn computes them, schedules as PyTorch does, events as TensorBoard reads."""

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

GENERATOR = Path(__file__).parents[1] / "golden" / "generate_schedules.py"
specification = importlib.util.spec_from_file_location("generate_schedules", GENERATOR)
golden = importlib.util.module_from_spec(specification)
specification.loader.exec_module(golden)
rng = np.random.default_rng(0)


def test_metrics_equal_scikit_learns():
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, labels = rng.normal(size=(200, 7)), rng.integers(0, 7, 200)
    predicted = scores.argmax(axis=1)
    assert cr.metrics.accuracy(labels, scores) == sklearn.accuracy_score(labels, predicted)
    table = sklearn.confusion_matrix(labels, predicted)
    assert np.array_equal(cr.metrics.confusion_matrix(labels, scores), table)
    for some in (scores, scores.round()):  # with ties
        for k in range(1, 7):
            expected = sklearn.top_k_accuracy_score(labels, some, k=k)
            assert cr.metrics.top_k_accuracy(labels, some, k) == expected
    targets = scores + rng.normal(size=scores.shape)
    targets[:, 0] = 1.0
    for name in ("r2_score", "mean_absolute_error", "mean_squared_error"):
        expected = getattr(sklearn, name)(targets, scores)
        assert getattr(cr.metrics, name)(targets, scores) == pytest.approx(expected, rel=1e-12)
    two = labels % 2
    expected = sklearn.roc_auc_score(two, scores[:, 1] - scores[:, 0])
    assert cr.metrics.roc_auc(two, scores[:, :2]) == expected
    powers = np.exp(scores)
    shares = powers / powers.sum(axis=1, keepdims=True)
    expected = sklearn.roc_auc_score(labels, shares, multi_class="ovr")
    assert cr.metrics.roc_auc(labels, scores) == pytest.approx(expected, rel=1e-12)


LABELS = np.array([0, 1, 1, 0])
OF_CLASSES = {"accuracy": (), "confusion_matrix": (), "top_k_accuracy": (2,), "roc_auc": ()}


@pytest.mark.parametrize("name", cr.metrics.__all__)
def test_metrics_take_y_true_first_and_say_so_where_it_comes_second(name):
    function, more = getattr(cr.metrics, name), OF_CLASSES.get(name, ())
    first, second, *_ = inspect.signature(function).parameters
    assert (first, second) in {("y_true", "y_pred"), ("y_true", "y_score")}
    output = np.eye(2)[LABELS] if name in OF_CLASSES else 1.5 * LABELS[:, None]
    assert np.isfinite(function(LABELS, output, *more)).all()
    with pytest.raises(ValueError, match="exchanged: y_true comes first"):
        function(output, LABELS, *more)


@pytest.mark.parametrize("name", ["roc_auc", "accuracy", "confusion_matrix"])
def test_metrics_of_labels_say_so_where_the_shapes_do_not_tell(name):
    pytest.importorskip("sklearn")
    labels, logits = LABELS[:, None], np.array([[0.2], [1.5], [0.7], [-3.0]])
    function = getattr(cr.metrics, name)
    function(labels, logits)
    with pytest.raises(ValueError, match=r"label 0\.2 at row 0, .* exchanged: y_true comes first"):
        function(logits, labels)


@pytest.mark.parametrize("name", ["accuracy", "confusion_matrix"])
def test_metrics_of_the_output_are_not_of_classes(name):
    with pytest.raises(ValueError, match="not the classes predicted from it: scikit-learn's"):
        getattr(cr.metrics, name)(LABELS, LABELS)


@pytest.mark.parametrize(
    ("y_true", "y_score", "message"),
    [
        ([0, 1, 1], [0.1, 0.2], r"y_true must have shape \(n,\) and y_score .* not \(3,\) and"),
        ([0, 1, 2], [0.1, 0.2, 0.3], "label 2 at row 2, but one output tells labels 0 and 1"),
        ([0, 1, 3], np.eye(3), r"label 3 at row 2, but the network has 3 outputs"),
        ([0, 1, 1], np.eye(3), "y_true has no row of class 2: roc_auc compares"),
        ([1, 1], [0.1, 0.2], "y_true has no row of class 0: roc_auc compares"),
        ([0, 1], [0.1, np.nan], r"y_score\[1\] is nan"),
        ([0, 1, 2], [[[0.1]], [[0.2]], [[0.3]]], "y_true must have shape"),
    ],
)
def test_scores_that_do_not_fit_are_refused_in_words_of_this_package(y_true, y_score, message):
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match=message):
        cr.metrics.roc_auc(y_true, y_score)


@pytest.fixture(scope="module")
def rates_of_torch():
    with np.load(golden.FILE) as stored:
        return dict(stored)


def test_stored_rates_are_those_of_torch(rates_of_torch):
    pytest.importorskip("torch")
    computed = golden.rates_of_torch()
    assert computed.keys() == rates_of_torch.keys()
    for name, rates in computed.items():
        np.testing.assert_allclose(rates_of_torch[name], rates, rtol=1e-12)


@pytest.mark.parametrize("name", golden.SCHEDULES)
def test_schedules_equal_pytorchs(rates_of_torch, name):
    *_, kind, options, steps = golden.SCHEDULES[name]
    schedule = getattr(cr.schedules, kind)(golden.LR, **options)
    expected = rates_of_torch[name]
    np.testing.assert_allclose(schedule(np.arange(steps)), expected, rtol=1e-10, atol=1e-12)
    assert schedule(steps - 1) == pytest.approx(expected[-1], rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", golden.PLATEAUS)
def test_reduction_on_a_plateau_is_pytorchs(rates_of_torch, name):
    class Figures(cr.Callback):
        def on_epoch_end(self, training):
            training.history.loss[-1] = float(golden.FIGURES[training.epoch - 1])

    class Rates(cr.Callback):
        def __init__(self):
            self.rates = []

        def on_epoch_end(self, training):
            self.rates.append(training.optimizer.lr)

    rates = Rates()
    plateau = cr.schedules.ReduceLROnPlateau("loss", **golden.PLATEAUS[name])
    cr.fit(
        cr.Sequential(cr.Linear(1, 1), seed=0),
        np.zeros((1, 1)),
        np.zeros(1),
        loss=cr.MSELoss(),
        optimizer=cr.SGD(lr=golden.LR),
        epochs=len(golden.FIGURES),
        batch_size=1,
        progress=False,
        callbacks=[Figures(), plateau, rates],
    )
    np.testing.assert_allclose(rates.rates, rates_of_torch[name], rtol=1e-12)


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

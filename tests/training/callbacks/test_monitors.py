"""What watches a figure: which way is better, and what counts as better, for all that watch one."""

import math
import signal
from contextlib import nullcontext
from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.training.callbacks.monitor import Monitor, mode_of
from chainrule.training.history import History

pytestmark = pytest.mark.once

WATCHERS = [  # each that takes a monitor
    cr.callbacks.EarlyStopping,
    lambda *arguments, **options: cr.callbacks.ModelCheckpoint("model", *arguments, **options),
    cr.schedules.ReduceLROnPlateau,
]
FIGURES = st.lists(
    st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, nan, inf, -inf]), min_size=1, max_size=12
)
MODES = pytest.mark.parametrize("mode", ["min", "max"])


def run(callback, values, lr=1.0):
    """Show a figure's values to a callback, an epoch each; return the rate after each."""

    training = SimpleNamespace(
        history=History(metrics={"figure": []}),
        metric_names=("validation_figure",),
        network=cr.Sequential(cr.Linear(1, 1), seed=0),
        optimizer=cr.SGD(lr=lr),
        epoch=0,
        stop=lambda: None,
    )
    rates = []
    callback.on_fit_begin(training)
    for training.epoch, value in enumerate(values, 1):
        training.history.metrics["figure"].append(value)
        callback.on_epoch_end(training)
        rates.append(training.optimizer.lr)
    return rates


@pytest.mark.parametrize(
    ("expected", "names"),
    [
        ("min", "loss validation_loss validation_log_loss validation_logloss hinge_losses"),
        ("min", "validation_mae validation_rmse validation_nrmse validation_MAPE msle_error"),
        ("min", "validation_deviance validation_nll validation_perplexity errors max_error"),
        ("min", "validation_cross_entropy validation_crossentropy validation_kl_divergence"),
        ("max", "validation_accuracy validation_top_k_accuracy validation_acc top_3_acc"),
        ("max", "validation_r2 validation_r2_score validation_f1 f1_macro validation_roc_auc"),
        ("max", "validation_precision validation_recall mean_iou dice validation_mcc likelihood"),
        (None, "lr validation_mean validation_bias validation_weight validation_accent macro"),
        (None, "validation_neg_mean_squared_error negative_log_likelihood d2_absolute_error_score"),
        (None, "brier_score accuracy_loss validation_memory validation_tumse2x"),
    ],
)
def test_a_name_says_which_way_is_better_or_that_it_does_not(expected, names):
    for name in names.split():
        assert mode_of(name) == expected, name


def test_names_of_our_own_metrics_have_their_direction():
    down = {"mean_absolute_error", "mean_squared_error"}
    for name in set(cr.metrics.__all__) - {"confusion_matrix"}:  # which is no number
        assert mode_of(f"validation_{name}") == ("min" if name in down else "max"), name


@pytest.mark.parametrize("make", WATCHERS)
def test_a_name_that_says_nothing_needs_a_mode(make):
    with pytest.raises(ValueError, match=r"'validation_figure'.*give mode=\"min\" or mode=\"max\""):
        make("validation_figure")
    for mode in ("min", "max"):
        make("validation_figure", mode=mode)


@pytest.mark.parametrize(
    ("name", "best"), [("validation_mae", 3), ("validation_rmse", 3), ("validation_r2", 1)]
)
def test_a_metric_that_is_an_error_restores_its_lowest_epoch(name, best):
    figures = iter([3.0, 2.0, 1.0, 2.5])
    X = np.linspace(-1, 1, 10)[:, None]
    stopping = cr.callbacks.EarlyStopping(name, patience=9)
    net = cr.Sequential(cr.Linear(1, 1), seed=0)
    seen = []

    class Keep(cr.Callback):
        def on_epoch_end(self, training):
            seen.append(net.params.copy())

    cr.fit(
        net,
        X,
        X,
        loss=cr.MSELoss(),
        epochs=4,
        validation=(X, X),
        metrics={name.removeprefix("validation_"): lambda y, output: next(figures)},
        batch_size=10,
        callbacks=[stopping, Keep()],
        progress=False,
    )
    assert stopping.best_epoch == best
    assert np.array_equal(net.params, seen[best - 1])


@MODES
@given(value=st.floats(-1e6, 1e6), best=st.floats(-1e6, 1e6), threshold=st.floats(0, 10))
def test_better_is_better_by_more_than_a_share_of_the_magnitude(mode, value, best, threshold):
    monitor = Monitor("figure", mode)
    gain = best - value if mode == "min" else value - best
    margin = threshold * abs(best)
    if abs(gain - margin) > 1e-9 * (abs(best) + abs(value)):  # rounding decides on less
        assert monitor.improves(value, best, threshold) == (gain > margin)
    assert not monitor.improves(best, best, threshold)
    assert not monitor.improves(nan, best, threshold)
    assert monitor.improves(value, monitor.worst, threshold)


@MODES
@given(values=FIGURES)
def test_the_best_of_all_watchers_is_the_best_value(mode, values):
    finite_or_infinite = [value for value in values if not math.isnan(value)]
    worst = inf if mode == "min" else -inf
    expected = (min if mode == "min" else max)([*finite_or_infinite, worst])
    stopping = cr.callbacks.EarlyStopping("validation_figure", 99, mode=mode)
    plateau = cr.schedules.ReduceLROnPlateau("validation_figure", threshold=0.0, mode=mode)
    for watcher in (stopping, plateau):
        run(watcher, values)
        assert watcher.best == expected
    if expected != worst:
        assert stopping.best_epoch == values.index(expected) + 1


def stops_and_best(values, patience, min_delta):
    """Return after which epoch to stop where less is better, if at all, and the best one."""
    best, best_epoch = inf, 0
    for epoch, value in enumerate(values, 1):
        if value < best - min_delta:
            best, best_epoch = value, epoch
        elif epoch - best_epoch >= patience:
            return epoch, best_epoch
    return None, best_epoch


@MODES
@given(
    values=st.lists(st.integers(-5, 5) | st.just(nan), min_size=1, max_size=15),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0, 1, 2]),
)
def test_early_stopping_waits_for_what_is_better_by_more_than_its_delta(
    mode, values, patience, min_delta
):
    stopped, best = stops_and_best(values, patience, min_delta)
    values = values if mode == "min" else [-value for value in values]
    name = "validation_figure"
    stopping = cr.callbacks.EarlyStopping(name, patience, min_delta=min_delta, mode=mode)
    run(stopping, values[:stopped])
    assert (stopping.stopped_epoch, stopping.best_epoch) == (stopped, best)


@given(
    values=FIGURES,
    threshold=st.floats(0, 3),
    patience=st.integers(0, 3),
    cooldown=st.integers(0, 3),
    lr=st.floats(1e-6, 1.0),
    min_lr=st.floats(0, 2.0),
)
def test_a_plateau_in_mode_max_is_that_of_the_negatives_in_mode_min(
    values, threshold, patience, cooldown, lr, min_lr
):
    numbers = {"threshold": threshold, "patience": patience, "cooldown": cooldown}
    numbers |= {"factor": 0.5, "min_lr": min_lr}
    down = cr.schedules.ReduceLROnPlateau("validation_figure", mode="min", **numbers)
    up = cr.schedules.ReduceLROnPlateau("validation_figure", mode="max", **numbers)
    rates = run(down, values, lr)
    assert run(up, [-value for value in values], lr) == rates
    assert all(later <= earlier for earlier, later in zip([lr, *rates], rates, strict=False))
    assert all(rate >= min(lr, min_lr) for rate in rates)
    reductions = [epoch for epoch in range(len(rates)) if rates[epoch] < [lr, *rates][epoch]]
    assert all(gap > max(patience, cooldown) for gap in np.diff(reductions))


FALLING = [5.0, 4.0, 3.9, 3.95, 3.9, 3.0, 3.5, 3.2, 3.1, 3.05, 2.0, 2.5, 2.5, 2.5, 2.5]
RISING = FALLING[::-1]
HALVES = [0.5**k for k in range(6)]


@pytest.mark.parametrize(
    ("mode", "values", "threshold", "cooldown", "min_lr", "epochs_at_each"),
    [
        ("min", FALLING, 1e-4, 0, 0.0, [4, 3, 2, 3, 2, 1]),
        ("min", FALLING, 1e-4, 2, 0.0, [4, 4, 4, 3]),
        ("min", FALLING, 0.3, 1, 0.3, [2, 5, 8]),
        ("max", RISING, 1e-4, 0, 0.0, [2, 2, 11]),
        ("max", RISING, 0.3, 0, 0.0, [2, 2, 2, 4, 2, 3]),
        ("max", RISING, 2.0, 1, 0.1, [2, 3, 3, 3, 4]),
    ],
)
def test_rates_on_a_plateau_as_pytorch_2_13_has_them(
    mode, values, threshold, cooldown, min_lr, epochs_at_each
):
    numbers = {"threshold": threshold, "cooldown": cooldown, "min_lr": min_lr}
    plateau = cr.schedules.ReduceLROnPlateau(
        "validation_figure", factor=0.5, patience=1, mode=mode, **numbers
    )
    expected = np.repeat(np.maximum(HALVES, min_lr)[: len(epochs_at_each)], epochs_at_each)
    assert run(plateau, values) == expected.tolist()


def test_a_plateau_never_raises_a_rate_that_is_below_its_least():
    plateau = cr.schedules.ReduceLROnPlateau(
        "validation_figure", patience=0, min_lr=0.1, mode="min"
    )
    assert run(plateau, [1.0] * 4, lr=0.01) == [0.01] * 4


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_a_plateau_of_negative_figures_keeps_its_rate_while_they_become_better(mode, sign):
    """As a log likelihood per row does, or its negative."""
    values = [sign * value for value in (-1.0, -2.0, -3.0, -4.0, -5.0)]
    plateau = cr.schedules.ReduceLROnPlateau(
        "validation_figure", patience=0, threshold=0.1, mode=mode
    )
    assert run(plateau, values) == [1.0] * 5
    values = [sign * value for value in (-1.0, -1.05, -1.09, -1.2)]  # by less than a tenth
    assert run(plateau, values) == pytest.approx([1.0, 0.1, 0.01, 0.01])


class End(cr.Callback):
    """Ends a training after an epoch, in one of the ways."""

    def __init__(self, way, epoch):
        self.way, self.epoch = way, epoch

    def on_epoch_end(self, training):
        if training.epoch != self.epoch:
            return
        if self.way == "Ctrl-C":
            signal.raise_signal(signal.SIGINT)
        elif self.way == "a callback":
            training.stop()
        elif self.way == "an error":
            raise KeyError("mine")


@MODES
@pytest.mark.parametrize("best", [1, 3, 5])
@pytest.mark.parametrize("way", ["the last epoch", "Ctrl-C", "a callback", "an error", "patience"])
def test_the_best_parameters_come_back_however_a_training_ends(way, best, mode, tmp_path):
    X = np.linspace(-1, 1, 20)[:, None]
    net = cr.Sequential(cr.Linear(1, 4), cr.Tanh(), cr.Linear(4, 1), seed=0)
    figures = [20.0 - epoch for epoch in range(best)] + [30.0] * (7 - best)
    given = iter(figures if mode == "min" else [-figure for figure in figures])
    params = []

    class Keep(cr.Callback):
        def on_epoch_end(self, training):
            params.append(net.params.copy())

    patience = 2 if way == "patience" else 99
    stopping = cr.callbacks.EarlyStopping("validation_figure", patience, mode=mode)
    saving = cr.callbacks.ModelCheckpoint(tmp_path / "best", "validation_figure", mode=mode)
    expected = pytest.raises(KeyError) if way == "an error" else nullcontext()
    with expected:
        history = cr.fit(
            net,
            X,
            X,
            loss=cr.MSELoss(),
            epochs=7,
            validation=(X, X),
            metrics={"figure": lambda y, output: next(given)},
            callbacks=[Keep(), stopping, saving, End(way, 5)],
            progress=False,
            interrupt="stop",
        )
        assert history.interrupted == (way == "Ctrl-C")
    ended = {"the last epoch": 7, "patience": best + 2}.get(way, 5)
    assert len(params) == ended
    assert stopping.best_epoch == best
    assert stopping.stopped_epoch == (ended if way == "patience" else None)
    assert np.array_equal(net.params, params[best - 1])
    assert np.array_equal(cr.load(tmp_path / "best").params, params[best - 1])

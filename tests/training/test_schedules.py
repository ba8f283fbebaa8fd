"""Schedules: what holds for all of them, and the rates of each at its ends and bends."""

import inspect
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.training import loop
from chainrule.training.identity import complete_schedule, describe_schedule

pytestmark = pytest.mark.once

STEPS = np.arange(40)
EXAMPLES = [
    cr.schedules.StepLR(0.5, steps=4, gamma=0.5),
    cr.schedules.LinearLR(0.5, steps=8, start_factor=0.2, end_factor=0.8),
    cr.schedules.CosineAnnealingLR(0.5, steps=8, warmup_steps=3, min_lr=0.01),
    cr.schedules.OneCycleLR(0.5, steps=8),
]
each = pytest.mark.parametrize("schedule", EXAMPLES, ids=lambda schedule: type(schedule).__name__)


def test_there_is_an_example_of_each():
    public = {getattr(cr.schedules, name) for name in cr.schedules.__all__}
    schedules = {
        kind
        for kind in public
        if issubclass(kind, cr.schedules.Schedule) and not inspect.isabstract(kind)
    }
    assert {type(schedule) for schedule in EXAMPLES} == schedules


@each
def test_steps_of_any_shape_have_the_rates_of_single_steps(schedule):
    rates = schedule(STEPS)
    assert rates.tolist() == [schedule(int(step)) for step in STEPS]
    assert np.array_equal(schedule(STEPS.reshape(5, 8)), rates.reshape(5, 8))
    assert schedule(np.arange(0)).size == 0


@each
def test_after_the_last_step_the_rate_stays(schedule):
    if isinstance(schedule, cr.schedules.StepLR):
        return  # which has no last step
    rates = schedule(STEPS)
    assert (rates[8:] == schedule(8)).all()
    last = {
        cr.schedules.LinearLR: 0.4,
        cr.schedules.CosineAnnealingLR: 0.01,
        cr.schedules.OneCycleLR: 0.5 / 25 / 1e4,
    }
    assert rates[8] == pytest.approx(last[type(schedule)], rel=1e-12)


X, Y = np.linspace(-1, 1, 40).reshape(20, 2), np.linspace(0, 1, 20)


def fit(schedule, epochs=10, batch_size=4, **options):
    net = cr.Sequential(cr.Linear(2, 1), seed=0)
    options = {"loss": cr.MSELoss(), "optimizer": cr.SGD(), "progress": False} | options
    history = cr.fit(net, X, Y, schedule=schedule, epochs=epochs, batch_size=batch_size, **options)
    return history.lr, net.params


@each
def test_a_length_needs_a_unit(schedule):
    kind = type(schedule)
    with pytest.raises(TypeError, match=r"epochs=10 or steps=10, not 10 alone"):
        kind(0.5, 10)
    old = "step_size" if kind is cr.schedules.StepLR else "total_steps"
    for name in (old, "T_max", "total_iters"):
        with pytest.raises(TypeError, match=f"{name} is called steps, .* steps=10 or epochs=10"):
            kind(0.5, **{name: 10})
    for wrong in ((cr.SGD(),), (cr.SGD(), 10)):
        with pytest.raises(TypeError, match=rf"not an optimizer: .*{kind.__name__}\(\w*lr=0\.1, "):
            kind(*wrong)
    with pytest.raises(ValueError, match="epochs or steps, not both"):
        kind(0.5, epochs=2, steps=10)
    with pytest.raises(ValueError, match="epochs must be more than 0"):
        kind(0.5, epochs=0)
    with pytest.raises(ValueError, match=r"give them in steps, or use schedule\.in_steps"):
        kind(0.5, epochs=2)(0)


@each
def test_a_length_in_epochs_is_one_in_steps(schedule):
    in_steps = replace(schedule, steps=25)
    in_epochs = replace(schedule, steps=None, epochs=5)
    assert in_epochs.in_steps(5) == in_steps.in_steps(1) == in_steps
    for one, other in zip(fit(in_epochs, 5), fit(in_steps, 5), strict=True):
        assert np.array_equal(one, other)
    if type(schedule) is cr.schedules.StepLR:
        with pytest.raises(ValueError, match="StepLR needs epochs or steps"):
            cr.schedules.StepLR(0.5)
        return
    whole = replace(schedule, steps=None)
    assert whole.in_steps(5, epochs=10) == replace(schedule, steps=50)
    assert np.array_equal(fit(whole)[1], fit(replace(schedule, epochs=10, steps=None))[1])
    with pytest.raises(ValueError, match="in_steps needs its epochs"):
        whole.in_steps(5)


def test_a_warm_up_in_epochs():
    schedule = cr.schedules.CosineAnnealingLR(0.5, warmup_epochs=1.5)
    assert schedule.in_steps(4, 5) == cr.schedules.CosineAnnealingLR(0.5, steps=20, warmup_steps=6)
    with pytest.raises(ValueError, match="warmup_epochs must be less than epochs, 2, not 2"):
        cr.schedules.CosineAnnealingLR(0.5, epochs=2, warmup_epochs=2)
    with pytest.raises(ValueError, match="warmup_steps must be less than steps, 5, not 6"):
        cr.schedules.CosineAnnealingLR(0.5, steps=5, warmup_steps=6)


@pytest.mark.parametrize(
    ("lengths", "whole", "warmup"),
    [
        ({"warmup_steps": 60}, r"10 epochs \(50 steps\)", "60 steps"),
        ({"warmup_epochs": 12}, r"10 epochs \(50 steps\)", r"12 epochs \(60 steps\)"),
        ({"steps": 20, "warmup_epochs": 4}, "20 steps", r"4 epochs \(20 steps\)"),
        (
            {"epochs": 0.2, "warmup_epochs": 0.15},
            r"0\.2 epochs \(1 step\)",
            r"0\.15 epochs \(1 step\)",
        ),
    ],
)
def test_a_warm_up_that_is_too_long_is_told_in_the_units_of_the_call(lengths, whole, warmup):
    message = f"warm-up must be shorter than the schedule, {whole}, not {warmup}"
    with pytest.raises(ValueError, match=message):
        fit(cr.schedules.CosineAnnealingLR(0.5, **lengths))


# What falls to nothing, if it is not meant to last for the whole training.
FALLING = [
    cr.schedules.StepLR(0.01, steps=3),
    cr.schedules.LinearLR(0.01, steps=10, end_factor=0.0),
    cr.schedules.CosineAnnealingLR(0.01, steps=10),
    cr.schedules.OneCycleLR(0.01, steps=10),
]


def test_the_warning_counts_in_the_unit_of_the_schedule():
    schedule = cr.schedules.CosineAnnealingLR(0.01, epochs=2)
    with pytest.warns(UserWarning, match=r"epochs=2.* nothing after about 2 of 10 epochs"):
        fit(schedule)


@pytest.mark.parametrize("schedule", FALLING, ids=lambda schedule: type(schedule).__name__)
def test_fit_warns_where_the_rate_falls_to_nothing(schedule):
    with pytest.warns(UserWarning, match="nothing after about .* of 50 steps") as caught:
        fit(schedule)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(
            replace(schedule, steps=None, epochs=4 if type(schedule) is cr.schedules.StepLR else 10)
        )


def test_there_is_a_falling_one_of_each():
    assert {type(schedule) for schedule in FALLING} == {type(schedule) for schedule in EXAMPLES}


def batches():
    return zip(X.reshape(5, 4, 2), Y.reshape(5, 4), strict=True)


@each
def test_batches_without_a_length_need_steps(schedule):
    net, options = cr.Sequential(cr.Linear(2, 1), seed=0), {"loss": cr.MSELoss()}
    options |= {"optimizer": cr.SGD(), "progress": False, "epochs": 5}
    in_epochs = replace(schedule, steps=None, epochs=5)
    with pytest.raises(ValueError, match="number of batches in an epoch is not known"):
        cr.fit(net, batches, schedule=in_epochs, **options)
    known = cr.fit(net, list(batches()), schedule=in_epochs, **options)
    net = cr.Sequential(cr.Linear(2, 1), seed=0)
    unknown = cr.fit(net, batches, schedule=replace(schedule, steps=25), **options)
    assert known.lr == unknown.lr


OLD_NAMES = {"StepLR": "step_size"}


@each
def test_checkpoints_and_pickles_with_older_names_go_on(schedule, tmp_path, monkeypatch):
    schedule = replace(schedule, steps=15)
    old = OLD_NAMES.get(type(schedule).__name__, "total_steps")
    path = tmp_path / "run.safetensors"
    with monkeypatch.context() as patch:
        describe = loop.describe_schedule
        patch.setattr(
            loop, "describe_schedule", lambda s: describe(s).replace(" steps=", f" {old}=")
        )
        fit(schedule, epochs=2, checkpoint=path)
    assert old.encode() in path.read_bytes()
    assert np.array_equal(
        fit(schedule, epochs=3, checkpoint=path, resume=True)[1], fit(schedule, epochs=3)[1]
    )
    with pytest.raises(ValueError, match="schedule is "):
        fit(replace(schedule, steps=20), epochs=4, checkpoint=path, resume=True)
    state = {old if name == "steps" else name: value for name, value in vars(schedule).items()}
    restored = type(schedule).__new__(type(schedule))
    restored.__setstate__(state)
    assert restored == schedule == pickle.loads(pickle.dumps(schedule))


def test_a_schedule_for_the_whole_training_is_another_one_with_more_epochs(tmp_path):
    options = {"checkpoint": tmp_path / "run.safetensors", "resume": True}
    whole = cr.schedules.CosineAnnealingLR(0.1)
    fit(whole, epochs=2, **options)
    with pytest.raises(ValueError, match=r"schedule is .*steps=15.* but was .*steps=10"):
        fit(whole, epochs=3, **options)


# torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=8, pct_start=...) of PyTorch 2.13
ONE_CYCLE = {
    0.3: (0.02, 0.409637552446096, 0.4859708886937616, 0.0383207969171282, 2e-6),
    0.35: (0.02, 0.3016755626400633, 0.4981772258156394, 0.04425585651045181, 2e-6),
    0.6: (0.02, 0.09745242280982214, 0.27981904291335974, 0.11110899731533254, 2e-6),
    1.0: (0.02, 0.043767471703419436, 0.11036244755390395, 0.4762325282965806, 0.5),
    0.0: (0.48096995924828917, 0.42677698818985565, 0.3456714754078401, 0.019032040751710826, 2e-6),
}


@pytest.mark.parametrize("pct_start", ONE_CYCLE)
def test_the_first_and_the_last_rates_of_a_cycle(pct_start):
    schedule = cr.schedules.OneCycleLR(0.5, steps=8, pct_start=pct_start)
    assert schedule(np.array([0, 1, 2, 6, 7])) == pytest.approx(ONE_CYCLE[pct_start], rel=1e-12)


@given(
    total=st.integers(2, 30),
    pct_start=st.floats(0, 1),
    div_factor=st.floats(1, 1e3),
    final_div_factor=st.floats(1, 1e5),
)
def test_a_cycle_goes_up_once_then_down_once(total, pct_start, div_factor, final_div_factor):
    schedule = cr.schedules.OneCycleLR(
        1.0,
        steps=total,
        pct_start=pct_start,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
    )
    rates = schedule(np.arange(total + 3))
    top = int(np.argmax(rates))
    tiny = 1e-12
    assert (np.diff(rates[: top + 1]) >= -tiny).all()
    assert (np.diff(rates[top:]) <= tiny).all()
    assert rates.max() <= 1.0 + tiny
    assert rates.min() >= 1 / div_factor / final_div_factor - tiny
    assert (rates[total:] == rates[total - 1]).all()


@given(total=st.integers(1, 30), data=st.data(), min_lr=st.floats(0, 1))
def test_a_cosine_warms_up_in_a_line_and_falls_to_its_last_rate(total, data, min_lr):
    warmup = data.draw(st.integers(0, total - 1))
    schedule = cr.schedules.CosineAnnealingLR(1.0, steps=total, warmup_steps=warmup, min_lr=min_lr)
    rates = schedule(np.arange(total + 3))
    np.testing.assert_allclose(rates[:warmup], np.arange(1, warmup + 1) / (warmup + 1))
    assert rates[warmup] == 1.0
    assert (np.diff(rates[warmup:]) <= 1e-12).all()
    assert (rates[total:] == rates[total]).all()
    assert rates[total] == pytest.approx(min_lr, abs=1e-12)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (
            "CosineAnnealingLR(lr=0.01, total_steps=40, warmup_steps=0, min_lr=0.0)",
            lambda s: [s.CosineAnnealingLR(0.01, steps=40, warmup_steps=w) for w in (None, 0)],
        ),
        (
            "CosineAnnealingLR(lr=0.01, total_steps=40, warmup_steps=5, min_lr=0.0)",
            lambda s: [s.CosineAnnealingLR(0.01, steps=40, warmup_steps=5)],
        ),
        ("StepLR(lr=0.1, step_size=3, gamma=0.1)", lambda s: [s.StepLR(0.1, steps=3)]),
        (
            "LinearLR(lr=0.1, total_steps=10, start_factor=0.3333333333333333, end_factor=1.0)",
            lambda s: [s.LinearLR(0.1, steps=10)],
        ),
        (
            "OneCycleLR(max_lr=0.1, total_steps=10, pct_start=0.3, div_factor=25.0, "
            "final_div_factor=10000.0)",
            lambda s: [s.OneCycleLR(0.1, steps=10)],
        ),
    ],
)
def test_descriptions_in_older_checkpoints_are_those_of_today(then, now):
    assert {complete_schedule(then)} == {describe_schedule(s) for s in now(cr.schedules)}


@pytest.mark.parametrize("epochs", [0, -3, True, "x"])
def test_in_steps_takes_a_number_of_epochs(epochs):
    schedules = cr.schedules.CosineAnnealingLR(0.01), cr.schedules.LinearLR(0.1)
    for schedule in schedules:
        with pytest.raises((TypeError, ValueError), match="epochs must be"):
            schedule.in_steps(5, epochs)

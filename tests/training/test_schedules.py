"""Schedules: what holds for all of them, and the rates of each at its ends and bends."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

pytestmark = pytest.mark.once

STEPS = np.arange(40)
EXAMPLES = [
    cr.schedules.StepLR(0.5, 4, gamma=0.5),
    cr.schedules.LinearLR(0.5, 8, 0.2, 0.8),
    cr.schedules.CosineAnnealingLR(0.5, 8, warmup_steps=3, min_lr=0.01),
    cr.schedules.OneCycleLR(0.5, 8),
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
    schedule = cr.schedules.OneCycleLR(0.5, 8, pct_start=pct_start)
    assert schedule(np.array([0, 1, 2, 6, 7])) == pytest.approx(ONE_CYCLE[pct_start], rel=1e-12)


@given(
    total=st.integers(2, 30),
    pct_start=st.floats(0, 1),
    div_factor=st.floats(1, 1e3),
    final_div_factor=st.floats(1, 1e5),
)
def test_a_cycle_goes_up_once_then_down_once(total, pct_start, div_factor, final_div_factor):
    schedule = cr.schedules.OneCycleLR(1.0, total, pct_start, div_factor, final_div_factor)
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
    schedule = cr.schedules.CosineAnnealingLR(1.0, total, warmup, min_lr)
    rates = schedule(np.arange(total + 3))
    np.testing.assert_allclose(rates[:warmup], np.arange(1, warmup + 1) / (warmup + 1))
    assert rates[warmup] == 1.0
    assert (np.diff(rates[warmup:]) <= 1e-12).all()
    assert (rates[total:] == rates[total]).all()
    assert rates[total] == pytest.approx(min_lr, abs=1e-12)

"""The choice of threads by measured times: simulated, so that no clock decides what is found."""

import _thread
import time
from math import ceil

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engine import thread_count, thread_group
from chainrule.engine.thread_count import ThreadCount
from chainrule.kernels.jit import JIT_DISABLED

compiled = pytest.mark.skipif(JIT_DISABLED, reason="plain Python runs in one thread")


class Simulation:
    """A machine whose batches take a known time, alone and shared; ``now`` is the time.

    Other threads have come ``start`` seconds after they were asked to.
    """

    def __init__(self, patch, *, idle, start=0.0, work=0):
        self.now, self.shared_time, self.start = 100.0, 0.0, start
        patch.setattr(thread_count, "perf_counter", lambda: self.now)
        patch.setattr(thread_count, "has_idle_cores", lambda number: idle)
        patch.setattr(thread_count, "_budget", thread_count._Budget())
        self.count = ThreadCount(2, work)

    def run(self, batches, alone, together):
        """Do what the interpreter does; return how long it took."""
        began = self.now
        while batches > 0:
            choice = self.count.choose(batches)
            batches_now = min(batches, choice.batches)
            waited, before, shared, shared_time = 0.0, batches_now, 0, 0.0
            if choice.threads > 1:
                waited = min(self.start, choice.longest_wait)
                before = min(batches_now, ceil((self.start - waited) / alone))
            while before + shared < batches_now:
                shared, shared_time = shared + 1, shared_time + together
                if shared_time > choice.time_alone * shared + choice.tolerance:
                    break
            taken = waited + shared_time + (batches_now - shared) * alone
            self.now += taken
            self.shared_time += shared_time
            self.count.learn(choice, batches_now, taken, shared, shared_time)
            batches -= batches_now
        return self.now - began


TIMES = st.floats(-4, -1).map(lambda power: 10**power)
RATIOS = st.floats(-0.3, 3).map(lambda power: 10**power)  # what two threads take of one's time


@given(alone=TIMES, ratio=RATIOS, idle=st.booleans())
@settings(max_examples=50)
def test_long_work_takes_little_more_than_with_the_best_number(alone, ratio, idle):
    with pytest.MonkeyPatch.context() as patch:
        simulation = Simulation(patch, idle=idle)
        batches = int(40 / alone)
        taken = simulation.run(batches, alone, ratio * alone)
    assert taken <= 1.1 * batches * alone * min(1.0, ratio) + 3 * alone * max(1.0, ratio)


@given(alone=st.floats(0.02, 3), ratio=RATIOS, idle=st.booleans(), steps=st.integers(1, 500))
@settings(max_examples=50)
def test_long_batches_are_shared_at_once(alone, ratio, idle, steps):
    """Unless cores are busy; where sharing does not pay, that is known after a few of them."""
    with pytest.MonkeyPatch.context() as patch:
        simulation = Simulation(patch, idle=idle, start=1e-4, work=thread_count.LONG_WORK)
        taken = simulation.run(steps, alone, ratio * alone)
    # Beside busy programs, a trial waits until it is paid for: one thread's time is the measure.
    best = steps * alone * (min(1.0, ratio) if idle else 1.0)
    first = 1 + thread_count.FIRST_SHARED
    if idle and ratio < 1 and steps <= first:
        assert taken == pytest.approx(best + 1e-4 * steps)
    assert taken <= 1.1 * best + 2 * first * alone * max(1.0, ratio)


def test_first_shared_batches_cost_what_they_take_longer_than_with_one_thread(monkeypatch):
    simulation = Simulation(monkeypatch, idle=True, work=thread_count.LONG_WORK)
    simulation.run(1 + thread_count.FIRST_SHARED, 0.5, 0.52)
    assert thread_count._budget.cost == thread_count.FIRST_COST
    simulation.run(1, 0.5, 0.52)
    assert thread_count._budget.cost == pytest.approx(thread_count.FIRST_SHARED * 0.02)


@given(
    alone=st.floats(-4.5, -3).map(lambda power: 10**power),
    ratio=RATIOS,
    start=st.floats(-5, -3).map(lambda power: 10**power),
)
@settings(max_examples=20)
@example(alone=4.5e-5, ratio=1.3, start=2.5e-4)
def test_threads_that_come_late_do_not_make_one_thread_seem_slow(alone, ratio, start):
    with pytest.MonkeyPatch.context() as patch:
        simulation = Simulation(patch, idle=True, start=start)
        batches = int(10 / alone)
        taken = simulation.run(batches, alone, ratio * alone)
    assert taken <= 1.1 * batches * alone * min(1.0, ratio)


@given(alone=TIMES, ratio=st.floats(1.2, 1000), idle=st.booleans())
@settings(max_examples=50)
def test_trials_in_vain_cost_a_hundredth_of_the_time(alone, ratio, idle):
    with pytest.MonkeyPatch.context() as patch:
        simulation = Simulation(patch, idle=idle)
        batches = int(40 / alone)
        taken = simulation.run(batches, alone, ratio * alone)
        # The last batch of a trial may be long; it is paid for before the next trial.
        longest = ratio * alone + thread_count.SLICE / 4
    assert taken <= 1.02 * batches * alone + 2 * longest


@pytest.mark.parametrize("start", [0.0, 0.0002, 0.0005])
@pytest.mark.parametrize("ratio", [0.6, 1.0, 1.05, 1.15])
def test_the_time_to_start_threads_is_not_taken_for_that_of_one_thread(monkeypatch, ratio, start):
    simulation = Simulation(monkeypatch, idle=True, start=start)
    step, steps = 1e-4, 200_000
    best = min(1.0, ratio + start / thread_count.SLICE)
    assert simulation.run(steps, step, ratio * step) < 1.02 * best * steps * step


def test_the_choice_follows_the_load(monkeypatch):
    simulation = Simulation(monkeypatch, idle=True)
    step, steps = 1e-4, 100_000
    simulation.run(steps, step, 0.55 * step)
    assert simulation.run(steps, step, 0.55 * step) < 0.6 * steps * step
    monkeypatch.setattr(thread_count, "has_idle_cores", lambda number: False)
    assert simulation.run(steps, step, 50 * step) < 1.02 * steps * step
    monkeypatch.setattr(thread_count, "has_idle_cores", lambda number: True)
    assert simulation.run(steps, step, 0.55 * step) < 0.65 * steps * step


def test_short_work_stays_with_one_thread(monkeypatch):
    simulation = Simulation(monkeypatch, idle=True)
    for _ in range(100):
        simulation.run(4, 1e-4, 1e-5)
    assert simulation.shared_time == 0


def test_without_idle_cores_the_first_trial_waits_until_it_is_paid_for(monkeypatch):
    simulation = Simulation(monkeypatch, idle=False)
    while simulation.shared_time == 0:
        simulation.run(1000, 1e-4, 1e-3)
    assert simulation.now - 100 > 1.0


@compiled
@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("started", [0, 1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_while_threads_start_leaves_none_running(monkeypatch, started, error):
    net, x = cr.Sequential(cr.Linear(3, 40), cr.Tanh(), cr.Linear(40, 2), seed=0), np.ones((64, 3))
    with cr.threads(1):
        expected = net.predict(x)
    start_new_thread, calls = thread_group.start_new_thread, []

    def start(function, arguments):
        if len(calls) == started:
            raise error  # as a handler of a signal does
        calls.append(start_new_thread(function, arguments))

    before = _thread._count()
    with cr.threads(4):
        for _ in range(3):
            calls.clear()
            with monkeypatch.context() as patch:
                patch.setattr(thread_group, "start_new_thread", start)
                with pytest.raises(error):
                    net.forward(x)
            assert np.array_equal(net.forward(x), expected)
    until = time.monotonic() + 10
    while _thread._count() > before:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_nothing_is_learned_from_a_run_that_did_no_batch(monkeypatch):
    """As of one whose first batch has a loss that is not finite."""
    simulation = Simulation(monkeypatch, idle=True)
    simulation.run(1000, 1e-3, 1e-3)
    before = simulation.count.choose(1000)
    for choice in (before, before._replace(threads=1), before._replace(threads=2)):
        simulation.count.learn(choice, 0, 1e-3, 0, 0.0)
    assert simulation.count.choose(1000) == before

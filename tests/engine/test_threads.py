"""Threads: how many, and that their number changes nothing but the time."""

import _thread
import os
import subprocess
import sys
from itertools import pairwise
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engine import machine, thread_group
from chainrule.engine.thread_count import Choice, ThreadCount
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.models import sequential
from chainrule.operations.operation import Tensor
from chainrule.plan import threads as planning
from chainrule.plan.builder import PlanBuilder

compiled = pytest.mark.skipif(JIT_DISABLED, reason="plain Python runs in one thread")


# The limit


def test_set_and_get():
    before = cr.get_num_threads()
    cr.set_num_threads(3)
    assert cr.get_num_threads() == 3
    cr.set_num_threads(before)


def test_block_ends_with_the_limit_of_before():
    before = cr.get_num_threads()
    with cr.threads(5):
        assert cr.get_num_threads() == 5
        with cr.threads(2):
            assert cr.get_num_threads() == 2
        assert cr.get_num_threads() == 5
    with pytest.raises(ZeroDivisionError), cr.threads(7):
        _ = 1 / 0
    assert cr.get_num_threads() == before


def test_block_is_about_its_own_thread_only():
    seen = []
    with cr.threads(9):
        other = Thread(target=lambda: seen.append(cr.get_num_threads()))
        other.start()
        other.join()
    assert seen == [cr.get_num_threads()]


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_wrong_numbers(n, error):
    before = cr.get_num_threads()
    with pytest.raises(error, match=r"^n must be "):
        cr.set_num_threads(n)
    with pytest.raises(error, match=r"^n must be "), cr.threads(n):
        pass
    assert cr.get_num_threads() == before


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "4,2"}, None),  # levels of nested OpenMP regions: not for us
        ({}, None),
    ],
)
def test_environment(environment, expected):
    code = "import chainrule as cr; print(cr.get_num_threads())"
    others = {
        k: v for k, v in os.environ.items() if k not in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
    }
    result = subprocess.run(
        [sys.executable, "-c", code], env=others | environment, capture_output=True, check=True
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert int(result.stdout) == (expected or cores)


# The choice


@pytest.mark.parametrize(
    ("sizes", "batch", "threads"),
    [
        ((4, 32, 32, 2), 32, 1),
        ((64, 64, 32, 10), 64, 1),
        ((784, 128, 64, 10), 128, 2),
        ((30, 256, 256, 1), 512, 2),
        ((4, 32, 16, 4), 200, 1),
    ],
)
@compiled
def test_small_networks_stay_with_one_thread(sizes, batch, threads):
    layers = [cr.Linear(*pair) for pair in pairwise(sizes)]
    net = cr.Sequential(*layers, seed=0)
    plan = net.make_plan(sizes[:1], batch, loss=cr.MSELoss(), steps=100, threads=2)
    assert plan.threads == threads


def test_work_that_grows_by_one_unit_never_jumps():
    chosen = [
        planning.choose_threads(work, 128, 100, limit=64) for work in range(0, 80_000_000, 250_000)
    ]
    assert chosen[0] == 1
    assert chosen[-1] == 64
    assert max(np.diff(chosen)) == 1
    assert min(np.diff(chosen)) == 0


def test_one_short_call_starts_no_thread():
    assert planning.choose_threads(3_000_000, 128, 1, limit=8) == 1


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("sizes", [(784, 128, 64, 10), (3, 500, 1), (128,) * 20, (5, 5)])
def test_shares_of_the_parameters_are_equal_and_cut_between_rows(sizes, threads):
    net = cr.Sequential(*[cr.Linear(*pair) for pair in pairwise(sizes)], seed=0)
    builder = PlanBuilder()
    tensor = Tensor(sizes[:1])
    for position, layer in enumerate(net.layers):
        builder.layer, builder.prefix = position, f"{position}."
        tensor = layer.lower(builder, tensor)
    offsets, cut_between, start = {}, set(), 0
    for name, parameter in net.parameters().items():
        offsets[name] = start
        width = parameter.shape[1] if parameter.ndim == 2 else parameter.size
        cut_between |= set(range(start, start + parameter.size + 1, width))
        start += parameter.size
    alone, bounds = planning.partition_parameters(builder.steps, offsets, 64, threads)
    assert alone[0] == 0
    assert alone[1] >= start
    assert bounds[0] == 0
    assert bounds[-1] >= start
    assert set(bounds[:-1]) <= cut_between
    part = start / threads
    widest = planning.ROWS_OF_A_TILE * max(sizes[1:]) + sum(sizes[1:])
    sizes = np.diff(np.minimum(bounds, start))
    assert (abs(sizes - part) <= widest).all()


def test_without_parameters_there_is_one_share():
    everything = planning.ALL_PARAMETERS
    bounds = planning.partition_parameters([], {}, 64, 2)
    assert bounds.tolist() == [[0, everything, everything]] * 2


# The results

LAYERS = st.sampled_from(
    [cr.ReLU(), cr.Tanh(), cr.GELU(), cr.Softmax(), cr.LogSoftmax(), cr.ELU(), cr.Identity()]
)


@given(
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    layers=st.lists(LAYERS, min_size=4, max_size=4),
    batch=st.integers(1, 50),
    rows=st.integers(50, 70),
    dtype=st.sampled_from(["float32", "float64"]),
    weighted=st.booleans(),
    several=st.integers(2, 5),
)
@settings(max_examples=60)
def test_training_gives_the_same_bits(
    all_threads, widths, layers, batch, rows, dtype, weighted, several
):
    rng = np.random.default_rng(0)
    chain = []
    for pair, layer in zip(pairwise(widths), layers, strict=False):
        chain += [cr.Linear(*pair), layer]
    X, y = rng.normal(size=(rows, widths[0])), rng.normal(size=(rows, widths[-1]))
    weight = rng.uniform(0, 2, rows) if weighted else None

    def train(threads):
        net = cr.Sequential(*chain, seed=0, dtype=dtype)
        with cr.threads(threads), all_threads():
            history = cr.fit(
                net, X, y, loss=cr.MSELoss(), epochs=2, batch_size=batch, sample_weight=weight,
                progress=False,
            )  # fmt: skip
            _, d_out = cr.MSELoss()(net.forward(X), y)
            dx = net.backward(d_out)
            return history, net.params, net.grads, dx, net.predict(X)

    alone, together = train(1), train(several)
    for mine, theirs in zip(alone[1:], together[1:], strict=True):
        assert np.array_equal(mine, theirs)
    assert alone[0].batch_loss == together[0].batch_loss


@compiled
@pytest.mark.usefixtures("eager_threads")
def test_classification_gives_the_same_bits_again_and_again():
    X, y = cr.datasets.load_digits()
    results = []
    for threads in (1, 2, 2, 2, 3, 8):
        net = cr.Sequential(cr.Linear(64, 32), cr.ReLU(), cr.Linear(32, 10), seed=0)
        with cr.threads(threads):
            cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), epochs=3, progress=False)
        results.append(net.params.copy())
    for other in results[1:]:
        assert np.array_equal(results[0], other)


@compiled
@pytest.mark.usefixtures("eager_threads")
def test_large_factors_give_the_same_bits():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 700)).astype("f"), rng.normal(size=(40, 513)).astype("f")
    results = []
    for threads in (1, 2, 3):
        net = cr.Sequential(cr.Linear(700, 601), cr.Tanh(), cr.Linear(601, 513), seed=0)
        with cr.threads(threads):
            cr.fit(net, X, y, loss=cr.MSELoss(), epochs=2, batch_size=20, progress=False)
        results.append(net.params.copy())
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@compiled
@pytest.mark.usefixtures("eager_threads")
def test_blocks_of_several_sizes_follow_each_other(monkeypatch):
    # With a shorter last block, a member's rows lie where another's were.
    monkeypatch.setattr(sequential, "PREDICT_ROWS", 32)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(75, 200)), rng.integers(0, 10, 75)
    net = cr.Sequential(cr.Linear(200, 300), cr.Tanh(), cr.Linear(300, 10), seed=0)
    with cr.threads(1):
        expected = net.predict(X)
    for _ in range(300):
        with cr.threads(2):
            assert np.array_equal(net.predict(X), expected)
    accuracies = []
    for threads in (1, 2):
        twin = net.copy()
        with cr.threads(threads):
            history = cr.fit(
                twin, X, y, loss=cr.CrossEntropyLoss(), epochs=30, batch_size=32,
                validation=(X, y), progress=False,
            )  # fmt: skip
        accuracies.append(history.validation_accuracy)
    assert accuracies[0] == accuracies[1]


@compiled
@pytest.mark.usefixtures("eager_threads")
def test_lower_limit_holds_for_a_network_that_ran_before(monkeypatch):
    net, x = cr.Sequential(cr.Linear(3, 4), seed=0), np.ones((64, 3))
    with cr.threads(3):
        net.forward(x)
    started = []
    monkeypatch.setattr(thread_group, "start_new_thread", lambda *work: started.append(work))
    with cr.threads(1):
        net.forward(x)
    assert started == []


@compiled
@pytest.mark.usefixtures("eager_threads")
def test_two_fits_at_once():
    X, y = cr.datasets.load_digits()

    def train(seed, results):
        net = cr.Sequential(cr.Linear(64, 32), cr.Tanh(), cr.Linear(32, 10), seed=seed)
        with cr.threads(2):
            cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), epochs=3, progress=False)
        results[seed] = net.params.copy()

    one_by_one, at_once = {}, {}
    for seed in (0, 1, 2):
        train(seed, one_by_one)
    fits = [Thread(target=train, args=(seed, at_once)) for seed in (0, 1, 2)]
    for thread in fits:
        thread.start()
    for thread in fits:
        thread.join()
    for seed, params in one_by_one.items():
        assert np.array_equal(params, at_once[seed])


@compiled
@pytest.mark.usefixtures("eager_threads")
def test_non_finite_loss_is_found_by_all():
    X = np.ones((64, 3))
    net = cr.Sequential(cr.Linear(3, 4), cr.Linear(4, 2), seed=0)
    with cr.threads(2), pytest.raises(cr.NonFiniteError):
        cr.fit(
            net, X, np.full((64, 2), 1e30), loss=cr.MSELoss(), optimizer=cr.SGD(lr=1e30),
            batch_size=16, progress=False,
        )  # fmt: skip
    assert np.isfinite(net.params).all()


@compiled
@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("failing", [0, 1])
def test_thread_that_fails_keeps_nobody_waiting(monkeypatch, failing):
    right = machine.compiled_run

    def broken(dtype):
        def fail(*values):
            if values[-1] == failing:
                raise MemoryError("no room")
            return right(dtype)(*values)

        return fail

    net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2), seed=0)
    before = net.params.copy()
    monkeypatch.setattr(machine, "compiled_run", broken)
    monkeypatch.setattr(ThreadCount, "choose", lambda count, n: Choice(count.most, n, 0.5))
    with cr.threads(2), pytest.raises(MemoryError, match="no room"):
        cr.fit(net, np.ones((64, 3)), np.ones((64, 2)), loss=cr.MSELoss(), progress=False)
    assert np.array_equal(net.params, before)  # the others did not go on alone


@compiled
@pytest.mark.usefixtures("eager_threads")
def test_without_threads_to_start_one_does_the_work():
    net, x = cr.Sequential(cr.Linear(3, 4), seed=0), np.ones((64, 3))
    expected = net.predict(x)
    before = _thread.stack_size(1 << 47)  # more than there is
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            _thread.start_new_thread(print, ())
        with cr.threads(3):
            assert np.array_equal(net.forward(x), expected)
    finally:
        _thread.stack_size(before)

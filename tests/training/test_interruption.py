"""Exceptions from outside, such as Ctrl-C's: none gets lost, and none leaves anything behind."""

import gc
import signal
from contextlib import contextmanager
from time import perf_counter

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import binding
from chainrule.engine.backends import is_compiled
from chainrule.engine.machine import PreparedRun
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.utils.interruption import interruption

pytestmark = pytest.mark.once

needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such timer here")
BACKENDS = ["numba", "numpy"]
SHOTS = 60  # 1 in 8 of them found an exception that got lost: all miss it once in 3,000 times


class Shot(BaseException):
    """What the handler of a signal raises."""


class Twice(cr.NumPyLayer):
    def forward(self, x):
        return 2 * x, None

    def backward(self, dy, saved):
        return 2 * dy, {}


class Squares(cr.NumPyLoss):
    def forward(self, output, target):
        return ((output - target) ** 2).sum(axis=1), 2 * (output - target)


x = np.arange(32.0).reshape(8, 4)
kept = []  # what would run code in Python when it dies, where Python only prints what is raised


def predicting(backend):
    net = cr.Sequential(*[Twice() for _ in range(6)], dtype="float64", backend=backend)
    return lambda: net.predict(x)


def by_hand(backend):
    net = cr.Sequential(Twice(), cr.Tanh(), Twice(), dtype="float64", backend=backend)
    return lambda: net.forward(x) + net.backward(x)


def loss(backend):
    return lambda: Squares()(x, 0 * x)[1]


def pulling_back(backend):
    net = cr.Sequential(Twice(), cr.Tanh(), Twice(), dtype="float64", backend=backend)

    def pull_back():
        _, pullback = cr.vjp(net, x)
        kept.append(pullback)
        return pullback(x)[1]

    return pull_back


def training(backend):
    net = cr.Sequential(cr.Linear(4, 4), Twice(), seed=0, backend=backend)
    start, loss = net.params.copy(), Squares()

    def train():
        net.params = start
        kept.append(cr.SGD(1e-4))
        options = {"optimizer": kept[-1], "epochs": 2, "batch_size": 4, "progress": False}
        cr.fit(net, x, x, loss=loss, **options)
        return net.params.copy()

    return train


@contextmanager
def handled(number, handler):
    before = signal.signal(number, handler)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        kept.clear()
        signal.signal(number, before)


def shots(action):
    """Yield the moments at which to interrupt an action, and how long it takes."""
    action()
    took = []
    for _ in range(3):
        started = perf_counter()
        action()
        took.append(perf_counter() - started)
    for shot in range(SHOTS):
        yield max(1e-6, min(took) * (shot + 0.5) / SHOTS)


@needs_timer
@pytest.mark.skipif(JIT_DISABLED, reason="NumPy asks the members of enumerations in Python")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", [predicting, by_hand, loss, pulling_back, training])
def test_what_a_signal_handler_raises_comes_out_and_leaves_no_trace(make, backend):
    action = make(backend)
    expected = action()
    fired = []

    def handler(*_):
        fired.append(True)
        raise Shot

    with handled(signal.SIGALRM, handler):
        for moment in shots(action):
            fired.clear()
            try:
                signal.setitimer(signal.ITIMER_REAL, moment)
                result = action()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Shot:
                assert np.array_equal(action(), expected)
                continue
            assert not fired  # or its exception got lost
            assert np.array_equal(result, expected)


@needs_timer
@pytest.mark.parametrize("how", ["raise", "stop"])
def test_ctrl_c_at_any_moment_of_a_training_is_answered(how):
    net = cr.Sequential(cr.Linear(4, 4), seed=0)
    options = {"loss": cr.MSELoss(), "epochs": 3, "batch_size": 4, "progress": False}
    options["interrupt"] = how
    pressed = []

    def press(*_):
        pressed.append(True)
        signal.raise_signal(signal.SIGINT)

    with handled(signal.SIGALRM, press):
        for moment in shots(lambda: cr.fit(net, x, x, **options)):
            pressed.clear()
            try:
                signal.setitimer(signal.ITIMER_REAL, moment)
                history = cr.fit(net, x, x, **options)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                continue
            assert history.interrupted == bool(pressed)
            assert how == "stop" or not pressed


def test_a_request_that_nobody_answers_is_a_keyboard_interrupt_at_the_end():
    done = []

    @interruption()
    def work(answers, presses):
        with interruption() as stop:  # the same
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)
            done.append(stop.requested)
            assert not answers or stop.answer()

    work(answers=True, presses=1)
    for answers, presses in ((False, 1), (True, 2)):
        with pytest.raises(KeyboardInterrupt):
            work(answers, presses)
    assert done == [True, True]  # the second press does not wait
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("how", ["raise", "stop"])
def test_ctrl_c_before_a_training_begins_ends_it_before_its_first_step(how):
    class Data(list):
        def __array__(self, *arguments, **options):
            signal.raise_signal(signal.SIGINT)
            return np.asarray(list(self), *arguments)

    net = cr.Sequential(cr.Linear(4, 4), seed=0)
    before = net.params.copy()
    options = {"loss": cr.MSELoss(), "batch_size": 4, "progress": False, "interrupt": how}
    if how == "raise":
        with pytest.raises(KeyboardInterrupt, match=r"epoch 1 of 10.*can be used as it is"):
            cr.fit(net, Data(x), x, **options)
    else:
        history = cr.fit(net, Data(x), x, **options)
        assert history.interrupted
        assert not history.loss
    assert np.array_equal(net.params, before)


# A machine that failed does not run again


class Fails(cr.NumPyLayer):
    """A layer that raises an error in the forward or the backward pass, or in neither."""

    where = None

    def output_shape(self, input_shape):
        return input_shape

    def _reach(self, where):
        if self.where == where:
            raise Shot(where)

    def forward(self, x):
        self._reach("forward")
        return x, None

    def backward(self, dy, saved):
        self._reach("backward")
        return dy, {}


class LossFails(Squares):
    where = None

    def forward(self, output, target):
        if self.where == "loss":
            raise Shot
        return super().forward(output, target)


def fitting(net, loss):
    cr.fit(net, x, x, loss=loss, epochs=1, batch_size=4, progress=False)


def validating(net, loss):
    cr.fit(net, x, x, loss=loss, epochs=1, batch_size=4, progress=False, validation=(x, x))


def forward_and_backward(net, loss):
    net.forward(x)
    net.backward(x)


USES = {
    "predict": lambda net, loss: net.predict(x),
    "forward, backward": forward_and_backward,
    "loss": lambda net, loss: loss(x, x),
    "train_step": lambda net, loss: cr.train_step(net, loss, cr.SGD())(x, x),
    "fit": fitting,
    "validation": validating,
    "value_and_grad": lambda net, loss: cr.value_and_grad(net, loss)(net.params, x, x),
    "vjp": lambda net, loss: cr.vjp(net, x)[1](x),
    "jacobian": lambda net, loss: cr.jacobian(net, x, "x"),
    "per_sample_grad": lambda net, loss: cr.per_sample_grad(net, loss, x, x),
    "input_gradient": lambda net, loss: cr.input_gradient(cr.Sequential(net, cr.Linear(4, 1)), x),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("where", ["forward", "backward", "loss"])
def test_no_machine_runs_again_after_an_exception(use, where, monkeypatch):
    failed, run = [], PreparedRun.__call__

    def watched(prepared, *arguments, **options):
        assert all(prepared.machine is not other for other in failed)
        try:
            return run(prepared, *arguments, **options)
        except BaseException:
            failed.append(prepared.machine)
            raise

    layer, loss = Fails(), LossFails()
    net = cr.Sequential(layer, cr.Tanh(), seed=0)
    monkeypatch.setattr(PreparedRun, "__call__", watched)
    use(net, loss)
    for _ in range(2):
        layer.where = loss.where = where
        before = len(failed)
        try:
            use(net, loss)
        except Shot:
            assert len(failed) == before + 1
        layer.where = loss.where = None
        use(net, loss)


def test_a_pullback_that_failed_says_so():
    layer = Fails()
    net = cr.Sequential(layer, seed=0)
    _, pullback = cr.vjp(net, x)
    layer.where = "backward"
    with pytest.raises(Shot):
        pullback(x)
    layer.where = None
    with pytest.raises(RuntimeError, match="cannot run again"):
        pullback(x)


@pytest.mark.parametrize("backend", [b for b in BACKENDS if is_compiled(b)])  # else Python calls
def test_a_call_that_is_not_completed_is_an_error_even_if_nothing_says_why(backend, monkeypatch):
    def no_answer(*_):
        while True:
            yield

    monkeypatch.setattr(binding, "_answer_calls", no_answer)
    net = cr.Sequential(Twice(), backend=backend)
    with pytest.raises(RuntimeError, match="A run has failed for an unknown reason"):
        net.predict(x)


raises = True


def raise_error(x, y):
    if raises and x[-1, -1] > 0:
        raise ValueError("only when compiled")
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j]


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_an_error_that_only_compiled_code_raises_is_an_error(monkeypatch):
    net = cr.Sequential(cr.CompiledLayer(raise_error, raise_error_backward))
    with pytest.raises(ValueError, match="only when compiled"):
        net.predict(x)
    net.predict(-x)  # so that there is a machine with what was compiled
    monkeypatch.setitem(raise_error.__globals__, "raises", False)  # as it was when compiled: True
    with pytest.raises(RuntimeError, match=r"the forward of CompiledLayer\(.* its compiled form"):
        net.predict(x)


def raise_error_backward(dy, dx):
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dx[i, j] = dy[i, j]

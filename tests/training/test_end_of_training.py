"""However a training ends, callbacks are told, files closed, and the best weights restored."""

import numpy as np
import pytest

import chainrule as cr

STEPS = 4  # an epoch


def fit(net, *callbacks, **options):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 8)), rng.integers(0, 5, 50)
    defaults = {
        "loss": cr.CrossEntropyLoss(), "epochs": 4, "batch_size": 16, "progress": False,
        "optimizer": cr.SGD(lr=0.01), "validation": (X[:20], y[:20]),
    }  # fmt: skip
    return cr.fit(net, X, y, callbacks=callbacks, **defaults | options)


def network():
    return cr.Sequential(cr.Linear(8, 16), cr.ReLU(), cr.Linear(16, 5), seed=0)


class Ending(cr.Callback):
    """Notes what it is told of the end."""

    def __init__(self):
        self.told = []

    def on_fit_end(self, training):
        self.told.append((training.error, training.epoch, training.step))


class AfterEpochs(cr.Callback):
    """Acts after so many epochs, and knows the best parameters until then."""

    def __init__(self, act=None, epochs=2):
        self.act, self.epochs, self.best = act, epochs, np.inf

    def on_epoch_end(self, training):
        if training.history.loss[-1] < self.best:
            self.best, self.params = training.history.loss[-1], training.network.params.copy()
        if training.epoch == self.epochs and self.act is not None:
            self.act(training)


class AfterSteps(AfterEpochs):
    every = 1

    def on_steps(self, training):
        if training.step == 2 * STEPS + 1:
            self.act(training)

    def on_epoch_end(self, training):
        act, self.act = self.act, None
        super().on_epoch_end(training)
        self.act = act


def raising(error):
    def act(training):
        raise error

    return act


def pressing_ctrl_c(training):
    training.interruption.requested = True


class Rates(cr.schedules.Schedule):
    """The rate becomes so high that parameters overflow, or there is none, in the third epoch."""

    def __init__(self, last):
        self.last = last

    def rates(self, steps):
        if self.last is None and steps[-1] > 2 * STEPS:
            raise ZeroDivisionError("no rate")
        return np.where(steps > 2 * STEPS, self.last or 0.0, 0.01)


def metric_that_fails():
    figures = iter([1.0, 2.0])

    def metric(output, y):
        figure = next(figures, None)
        if figure is None:
            raise LookupError("no figure")
        return figure

    return metric


# What ends the training, mostly in its third epoch, and the exception that comes out.
ENDS = {
    "last epoch": (lambda: AfterEpochs(), {"schedule": Rates(5.0)}, None),
    "stop": (lambda: AfterEpochs(cr.callbacks.Training.stop), {}, None),
    "Ctrl-C": (lambda: AfterSteps(pressing_ctrl_c), {}, KeyboardInterrupt),
    "Ctrl-C stops": (lambda: AfterSteps(pressing_ctrl_c), {"interrupt": "stop"}, None),
    "Ctrl-C twice": (lambda: AfterSteps(raising(KeyboardInterrupt())), {}, KeyboardInterrupt),
    "exit": (lambda: AfterEpochs(raising(SystemExit(3))), {}, SystemExit),
    "on_steps": (lambda: AfterSteps(raising(KeyError("mine"))), {}, KeyError),
    "on_epoch_end": (lambda: AfterEpochs(raising(OSError("mine"))), {}, OSError),
    "divergence": (lambda: AfterEpochs(), {"schedule": Rates(3e38)}, cr.NonFiniteError),
    "wrong rate": (lambda: AfterEpochs(), {"schedule": Rates(1e39)}, ValueError),
    "schedule": (lambda: AfterEpochs(), {"schedule": Rates(None)}, ZeroDivisionError),
    "metric": (lambda: AfterEpochs(), {"metrics": {"m": metric_that_fails}}, LookupError),
}


@pytest.mark.parametrize("restores", [True, False])
@pytest.mark.parametrize("end", ENDS)
def test_everybody_is_told_however_it_ends(tmp_path, end, restores):
    make, options, error = ENDS[end]
    if "metrics" in options:
        options = {"metrics": {"m": options["metrics"]["m"]()}}
    net, ending, acting = network(), Ending(), make()
    stopping = cr.callbacks.EarlyStopping("loss", restore_best=restores)
    logs = cr.callbacks.CSVLogger(tmp_path / "a.csv"), cr.callbacks.JSONLLogger(tmp_path / "a.json")
    raised = None
    try:
        fit(net, ending, stopping, *logs, acting, **options)
    except BaseException as caught:
        raised = caught
    assert (raised is None) == (error is None)
    assert raised is None or type(raised) is error
    ((told, epoch, step),) = ending.told
    assert told is raised
    assert epoch >= 2
    assert step >= epoch * STEPS
    assert all(log._file.closed for log in logs)
    assert len((tmp_path / "a.csv").read_text().splitlines()) in (epoch, epoch + 1)
    assert stopping.best_epoch >= 2
    assert np.array_equal(net.params, acting.params) or not restores
    notes = getattr(raised, "__notes__", [])
    restored = restores and raised is not None
    assert notes == [f"EarlyStopping restored the best epoch, {stopping.best_epoch}."] * restored


def test_a_divergence_brings_the_history():
    net = network()
    with pytest.raises(cr.NonFiniteError) as caught:
        fit(net, schedule=Rates(3e38))
    history = caught.value.history
    assert len(history.loss) == len(history.validation_loss) == len(history.lr) == 2
    assert len(history.batch_loss) == 2 * STEPS + caught.value.step - 1
    assert not history.interrupted


def test_only_those_that_began_are_told_of_an_end_before_the_first_step(tmp_path):
    class Refuses(Ending):
        def on_fit_begin(self, training):
            raise ValueError("not with me")

    net, first, second, last = network(), Ending(), Refuses(), Ending()
    log = cr.callbacks.CSVLogger(tmp_path / "log.csv")
    before = net.params.copy()
    with pytest.raises(ValueError, match="not with me") as caught:
        fit(net, first, log, second, last)
    assert first.told == [(caught.value, 0, 0)]
    assert second.told == last.told == []
    assert log._file.closed
    assert np.array_equal(net.params, before)


def test_a_training_that_cannot_be_resumed_leaves_the_network_and_tells_those_that_began(tmp_path):
    class Forgetful(cr.Callback):
        def state_dict(self):
            return {"a": 1}

        def load_state_dict(self, state):
            raise ValueError("what is a?")

    path = tmp_path / "run"
    fit(network(), cr.callbacks.EarlyStopping("loss"), Forgetful(), checkpoint=path)
    net, ending = cr.Sequential(cr.Linear(8, 16), cr.ReLU(), cr.Linear(16, 5), seed=5), Ending()
    before = net.params.copy()
    with pytest.raises(cr.ModelFileError, match="what is a"):
        fit(net, ending, cr.callbacks.EarlyStopping("loss"), Forgetful(), checkpoint=path,
            resume=True)  # fmt: skip
    assert len(ending.told) == 1
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize("act", [None, raising(OSError("first"))])
def test_an_exception_at_the_end_keeps_nobody_from_being_told(act):
    class FailsAtTheEnd(Ending):
        def on_fit_end(self, training):
            super().on_fit_end(training)
            raise KeyError("at the end")

    first, failing, again, last = Ending(), FailsAtTheEnd(), FailsAtTheEnd(), Ending()
    with pytest.raises((OSError, KeyError)) as caught:
        fit(network(), AfterEpochs(act), first, failing, again, last)
    assert isinstance(caught.value, KeyError if act is None else OSError)
    assert all(len(callback.told) == 1 for callback in (first, failing, again, last))
    assert last.told[0][0] is caught.value
    assert len(caught.value.__notes__) == (1 if act is None else 2)
    assert "FailsAtTheEnd's on_fit_end raised KeyError('at the end')" in caught.value.__notes__[0]


def test_nothing_keeps_the_training_after_an_error():
    kept = []

    class Keep(cr.Callback):
        def on_fit_end(self, training):
            kept.append(training)

    with pytest.raises(OSError, match="mine"):
        fit(network(), Keep(), AfterEpochs(raising(OSError("mine"))))
    assert kept[0].error is None

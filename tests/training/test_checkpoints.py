"""Checkpoints: a training goes on from one bit for bit, or says why it cannot."""

import json
import os

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as as_bytes

import chainrule as cr
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.models.model_file import (
    CHECKSUM,
    TRAINING,
    _checksum,
    read_contents,
    write_contents,
)

pytestmark = pytest.mark.once


def data(rows=70, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 8)), rng.integers(0, 5, rows)


def network(seed=0):
    return cr.Sequential(cr.Linear(8, 16), cr.Tanh(), cr.Linear(16, 5), seed=seed)


def fit(net, **options):
    """Five steps an epoch, the last one of six rows."""
    X, y = data()
    defaults = {"loss": cr.CrossEntropyLoss(), "epochs": 6, "batch_size": 16, "progress": False}
    defaults["interrupt"] = "stop"
    return cr.fit(net, *(options.pop("Xy", (X, y))), **defaults | options)


class Interrupt(cr.Callback):
    """As Ctrl-C would, after so many steps of this process."""

    def __init__(self, every):
        self.every = every

    def on_steps(self, training):
        training.interruption.requested = True


class Halve(cr.Callback):
    """Halves the learning rate at each third step, and counts how often it did."""

    def __init__(self):
        self.every, self.times, self.lrs = 3, 0, np.zeros(0)

    def on_steps(self, training):
        training.optimizer.lr /= 2
        self.times += 1
        self.lrs = np.append(self.lrs, training.optimizer.lr)

    def state_dict(self):
        return {"times": self.times, "lrs": self.lrs, "best": float("inf")}

    def load_state_dict(self, state):
        if state["best"] != np.inf:
            raise ValueError("best is wrong")
        self.times, self.lrs = state["times"], state["lrs"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.mark.parametrize("optimizer", [cr.Adam, cr.SGD, cr.AdamW])
@pytest.mark.parametrize("every", [1, 4, 5, 7])
def test_a_training_goes_on_bit_for_bit(path, every, optimizer):
    whole, flow, halve = network(), cr.GradientFlow(every=2), Halve()
    X, y = data()
    options = {"validation": (X[:20], y[:20])}
    expected = fit(whole, optimizer=optimizer(), callbacks=[halve, flow], **options)
    for _ in range(30):
        net, flows, halves = network(seed=9), cr.GradientFlow(every=2), Halve()
        adam = optimizer()
        history = (
            fit(
                net,
                optimizer=adam,
                callbacks=[halves, flows, Interrupt(every)],
                checkpoint=path,
                resume=True,
                **options,
            )
            if path.exists()
            else fit(
                network(),
                optimizer=adam,
                callbacks=[halves, flows, Interrupt(every)],
                checkpoint=path,
                **options,
            )
        )
        if not history.interrupted:
            break
    assert np.array_equal(net.params, whole.params)
    for name in ("loss", "batch_loss", "validation_loss", "validation_accuracy"):
        assert getattr(history, name) == getattr(expected, name)
    assert halves.times == halve.times == 10
    assert np.array_equal(halves.lrs, halve.lrs)
    assert np.array_equal(flows.flow.steps, flow.flow.steps)
    assert np.array_equal(flows.flow.backward, flow.flow.backward)
    assert os.listdir(path.parent) == [path.name]


def test_a_finished_training_returns_at_once_and_may_get_more_epochs(path):
    whole = network()
    expected = fit(whole, epochs=8)
    first = fit(network(), checkpoint=path)
    before = path.read_bytes()
    net = network(seed=1)
    history = fit(net, checkpoint=path, resume=True)
    assert history.batch_loss == first.batch_loss
    assert path.read_bytes() == before
    assert np.array_equal(cr.load(path).params, net.params)
    history = fit(net, checkpoint=cr.Checkpoint(path, epochs=2), resume=True, epochs=8)
    assert np.array_equal(net.params, whole.params)
    assert history.loss == expected.loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 8}, "batch_size is 8, but was 16"),
        ({"seed": 1}, "seed is 1, but was 0"),
        ({"shuffle": False}, "shuffle is False, but was True"),
        ({"epochs": 2}, "epochs is 2, but the training in .* has done 6"),
        ({"loss": cr.CrossEntropyLoss(0.5)}, "loss is .*0.5.*, but was"),
        ({"optimizer": cr.Adam(lr=0.5)}, "optimizer numbers lr is 0.5, but was 0.001"),
        ({"optimizer": cr.SGD()}, "optimizer kind is 'SGD', but was 'Adam'"),
        ({"Xy": data(seed=1)}, "X is .*but was"),
        ({"Xy": data(rows=60)}, r"shape \(60, 8\).*but was"),
        ({"sample_weight": np.ones(70)}, "sample_weight is"),
        ({"validation": data()}, "validation is"),
    ],
)
def test_another_training_is_refused(path, options, message):
    fit(network(), checkpoint=path)
    net = network(seed=3)
    before = net.params.copy()
    with pytest.raises(ValueError, match=message):
        fit(net, checkpoint=path, resume=True, **options)
    assert np.array_equal(net.params, before)


def test_another_network_or_a_model_is_refused(path):
    fit(network(), checkpoint=path)
    with pytest.raises(ValueError, match="the network has other layers"):
        fit(cr.Sequential(cr.Linear(8, 5)), checkpoint=path, resume=True)
    network().save(path)
    with pytest.raises(cr.ModelFileError, match="a saved model, not the checkpoint"):
        fit(network(), checkpoint=path, resume=True)


def changed(path, entries, tensors):
    """Write the checkpoint again, with a checksum that fits."""
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()
        old = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header[TRAINING] = json.dumps(json.loads(header[TRAINING]) | entries)
    del header[CHECKSUM]
    new = {k: v for k, v in (old | tensors).items() if v is not None}
    header[CHECKSUM] = _checksum(header, new)
    path.write_bytes(as_bytes(new, metadata=header))


BEST = {"best": 1, "best_epoch": 1, "stopped_epoch": None, "waited": 0}
BEST_PARAMS = "training/callbacks.EarlyStopping.best_params"


@pytest.mark.parametrize(
    ("entries", "tensors", "message"),
    [
        ({"epoch": 10**30}, {}, "epoch is too large"),
        ({"epoch": 2}, {}, "contradict each other"),
        ({"step": "3"}, {}, "step must be an integer"),
        ({"run": []}, {}, "run must be a dict"),
        ({"stopped": 1}, {}, "stopped must be true or false"),
        ({"optimizer": {"kind": "Adam", "numbers": {"lr": -1}}}, {}, "optimizer is not readable"),
        ({"callbacks": {"Nobody": {}}}, {}, "no such callback"),
        ({"callbacks": {"Halve": {"best": 1}}}, {}, "best is wrong"),
        ({"callbacks": {"EarlyStopping": BEST}}, {BEST_PARAMS: np.ones(3)}, "do not have the net"),
        ({"callbacks": {"EarlyStopping": BEST | {"best": "x"}}}, {}, "cannot be resumed from its"),
        ({"callbacks": {"EarlyStopping": BEST | {"stopped_epoch": 1 << 64}}}, {}, "at most 64"),
        ({"callbacks": {"Halve": {}}}, {"training/callbacks.Halve.a": np.ones(1, "c8")}, "dtype"),
        ({"begun_seconds": 10**400}, {}, "begun_seconds must be 0 or more"),
        ({}, {"training/optimizer": None}, "it lacks optimizer"),
        ({}, {"training/optimizer": np.ones((2, 3), np.float32)}, r"shape \(2, 3\)"),
        ({}, {"training/history.loss": np.ones(3)}, r"loss has shape \(3,\)"),
    ],
)
def test_a_wrong_checkpoint_changes_nothing(path, entries, tensors, message):
    fit(network(), checkpoint=path)
    changed(path, entries, tensors)
    net, optimizer = network(seed=3), cr.Adam()
    before = net.params.copy()
    calls = [Halve(), cr.callbacks.EarlyStopping("loss")]
    with pytest.raises(cr.ModelFileError, match=message):
        fit(net, optimizer=optimizer, callbacks=calls, checkpoint=path, resume=True)
    assert np.array_equal(net.params, before)
    assert optimizer.state(net).step == 0


def test_a_full_disk_is_a_warning_and_what_was_kept_stays(path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    class Fill(cr.Callback):
        def on_epoch_end(self, training):
            if training.epoch == 3:
                monkeypatch.setattr("os.fsync", full)

    net, twin = network(), network()
    with pytest.warns(RuntimeWarning, match=r"No space left.*after 2 epochs and 10 steps"):
        fit(net, checkpoint=cr.Checkpoint(path), callbacks=[Fill()])
    monkeypatch.undo()
    assert os.listdir(path.parent) == [path.name]
    fit(twin, checkpoint=path, resume=True)
    assert np.array_equal(net.params, twin.params)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e6, 1e9, 1e13, 1e18])
@pytest.mark.parametrize(
    "make",
    [
        lambda: cr.SGD(1e-9), lambda: cr.SGD(1.0, momentum=0.9), lambda: cr.Adam(1.0),
        lambda: cr.AdamW(1e30, weight_decay={"*.weight": 0.5}), lambda: cr.Adam(1.0, amsgrad=True),
        lambda: cr.NAdam(1e30), lambda: cr.RMSprop(1e30, momentum=0.9, centered=True),
        lambda: cr.RMSprop(1.0), lambda: cr.Adagrad(1.0), lambda: cr.Lion(1e20),
    ],
    ids=[
        "SGD", "momentum", "Adam", "AdamW", "amsgrad", "NAdam", "centered", "RMSprop", "Adagrad",
        "Lion",
    ],
)  # fmt: skip
def test_what_fit_has_written_it_can_go_on_from(path, make, scale):
    """However far numbers grow: it ends as the training in one piece does."""
    X = data()[0]
    options = {"Xy": (scale * X, scale * X[:, :5]), "loss": cr.HuberLoss(1e8)}
    ends = []
    for pieces in ([6], [2, 4, 6]):
        net = network()
        path.unlink(missing_ok=True)
        average, optimizer = cr.ExponentialMovingAverage(net, 0.5), make()
        try:
            for epochs in pieces:
                fit(net, epochs=epochs, average=average, optimizer=optimizer, **options,
                    checkpoint=cr.Checkpoint(path), resume=True)  # fmt: skip
            error = ""
        except cr.NonFiniteError as raised:
            error = str(raised)
        ends.append((error, net.params.tolist(), average.network.params.tolist()))
    assert ends[0] == ends[1]


def test_what_it_could_not_go_on_from_is_not_written(path):
    net, twin = network(), network()
    average = cr.ExponentialMovingAverage(net, 0.5)

    class Spoil(cr.Callback):
        def on_epoch_end(self, training):
            if training.epoch == 3:
                average.network.params[0] = np.nan

    with pytest.warns(RuntimeWarning, match=r"average holds NaN.*the state after 2 epochs"):
        fit(net, average=average, checkpoint=cr.Checkpoint(path), callbacks=[Spoil()])
    kept = cr.ExponentialMovingAverage(twin, 0.5)
    history = fit(twin, average=kept, checkpoint=path, resume=True)
    assert len(history.loss) == 6
    assert np.array_equal(net.params, twin.params)
    assert np.isfinite(kept.network.params).all()


class Halving(cr.SGD):
    """An optimizer of one's own, whose arguments are not its numbers."""

    def __init__(self, first):
        super().__init__(lr=first / 2, momentum=0.5)


def test_an_own_optimizer_goes_on(path):
    whole, net = network(), network()
    fit(whole, optimizer=Halving(0.1))
    fit(net, optimizer=Halving(0.1), epochs=3, checkpoint=path)
    fit(net, optimizer=Halving(0.1), checkpoint=path, resume=True)
    assert np.array_equal(net.params, whole.params)


def test_seconds_of_a_resumed_epoch_include_the_part_before(path):
    fit(network(), callbacks=[Interrupt(7)], checkpoint=path)  # in the second epoch
    changed(path, {"begun_seconds": 1000.0}, {})
    history = fit(network(), checkpoint=path, resume=True)
    assert history.seconds[1] >= 1000
    assert sum(history.seconds) - history.seconds[1] < 1000


def test_bad_arguments_and_paths_are_refused_before_the_first_step(tmp_path):
    net = network()
    before = net.params.copy()
    with pytest.raises(OSError, match="No such file"):
        fit(net, checkpoint=tmp_path / "nowhere" / "run.safetensors")
    with pytest.raises(ValueError, match="resume needs a checkpoint"):
        fit(net, resume=True)
    with pytest.raises(TypeError, match="checkpoint must be a path"):
        fit(net, checkpoint=3)
    with pytest.raises(ValueError, match="needs epochs or minutes"):
        cr.Checkpoint("a", epochs=None)
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        cr.Checkpoint("a", epochs=0)
    assert np.array_equal(net.params, before)


def everything():
    """Options that all have a state of their own."""
    X, y = data()
    return {
        "validation": (X[:20], y[:20]),
        "metrics": {"mean": lambda y, output: output.mean()},
        "callbacks": [
            cr.callbacks.EarlyStopping("validation_mean", patience=3, min_delta=0.001, mode="max"),
            cr.schedules.ReduceLROnPlateau("validation_mean", patience=0, mode="min"),
        ],
        "epochs": 12,
    }


def test_what_watches_the_validation_goes_on(path):
    whole, expected_options = network(), everything()
    expected = fit(whole, **expected_options)
    epochs = 0
    while True:
        net, options = network(seed=9) if epochs else network(), everything()
        calls = [*options.pop("callbacks"), Interrupt(7)]
        adam = cr.Adam()
        history = fit(net, optimizer=adam, callbacks=calls, checkpoint=path, resume=True, **options)
        epochs = len(history.loss)
        if not history.interrupted:
            break
    assert np.array_equal(net.params, whole.params)
    for name in ("loss", "lr", "validation_loss", "metrics"):
        assert getattr(history, name) == getattr(expected, name)
    stopping, same = expected_options["callbacks"][0], calls[0]
    assert (same.best, same.best_epoch) == (stopping.best, stopping.best_epoch)
    assert same.stopped_epoch == stopping.stopped_epoch
    assert 0 < stopping.best_epoch < stopping.stopped_epoch == len(history.loss) < 12
    # It stays stopped, says after which epoch, and has the best parameters.
    options = everything()
    again = fit(net := network(seed=5), checkpoint=path, resume=True, **options)
    assert np.array_equal(net.params, whole.params)
    assert again.loss == expected.loss
    assert options["callbacks"][0].stopped_epoch == stopping.stopped_epoch
    with pytest.raises(ValueError, match="metrics is"):
        fit(network(), checkpoint=path, resume=True, **options | {"metrics": {}})


@pytest.mark.parametrize(
    "schedule",
    [
        cr.schedules.StepLR(0.1, steps=4, gamma=0.5),
        cr.schedules.OneCycleLR(0.1, steps=30),
        cr.schedules.CosineAnnealingLR(0.1, steps=30, warmup_steps=5),
    ],
)
@pytest.mark.parametrize("every", [1, 7])
def test_a_schedule_goes_on(path, schedule, every):
    whole = network()
    expected = fit(whole, schedule=schedule)
    history = fit(network(), schedule=schedule, checkpoint=path, callbacks=[Interrupt(every)])
    while history.interrupted:
        net = network(seed=9)
        history = fit(
            net, schedule=schedule, checkpoint=path, resume=True, callbacks=[Interrupt(every)]
        )
    assert np.array_equal(net.params, whole.params)
    assert (history.loss, history.lr) == (expected.loss, expected.lr)
    with pytest.raises(ValueError, match="schedule is None, but was"):
        fit(network(), checkpoint=path, resume=True)


class Constant(cr.schedules.Schedule):
    """Its repr is Python's, with an address."""

    def rates(self, steps):
        return np.full(steps.shape, 0.01)


def test_an_own_schedule_goes_on_as_another_object(path):
    first = Constant()
    fit(network(), schedule=first, checkpoint=path, epochs=2)
    history = fit(network(), schedule=Constant(), checkpoint=path, resume=True)
    assert len(history.loss) == 6


@pytest.mark.skipif(JIT_DISABLED, reason="plain Python runs in one thread")
@pytest.mark.parametrize("threads", [(2, 2), (1, 2)])
def test_two_threads_go_on(path, threads):
    """From one as well: their number changes no bit."""
    rng = np.random.default_rng(0)
    options = {"Xy": (rng.normal(size=(600, 128)), rng.integers(0, 5, 600)), "batch_size": 256}
    layers = cr.Linear(128, 256), cr.Tanh(), cr.Linear(256, 5)
    whole = cr.Sequential(*layers, seed=0)
    with cr.threads(2):
        expected = fit(whole, **options)
    for run in range(6):
        net = cr.Sequential(*layers, seed=run)
        with cr.threads(threads[run % 2]):
            kept = {"checkpoint": path, "resume": True, "callbacks": [Interrupt(4)]}
            history = fit(net, **options, **kept)
        if not history.interrupted:
            break
    assert run > 3
    assert np.array_equal(net.params, whole.params)
    assert history.batch_loss == expected.batch_loss


def test_minutes_count_within_an_epoch_too(path, monkeypatch):
    """And a training goes on from each file that there ever was."""
    kept = []
    replace = os.replace

    def keep(*paths):
        replace(*paths)
        kept.append(path.read_bytes())

    monkeypatch.setattr("os.replace", keep)
    whole = network()
    expected = fit(whole, epochs=3, callbacks=[Halve()], checkpoint=cr.Checkpoint(path, None, 1e-9))
    monkeypatch.undo()
    steps = []
    for content in kept:
        path.write_bytes(content)
        with safe_open(path, framework="numpy") as file:
            steps.append(json.loads(file.metadata()[TRAINING])["step"])
        net = network(seed=9)
        history = fit(net, epochs=3, callbacks=[Halve()], checkpoint=path, resume=True)
        assert np.array_equal(net.params, whole.params)
        assert history.batch_loss == expected.batch_loss
    assert {0, 3, 5, 6, 9, 10, 12, 15} <= set(steps)
    assert steps == sorted(steps)


def test_decay_by_name_goes_on(path):
    decay = {"*.weight": 0.1}
    whole = network()
    fit(whole, optimizer=cr.AdamW(weight_decay=decay))
    adam = cr.AdamW(weight_decay=decay)
    fit(network(), optimizer=adam, checkpoint=path, callbacks=[Interrupt(7)])
    net, adam = network(seed=9), cr.AdamW(weight_decay=decay)
    fit(net, optimizer=adam, checkpoint=path, resume=True)
    assert np.array_equal(net.params, whole.params)
    with pytest.raises(ValueError, match="weight_decay"):
        fit(net, optimizer=cr.AdamW(weight_decay={"*": 0.1}), checkpoint=path, resume=True)


def test_a_checkpoint_from_before_freezing_goes_on(path):
    whole = network()
    fit(whole)
    fit(network(), epochs=3, checkpoint=path)
    older = read_contents(path)
    del older.training["frozen"], older.training["run"]["frozen"]
    del older.training["optimizer"]["numbers"]["lr_factors"]
    del older.training["run"]["optimizer"]["numbers"]["lr_factors"]
    write_contents(path, older)
    fit(net := network(seed=5), checkpoint=path, resume=True)
    assert np.array_equal(net.params, whole.params)


@pytest.mark.parametrize("names", ["0.weight", ["9.weight"], [1], [["0.weight"]], {"0.weight": 1}])
def test_frozen_parameters_that_there_are_not_are_refused(path, names):
    fit(network(), epochs=3, checkpoint=path)
    wrong = read_contents(path)
    wrong.training["frozen"] = names
    write_contents(path, wrong)
    before = (net := network(seed=5)).params.copy()
    with pytest.raises(cr.ModelFileError, match="it has frozen parameters"):
        fit(net, checkpoint=path, resume=True)
    assert np.array_equal(net.params, before)

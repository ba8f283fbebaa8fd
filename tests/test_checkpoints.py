"""Checkpoints: a training goes on from one bit for bit, or says why it cannot."""

import json
import os

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as as_bytes

import chainrule as cr
from chainrule.model_file import CHECKSUM, TRAINING, _checksum


def data(rows=70, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 8)), rng.integers(0, 5, rows)


def network(seed=0):
    return cr.Sequential(cr.Linear(8, 16), cr.Tanh(), cr.Linear(16, 5), seed=seed)


def fit(net, **options):
    """Five steps an epoch, the last one of six rows."""
    X, y = data()
    defaults = {"loss": cr.CrossEntropyLoss(), "epochs": 6, "batch_size": 16, "progress": False}
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


@pytest.mark.parametrize(
    ("entries", "tensors", "message"),
    [
        ({"epoch": 10**30}, {}, "epoch is too large"),
        ({"epoch": 2}, {}, "do not fit together"),
        ({"step": "3"}, {}, "step must be an integer"),
        ({"run": []}, {}, "run must be a dict"),
        ({"stopped": 1}, {}, "stopped must be true or false"),
        ({"optimizer": {"kind": "Adam", "numbers": {"lr": -1}}}, {}, "optimizer is not readable"),
        ({"callbacks": {"Nobody": {}}}, {}, "no such callback"),
        ({"callbacks": {"Halve": {"best": 1}}}, {}, "best is wrong"),
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
    with pytest.raises(cr.ModelFileError, match=message):
        fit(net, optimizer=optimizer, callbacks=[Halve()], checkpoint=path, resume=True)
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
    with pytest.warns(RuntimeWarning, match=r"No space left.*kept after 2 epochs and 10 steps"):
        fit(net, checkpoint=cr.Checkpoint(path), callbacks=[Fill()])
    monkeypatch.undo()
    assert os.listdir(path.parent) == [path.name]
    fit(twin, checkpoint=path, resume=True)
    assert np.array_equal(net.params, twin.params)


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

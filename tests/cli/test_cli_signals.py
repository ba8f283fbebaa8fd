"""Signals at any moment of a training: what was trained is saved, else the older file stays."""

import os
import signal

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli
from chainrule.cli import saved_model, train
from chainrule.training.callbacks import EarlyStopping

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
every_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
pytestmark = [pytest.mark.once, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "table.csv"
    np.savetxt(path, rng.normal(size=(60, 2)), "%.4f", ",", header="a,b", comments="")
    return path


@pytest.fixture
def model(tmp_path):
    """The place of a model, where an older file stands."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"an older file")
    return path


@pytest.fixture
def run(table, model, monkeypatch):
    """A function that trains with this callback in the place of early stopping."""

    def run(*options, **hooks):
        kind = type("Own", (EarlyStopping,), {"every": None, **hooks})
        monkeypatch.setattr(train, "EarlyStopping", kind)
        arguments = ["train", str(table), "--target", "b", "--out", str(model), "--hidden=4"]
        code = cli.main([*arguments, *options])
        for number in SIGNALS[1:]:
            assert signal.getsignal(number) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        return code

    return run


def at_epoch(epoch, *numbers):
    """Send signals after this epoch."""

    def on_epoch_end(self, training):
        EarlyStopping.on_epoch_end(self, training)
        if training.epoch == epoch:
            for number in numbers:
                signal.raise_signal(number)

    return on_epoch_end


def exit_code(number):
    return 128 + number


@every_signal
def test_once_ends_the_training_which_is_saved_and_tested(run, model, capsys, number):
    assert run(on_epoch_end=at_epoch(3, number)) == exit_code(number)
    shown = capsys.readouterr().out
    assert "Saved:" in shown
    assert "Test: R2" in shown
    saved_model.load(model)


@every_signal
@pytest.mark.parametrize("times", [2, 3])
def test_more_end_the_command_after_saving(run, model, capsys, number, times):
    assert run(on_epoch_end=at_epoch(3, *[number] * times)) == exit_code(number)
    shown = capsys.readouterr()
    assert shown.err.endswith("chainrule: interrupted\n")
    assert "Test: R2" not in shown.out
    saved_model.load(model)


@every_signal
def test_before_the_first_step_an_older_file_stays(run, model, number):
    def on_fit_begin(self, training):
        EarlyStopping.on_fit_begin(self, training)
        signal.raise_signal(number)

    assert run(on_fit_begin=on_fit_begin) == exit_code(number)
    assert model.read_bytes() == b"an older file"


@every_signal
def test_saving_is_not_interrupted(run, model, monkeypatch, number):
    def save(path, *arguments):
        for _ in range(3):
            signal.raise_signal(number)
        original(path, *arguments)
        signal.raise_signal(number)

    original = saved_model.save
    monkeypatch.setattr(saved_model, "save", save)
    assert run("--epochs=2") == exit_code(number)
    saved_model.load(model)


def test_a_program_in_the_background_ignores_ctrl_c_alone(run, model, monkeypatch, capsys):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr(signal, "default_int_handler", signal.SIG_IGN)  # what run expects
        assert run("--epochs=5", on_epoch_end=at_epoch(2, signal.SIGINT)) == 0
        assert run("--epochs=5", on_epoch_end=at_epoch(2, signal.SIGTERM)) == 143
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith("chainrule: interrupted\n")
    saved_model.load(model)


@pytest.mark.parametrize("number", SIGNALS[1:], ids=lambda number: number.name)
@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_what_is_ignored_or_handled_stays_so(run, model, number, handler):
    before = signal.signal(number, handler)
    try:
        code = cli.main(["info"])
        assert signal.getsignal(number) is handler
        signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert code == 0


def test_a_table_that_diverges_keeps_its_best_epoch(run, model, capsys):
    after = {}

    def on_epoch_end(self, training):
        EarlyStopping.on_epoch_end(self, training)
        after[training.epoch] = training.network.params.copy()
        after["best"] = after[self.best_epoch]
        if training.epoch == 4:
            training.network.params[:] = 1e30

    assert run(on_epoch_end=on_epoch_end) == 2
    shown = capsys.readouterr()
    assert "Saved:" in shown.out
    assert "not finite in epoch 5" in shown.err
    np.testing.assert_array_equal(cr.load(model).params, after["best"])


def test_a_training_that_diverges_at_once_leaves_an_older_file(run, model):
    assert run("--lr", "1e30") == 2
    assert model.read_bytes() == b"an older file"

"""Callbacks that write files: on a full disk, where they cannot write, in a second training."""

import csv
import json
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.training.callbacks.file_callback import FileCallback

pytestmark = pytest.mark.once

resource = pytest.importorskip("resource", reason="limits of a process are POSIX")

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
EPOCHS = 9


def rows_of_csv(folder):
    with open(folder / "log", newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def rows_of_jsonl(folder):
    return [json.loads(line)["epoch"] for line in (folder / "log").read_text().splitlines()]


def rows_of_events(folder):
    from tensorboardX.proto.event_pb2 import Event

    epochs = set()
    for path in sorted((folder / "log").iterdir()):
        content = path.read_bytes()
        while content:  # each record: its length, a checksum, an event, a checksum
            size = int.from_bytes(content[:8], "little")
            if len(content) < size + 16:
                break  # a part of a record; readers go on with the next file
            event = Event.FromString(content[12 : 12 + size])
            epochs |= {event.step for value in event.summary.value if value.tag == "loss"}
            content = content[size + 16 :]
    return sorted(epochs)


def saved_epochs(folder):
    return sorted(int(path.name) for path in (folder / "log").iterdir())


def tensorboard(folder):
    pytest.importorskip("tensorboardX")
    return cr.callbacks.TensorBoard(folder / "log")


WRITERS = {  # how to make it, which epochs it has written, and those it keeps for later
    "CSVLogger": (lambda folder: cr.callbacks.CSVLogger(folder / "log"), rows_of_csv, True),
    "JSONLLogger": (lambda folder: cr.callbacks.JSONLLogger(folder / "log"), rows_of_jsonl, True),
    "TensorBoard": (tensorboard, rows_of_events, True),
    "ModelCheckpoint": (
        lambda folder: cr.callbacks.ModelCheckpoint(folder / "log" / "{epoch}", best_only=False),
        saved_epochs,
        False,
    ),
}
each = pytest.mark.parametrize("kind", WRITERS)


def train(*callbacks, epochs=EPOCHS, **options):
    net = cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, 3), seed=0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        history = cr.fit(
            net, X, Y, loss=cr.CrossEntropyLoss(), epochs=epochs, validation=(X, Y),
            progress=False, callbacks=callbacks, **options,
        )  # fmt: skip
    finally:  # before pytest itself writes, maybe into a file
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    return net, history


class FullDisk(cr.Callback):
    """Lets no file grow beyond ``most`` bytes from the end of one epoch to that of another."""

    def __init__(self, first, last, most=0):
        self.first, self.last, self.most = first, last, most
        self.limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_epoch_end(self, training):
        if training.epoch == self.first:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.most, self.limits[1]))
        if training.epoch == self.last + 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)


def test_there_is_a_writer_of_each_kind():
    kinds = {name: getattr(cr.callbacks, name) for name in cr.callbacks.__all__}
    writers = {
        name
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, FileCallback)
    }
    assert writers == {*WRITERS, "MLflow"}  # its tests are in test_tracking.py


@each
@pytest.mark.parametrize(("first", "last"), [(1, 1), (3, 5), (4, EPOCHS), (EPOCHS, EPOCHS)])
def test_a_full_disk_is_one_warning_and_the_training_goes_on(kind, first, last, tmp_path):
    make, written, keeps = WRITERS[kind]
    expected, _ = train()
    writer = make(tmp_path)
    with pytest.warns(RuntimeWarning, match=f"{kind}.* could not write: .*File too large") as said:
        net, history = train(FullDisk(first, last), writer)
    assert len(said) == 1
    assert len(history.loss) == EPOCHS
    assert np.array_equal(net.params, expected.params)
    missing = set(range(first, last + 1)) if not keeps or last == EPOCHS else set()
    assert written(tmp_path) == sorted(set(range(1, EPOCHS + 1)) - missing)


@pytest.mark.parametrize("kind", ["CSVLogger", "JSONLLogger"])
@pytest.mark.parametrize("room", [0, 1, 20])
def test_a_line_that_has_found_room_for_a_part_is_finished_later(kind, room, tmp_path):
    make, written, _ = WRITERS[kind]
    train(make(tmp_path), epochs=3)
    lines = (tmp_path / "log").read_text().splitlines(keepends=True)
    most = len("".join(lines[:-1])) + room
    with pytest.warns(RuntimeWarning, match="could not write"):
        train(FullDisk(1, 4, most), make(tmp_path))
    assert written(tmp_path) == list(range(1, EPOCHS + 1))


def test_events_go_on_in_a_new_file_after_one_that_may_end_in_a_part(tmp_path):
    with pytest.warns(RuntimeWarning, match="could not write"):
        train(FullDisk(3, 4), tensorboard(tmp_path))
    assert len(list((tmp_path / "log").iterdir())) > 1


def test_what_could_not_be_saved_is_not_the_best(tmp_path):
    figures = iter([5.0, 1.0, 2.0, 3.0])
    saving = cr.callbacks.ModelCheckpoint(tmp_path / "best-{epoch}", "validation_error")
    with pytest.warns(RuntimeWarning, match="could not write"):
        train(FullDisk(2, 2), saving, epochs=4, metrics={"error": lambda y, output: next(figures)})
    assert (saving.best, saving.best_path) == (2.0, str(tmp_path / "best-3"))


@each
def test_each_training_has_its_own_warning(kind, tmp_path):
    make, written, _ = WRITERS[kind]
    writer = make(tmp_path)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="could not write"):
            train(FullDisk(1, 1), writer, epochs=3)
        assert written(tmp_path)[-1] == 3


@each
def test_what_cannot_be_written_at_all_is_an_error_before_the_first_step(kind, tmp_path):
    make, _, _ = WRITERS[kind]
    steps = []

    class Step(cr.Callback):
        every = 1

        def on_steps(self, training):
            steps.append(training.step)

    (tmp_path / "log").touch()  # a file where a folder should be
    with pytest.raises(OSError, match=r"File exists|Not a directory|nowhere"):
        train(Step(), make(tmp_path / "log" / "nowhere"))
    assert not steps


@each
def test_a_training_that_does_not_begin_leaves_older_files_as_they_are(kind, tmp_path):
    make, _, _ = WRITERS[kind]
    train(make(tmp_path), epochs=2)

    def content():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = content()
    with pytest.raises(ValueError, match="val_loss"):
        train(make(tmp_path), cr.callbacks.EarlyStopping("val_loss"))
    assert before.items() <= content().items()


@each
def test_what_a_signals_handler_raises_while_it_writes_comes_out(kind, tmp_path, monkeypatch):
    make, _, _ = WRITERS[kind]
    writer = make(tmp_path)

    def interrupted(*arguments):
        monkeypatch.undo()
        raise TimeoutError("an alarm")

    class Alarm(cr.Callback):
        def on_epoch_end(self, training):
            if training.epoch == 2:
                monkeypatch.setattr(
                    writer, "_save" if hasattr(writer, "_save") else "_write", interrupted
                )

    with pytest.raises(TimeoutError, match="an alarm"):
        train(Alarm(), writer)


def test_two_trainings_with_the_same_events_folder_keep_both(tmp_path):
    pytest.importorskip("tensorboardX")
    writer = cr.callbacks.TensorBoard(tmp_path / "log")
    train(writer, epochs=2)
    train(writer, epochs=4)  # within the same second
    assert len(list((tmp_path / "log").iterdir())) == 2


# The best of several trainings


@pytest.mark.parametrize(("monitor", "figures"), [("figure_error", 1), ("figure_score", -1)])
def test_the_same_model_checkpoint_in_another_training_keeps_what_is_better(
    monitor, figures, tmp_path
):
    saving = cr.callbacks.ModelCheckpoint(tmp_path / "best", f"validation_{monitor}")
    kept = []
    for values in ([5.0, 3.0, 4.0], [2055.0, 9.0, 3.5], [7.0, 2.0, 1.0]):
        given = iter(values)
        train(
            saving,
            epochs=3,
            metrics={monitor: lambda y, output, given=given: figures * next(given)},
        )
        kept.append((figures * saving.best, cr.load(tmp_path / "best").params))
    assert [best for best, _ in kept] == [3.0, 3.0, 1.0]
    assert np.array_equal(kept[0][1], kept[1][1])
    assert not np.array_equal(kept[0][1], kept[2][1])  # it is another epoch's
    assert saving.best_path == str(tmp_path / "best")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_model_checkpoint_follows_a_link_as_save_does(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "best").symlink_to(tmp_path / "real" / "model")
    train(cr.callbacks.ModelCheckpoint(tmp_path / "best", "loss"), epochs=1)
    assert cr.load(tmp_path / "real" / "model")
    deep = tmp_path / "a" / "{epoch}" / "net-{loss:.1f}"
    train(cr.callbacks.ModelCheckpoint(deep, "loss", best_only=False), epochs=2)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["1", "2"]

"""A trained model, or a page, is kept whatever becomes of what a command prints."""

import csv
import json
import os
import shutil
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import info, main, saved_model, train
from chainrule.models import saving
from chainrule.training.callbacks import EarlyStopping

pytestmark = pytest.mark.once

ROWS = 40


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "kind"])
        writer.writerows(
            [[f"{rng.normal():.3f}", "naïve" if i % 2 else "日本"] for i in range(ROWS)]
        )
    return path


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return open(writer, "w", encoding="utf-8")


def full_disk():
    return open("/dev/full", "w", encoding="utf-8")


def ascii_only():
    return open(os.devnull, "w", encoding="ascii")


OUTPUTS = [
    (closed_pipe, 0),
    pytest.param(
        full_disk, 2, marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's")
    ),
    (ascii_only, 0),
]


@pytest.mark.parametrize(("output", "code"), OUTPUTS)
def test_explain_keeps_the_page_that_it_names(monkeypatch, tmp_path, output, code):
    monkeypatch.chdir(tmp_path)
    with output() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["explain", "--epochs=1"]) == code
    assert (tmp_path / "chain.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


@pytest.mark.parametrize(("output", "code"), OUTPUTS)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_train_keeps_the_model(monkeypatch, tmp_path, table, output, code, options):
    model = tmp_path / "model.safetensors"
    with output() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        arguments = ["train", str(table), "--target", "kind", "--epochs", "1", *options]
        assert main([*arguments, "--out", str(model)]) == code
    assert isinstance(cr.load(model), cr.Sequential)


@pytest.mark.parametrize(("output", "code"), OUTPUTS)
def test_explain_keeps_the_page(monkeypatch, tmp_path, table, output, code):
    model, page = tmp_path / "model.safetensors", tmp_path / "page.html"
    assert main(["train", str(table), "--target=kind", "--epochs=1", "--out", str(model)]) == 0
    with output() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["explain", str(model), str(table), "--html", str(page)]) == code
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_test_that_ends_early_leaves_the_model(monkeypatch, tmp_path, table, error):
    def interrupted(*arguments):
        raise error

    monkeypatch.setattr(train, "_test", interrupted)
    model = tmp_path / "model.safetensors"
    code = main(["train", str(table), "--target", "kind", "--epochs", "1", "--out", str(model)])
    assert code == (130 if error is KeyboardInterrupt else 2)
    assert isinstance(cr.load(model), cr.Sequential)


@pytest.mark.parametrize(("mean", "scale"), [(2_459_000.5, 0.3), (0.0, 1e-6), (-3e9, 2e4), (5, 1)])
def test_predictions_have_the_digits_of_the_target(tmp_path, capsys, mean, scale):
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    target = mean + scale * a
    path, model, out = (tmp_path / name for name in ("table.csv", "model.safetensors", "out.csv"))
    rows = [f"{x!r},{y!r}" for x, y in zip(a.tolist(), target.tolist(), strict=True)]
    path.write_text("\n".join(["a,when", *rows]))
    assert main(["train", str(path), "--target", "when", "--epochs=60", "--out", str(model)]) == 0
    assert main(["predict", str(model), str(path), "--out", str(out)]) == 0
    predicted = np.array([float(line) for line in out.read_text().splitlines()[1:]])
    assert cr.metrics.r2_score(target - mean, predicted - mean) > 0.98
    assert main(["predict", str(model), str(path), "--json"]) == 0
    text = capsys.readouterr().out.splitlines()[-1]
    exact = np.array(json.loads(text)["predictions"])
    assert np.abs(predicted - exact).max() <= 1e-8 * scale + np.spacing(np.abs(exact).max())


def commands(model, table, out, page):
    """All commands that write a file, and what they read."""
    train = ["train", table, "--target", "kind", "--epochs", "1", "--out", out]
    predict, explain = ["predict", model, table, "--out", out], ["explain", model, table]
    return [
        (train, [table]),
        (["train", "--data", table, "--out", out], [table]),
        (predict, [model, table]),
        ([*explain, "--html", page], [model, table]),
        (["explain", "--data", table, "--html", page], [table]),
    ]


COMMANDS = range(len(commands(*[None] * 4)))


@pytest.fixture
def saved(tmp_path, table):
    model = tmp_path / "saved.safetensors"
    assert main(["train", str(table), "--target=kind", "--epochs=1", "--out", str(model)]) == 0
    return model


@pytest.fixture
def at_work(monkeypatch):
    """Fails where a command begins to compute."""

    def work(*arguments, **options):
        raise AssertionError("This should have been refused before.")

    for name in ("fit", "explain"):
        monkeypatch.setattr(cr, name, work)
    monkeypatch.setattr(saving, "read_contents", work)
    monkeypatch.setattr(cr.datasets, "load", work)


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_that_is_read_is_written_over(saved, table, capsys, at_work, command):
    sources = commands(saved, table, None, None)[command][1]
    for source in sources:
        content = source.read_bytes()
        link = source.with_name("link")
        link.symlink_to(source)
        for place in (source, link, source.parent / "." / ".." / source.parent.name / source.name):
            arguments = commands(saved, table, place, place)[command][0]
            assert main([str(argument) for argument in arguments]) == 2
            assert "is read by this command; write to another file" in capsys.readouterr().err
        assert source.read_bytes() == content
        link.unlink()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("", "is a folder"),
        ("none/model", "There is no folder for"),
        ("table.csv/model", "There is no folder for"),
        ("loop", "loop"),
        ("x" * 300, "File name too long"),
        pytest.param(
            "/proc/model",
            "cannot be written",
            marks=pytest.mark.skipif(not os.path.exists("/proc/self"), reason="Linux's"),
        ),
    ],
)
def test_what_cannot_be_written_is_found_first(
    saved, table, tmp_path, capsys, at_work, command, place, message
):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = sorted(path.name for path in tmp_path.iterdir())
    path = tmp_path / place
    arguments = commands(saved, table, path, path)[command][0]
    assert main([str(argument) for argument in arguments]) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(("output", "code"), OUTPUTS)
@pytest.mark.parametrize("arguments", [["info"], ["info", "--json"], ["--version"], ["--help"]])
def test_what_is_only_printed(monkeypatch, output, code, arguments):
    with output() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        try:
            assert main(arguments) == code
        except SystemExit as end:  # argparse's, of its help
            assert end.code == code == 0  # noqa: PT017 - or main returns


@pytest.mark.parametrize("output", [closed_pipe, full_disk, ascii_only])
def test_messages_that_nobody_reads_keep_no_report_back(monkeypatch, capsys, table, output):
    if output is full_disk and not os.path.exists("/dev/full"):
        pytest.skip("Linux's")
    with output() as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(["train", str(table), "--target=kind", "--epochs=1", "--json"]) == 0
        assert main(["predict", "none.safetensors", "none.csv"]) == 2
    assert json.loads(capsys.readouterr().out)["epochs"] == 1


def test_data_is_never_escaped(monkeypatch, capsys, saved, table, tmp_path):
    names = {"naïve", "日本"}
    with (tmp_path / "printed.csv").open("w+", encoding="latin-1") as stream:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", stream)
            code = main(["predict", str(saved), str(table), "--probabilities"])
        stream.seek(0)
        assert (code, stream.read()) == (2, "")
    assert "which has no '\\u65e5'; write to a file with --out" in capsys.readouterr().err
    out = tmp_path / "out.csv"
    with ascii_only() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["predict", str(saved), str(table), "--probabilities", "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8").splitlines()[0] == ",".join(
        f"kind={name}" for name in sorted(names)
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's")
def test_a_full_disk_under_the_file_itself(saved, table, capsys):
    for arguments, _ in commands(saved, table, "/dev/full", "/dev/full"):
        if "--data" not in arguments:
            assert main([str(argument) for argument in arguments]) == 2
            error = capsys.readouterr().err
            assert "No space left on device" in error
            if arguments[0] == "train":
                elsewhere = error.strip().rpartition("the trained model is in ")[2]
                assert isinstance(cr.load(elsewhere), cr.Sequential)
                shutil.rmtree(os.path.dirname(elsewhere))


def test_probabilities_are_those_that_json_has(saved, table, tmp_path, capsys):
    arguments = ["predict", str(saved), str(table), "--probabilities"]
    assert main(arguments) == 0
    _, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [[float(cell) for cell in row] for row in rows] == report["probabilities"]
    for row, name in zip(rows, report["predictions"], strict=True):
        assert report["classes"][np.argmax([float(cell) for cell in row])] == name


def test_a_prediction_that_is_not_finite_is_refused_by_its_line(saved, tmp_path, capsys):
    net = cr.load(saved)
    net.params[:] = np.where(net.params < 0, -1e30, 1e30)
    net.save(saved, metadata=cr.load_metadata(saved))
    far = tmp_path / "far.csv"
    far.write_text("a\n0\n1e30\n")
    assert main(["predict", str(saved), str(far)]) == 2
    assert "far.csv, line 2: the network's output is not finite" in capsys.readouterr().err


def test_json_has_no_nan(monkeypatch, capsys):
    report = {"loss": float("nan"), "lists": [[float("inf"), 1.5, "nan"]], "count": 3}
    monkeypatch.setattr(info, "_run", lambda options: report)
    assert main(["info", "--json"]) == 0
    assert capsys.readouterr().out == '{"loss": null, "lists": [[null, 1.5, "nan"]], "count": 3}\n'


def test_a_folder_that_goes_away_while_it_trains(monkeypatch, tmp_path, table, capsys):
    class Removing(EarlyStopping):
        def on_epoch_end(self, training):
            super().on_epoch_end(training)
            shutil.rmtree(folder)
            training.stop()

    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(train, "EarlyStopping", Removing)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    arguments = ["train", str(table), "--target", "kind", "--out", str(folder / "model")]
    assert main(arguments) == 2
    elsewhere = capsys.readouterr().err.strip().rpartition("the trained model is in ")[2]
    assert saved_model.load(elsewhere)[1].target.name == "kind"


def test_a_model_is_read_once(monkeypatch, saved, table):
    """Else another process may replace it between its network and its columns."""
    reads = []

    def read(path):
        reads.append(path)
        return original(path)

    original = saving.read_contents
    monkeypatch.setattr(saving, "read_contents", read)
    for command in ("predict", "explain"):
        assert main([command, str(saved), str(table)]) == 0
        assert len(reads) == 1
        reads.clear()


@pytest.mark.parametrize(("output", "code"), OUTPUTS[:2])
def test_nothing_is_trained_for_nobody(monkeypatch, at_work, table, output, code):
    with output() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["train", str(table), "--target", "kind"]) == code


def test_names_and_paths_are_shown_as_they_are(tmp_path, capsys):
    """They are no markup, and stand for no emoji."""
    columns, classes = ["[red]a[/red]", "[/b]", ":cat:"], ["[bold]", ":dog:"]
    rows = [f"{i},{i % 3},{i % 5},{classes[i % 2]}" for i in range(ROWS)]
    path, model = tmp_path / "table.csv", tmp_path / "[b]model.safetensors"
    page, network = tmp_path / "[i]page.html", tmp_path / "network.safetensors"
    path.write_text("\n".join([",".join([*columns, "kind"]), *rows]))
    assert main(["train", str(path), "--target=kind", "--epochs=1", "--out", str(model)]) == 0
    assert main(["explain", str(model), str(path), "--html", str(page)]) == 0
    cr.Sequential(cr.Linear(64, 10, name="[/H]"), seed=0).save(network)
    assert main(["explain", str(network)]) == 0
    shown = "".join(capsys.readouterr().out.split())  # lines are broken anywhere
    for text in (*columns, *classes, model.name, page.name, "[/H]"):
        assert text in shown

"""A trained model, or a page, is kept whatever becomes of what a command prints."""

import csv
import json
import os
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import main, train

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
    assert cr.metrics.r2_score(predicted - mean, target - mean) > 0.98
    assert main(["predict", str(model), str(path), "--json"]) == 0
    text = capsys.readouterr().out.splitlines()[-1]
    exact = np.array(json.loads(text)["predictions"])
    assert np.abs(predicted - exact).max() <= 1e-8 * scale + np.spacing(np.abs(exact).max())

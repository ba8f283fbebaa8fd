"""Images on the command line: trained on, predicted for, and explained."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli
from chainrule.cli import array_encoding, arrays, images, network, saved_model
from chainrule.datasets.npz import FileArray
from chainrule.kernels.jit import JIT_DISABLED

pytestmark = pytest.mark.once

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist_5k.npz"
QUICK = ["--epochs", "3", "--hidden", "16"]
DIGITS, LABELS = cr.datasets.load_digits()  # from 0 to 1 in steps of a 16th
DIGITS = DIGITS[:300].reshape(-1, 8, 8)
LABELS = LABELS[:300]


@pytest.fixture
def save(tmp_path):
    """A function that writes arrays to an .npz file and returns its path."""

    def write(name="images.npz", **arrays):
        path = tmp_path / name
        np.savez(path, **arrays)
        return path

    return write


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def test_images(capsys, save):
    path = save(images=(255 * DIGITS).astype(np.uint8), labels=LABELS)
    assert run("train", "--data", path, "--activation", "tanh", *QUICK) == 0
    shown = capsys.readouterr().out
    assert "of 60 rows" in shown
    assert "300 images of" in shown
    assert "8 by 8 pixels, 1 channel, of 10 classes" in " ".join(shown.split())
    assert re.search(r"0 +Rescale\(scale=0\.0039.*\n1 +Conv2d\(", shown)


OF_ANY_KIND = {
    "pixels": (255 * DIGITS).astype(np.uint8),
    "few values": (16 * DIGITS).astype(np.uint8),
    "a mask": (DIGITS > 0.4).astype(np.uint8),
    "booleans": DIGITS > 0.4,
    "int64": (255 * DIGITS).astype(np.int64),
    "uint16": (65535 * DIGITS).astype(np.uint16),
    "from 0 to 1": DIGITS,
    "float64 from 0 to 255": 255.0 * DIGITS,
    "around 0": 2 * DIGITS - 1,
    "float16": DIGITS.astype(np.float16),
    "far from 0": 1000 + 20 * DIGITS,
    "rows of pixels": (255 * DIGITS).astype(np.uint8).reshape(-1, 64),
    "rows of numbers": (1000 + 20 * DIGITS).reshape(-1, 64) * np.arange(1, 65),
    "rows of integers": (1000 * DIGITS).astype(np.int32).reshape(-1, 64) * np.arange(1, 65),
    "rows far from 0": 1e6 + DIGITS.reshape(-1, 64),
    "channels first": np.stack([DIGITS, DIGITS > 0.4, 1 - DIGITS], axis=1),
    "too small": DIGITS[:, 1:],
}


@pytest.mark.parametrize("kind", OF_ANY_KIND)
def test_a_saved_model_takes_images_as_they_are_in_the_file(capsys, save, tmp_path, kind):
    """The accuracy is that of the training, from Python and from the command line."""
    X, model = OF_ANY_KIND[kind], tmp_path / "model.safetensors"
    path = save(images=X, labels=LABELS + 3)
    options = ["--epochs", "15", "--out", model, "--json"]
    assert run("train", "--data", path, *options) == 0
    report = json.loads(capsys.readouterr().out)
    assert run("predict", model, path, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["notes"] == report["notes"]
    predicted = np.array(shown["predictions"])
    test, _, _ = network.split(len(X), 0, LABELS)
    right = predicted == LABELS + 3
    assert report["test"]["accuracy"] == np.mean(right[test]) > 0.75
    X, _ = arrays.arrange(FileArray("images", X, path))
    output = cr.load(model).predict(X)
    np.testing.assert_array_equal(output.argmax(axis=1) + 3, predicted)


def test_predictions_and_explanations(capsys, save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = np.array(["zero", "one", "two, too", *"3456789"])
    pixels = (255 * DIGITS).astype(np.uint8)
    path, model = save(x_train=pixels, y_train=names[LABELS]), "model.safetensors"
    assert run("train", "--data", path, "--out", model, *QUICK) == 0
    assert "zero" in capsys.readouterr().out
    new = save("new.npz", images=pixels[:20])  # no labels
    assert run("predict", model, new, "--out", "new.csv") == 0
    assert capsys.readouterr().out == ""
    header, *lines = Path("new.csv").read_text().splitlines()
    assert header == "label"
    assert {line.strip('"') for line in lines} <= set(names)
    assert run("predict", model, new, "--probabilities", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["classes"] == sorted(names)
    np.testing.assert_allclose(np.sum(report["probabilities"], axis=1), 1)
    best = np.argmax(report["probabilities"], axis=1)
    assert [report["classes"][i] for i in best] == [line.strip('"') for line in lines]
    assert report["predictions"] == [line.strip('"') for line in lines]

    assert run("explain", model, path, "--html", "page.html") == 0
    shown = capsys.readouterr().out
    assert f"Row 1: label is {names[LABELS[0]]}, predicted {lines[0]}" in shown
    assert '"rows":8' in Path("page.html").read_text(encoding="utf-8")
    assert run("explain", model, "--data", path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["predictions"] == report["predictions"][:1]


def test_a_model_of_the_digits_that_come_with_the_package(capsys, save, tmp_path):
    model = tmp_path / "digits.safetensors"
    assert run("train", "--out", model, *QUICK) == 0
    assert run("explain", model) == 0  # without a file, of these digits
    rows = save(X=DIGITS.reshape(-1, 64), y=LABELS)
    assert run("predict", model, rows) == 0
    table = tmp_path / "digits.csv"
    np.savetxt(table, np.column_stack([DIGITS.reshape(-1, 64), LABELS]), delimiter=",")
    capsys.readouterr()
    assert run("predict", model, table) == 0
    assert len(capsys.readouterr().out.splitlines()) == 301


@pytest.mark.parametrize(
    ("shape", "read", "note"),
    [
        ((4, 9, 8), (4, 9, 8, 1), ""),
        ((4, 128, 9), (4, 128, 9, 1), "Arrays of 128 by 9 are read as grey images. If they are"),
        ((4, 9, 8, 3), (4, 9, 8, 3), ""),
        ((4, 3, 9, 8), (4, 9, 8, 3), "The images have 3 channels first"),
        ((4, 1, 9, 8), (4, 9, 8, 1), "The images have 1 channel first"),
        ((4, 9, 7), (4, 63), "Each array of 9 by 7 becomes a row of 63 numbers, without conv"),
        ((4, 9, 8, 5), (4, 360), "Each array of 9 by 8 by 5"),
        ((4, 30), (4, 30), ""),
    ],
)
def test_which_arrays_are_images(shape, read, note):
    numbers = np.random.default_rng(0).uniform(size=shape).astype("f4")
    X, said = arrays.arrange(FileArray("images", numbers, "some.npz"))
    assert X.shape == read
    assert "".join(said).startswith(note)
    assert len(said) == bool(note)
    expected = numbers.transpose(0, 2, 3, 1) if " first" in note else numbers
    np.testing.assert_array_equal(X, expected.reshape(read))


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (9, 300, 4), (224, 224, 3)])
def test_networks_for_images_of_any_size_are_small(shape):
    layers, features = images.convolutions(shape, cr.ReLU)
    net = cr.Sequential(*layers, seed=0)
    assert net.output_shapes(shape) == ((features,),)
    assert features <= 64 * 7 * 7 or min(shape[:2]) < 16
    assert net.params.size < 200_000


def test_what_is_changed_is_said(capsys, save, tmp_path):
    model = tmp_path / "model.safetensors"
    first = save(images=np.stack([DIGITS] * 3, axis=1), labels=LABELS)
    assert run("train", "--data", first, "--out", model, *QUICK) == 0
    assert "The images have 3 channels first, as in PyTorch;" in capsys.readouterr().out
    assert run("predict", model, first) == 0
    assert "The images have 3 channels first" in capsys.readouterr().err
    signals = save("signals.npz", images=DIGITS[:, :4], labels=LABELS)
    assert run("train", "--data", signals, *QUICK) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Each array of 4 by 8 becomes a row of 32 numbers, without convolutions" in shown


IMAGES, CLASSES = np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2
BAD = np.where(np.arange(64).reshape(8, 8) == 9, np.nan, IMAGES)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES}, r"labels missing among its arrays \(images\); np\.savez\(.*\) writes"),
        ({"A": IMAGES, "b": CLASSES}, r"images and labels missing among its arrays \(A, b\); np\."),
        ({"images": IMAGES, "labels": CLASSES[1:]}, r"must have shape \(20,\), one label an image"),
        ({"images": IMAGES, "labels": CLASSES[:, None]}, r"labels\.ravel\(\) has one axis\."),
        ({"images": IMAGES, "labels": np.eye(2)[CLASSES]}, r"labels\.argmax\(axis=1\) has the"),
        ({"images": IMAGES, "labels": CLASSES / 2}, r"labels\.astype\(int\) makes integers of"),
        ({"images": IMAGES, "labels": CLASSES.astype("S1")}, r"labels\.astype\(str\) makes text"),
        ({"images": IMAGES, "labels": np.array(["a", "b\udcff"])[CLASSES]}, r"cannot be written"),
        ({"images": IMAGES[:0], "labels": CLASSES[:0]}, r"none of it 0, but their shape is \(0, 8"),
        ({"images": IMAGES, "labels": CLASSES * 0}, r"All labels are 0; a classifier needs two"),
        ({"images": IMAGES, "labels": np.arange(20) % 2 + 0j}, r"must be text, or integers"),
        ({"images": BAD, "labels": CLASSES}, r"images\.npz: images must be .*\[0, 1, 1\] is nan"),
        ({"images": IMAGES - 1.5, "labels": CLASSES}, r"All numbers of the training data are the"),
        (
            {"images": IMAGES, "labels": CLASSES},
            r"All numbers of the training data are the same: 0",
        ),
        ({"images": IMAGES * 1j, "labels": CLASSES}, r"must be real numbers, .* is complex128"),
    ],
)
def test_wrong_images_write_nothing(capsys, save, tmp_path, arrays, message):
    path, model = save(**arrays), tmp_path / "model.safetensors"
    assert run("train", "--data", path, "--out", model, *QUICK) == 2
    assert re.search(message, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_files_for_a_model(capsys, save, tmp_path):
    model, table = tmp_path / "model.safetensors", tmp_path / "table.csv"
    of_table, plain = tmp_path / "of_table.safetensors", tmp_path / "plain.safetensors"
    path = save(images=DIGITS, labels=LABELS)
    junk = tmp_path / "junk.npz"
    junk.write_bytes(b"no archive")
    table.write_text("a,b\n" + "1,2\n3,5\n" * 10)
    cr.Sequential(cr.Linear(2, 2)).save(plain)
    for options in (["--data", path, "--out", model], [table, "--target=b", "--out", of_table]):
        assert run("train", *options, *QUICK) == 0

    def refused(message, *arguments):
        capsys.readouterr()
        assert run(*arguments) == 2
        error = " ".join(capsys.readouterr().err.split())
        assert re.search(message, error), error

    larger = save("larger.npz", images=np.zeros((3, 9, 9)), labels=[0, 1, 2])
    strange = save("strange.npz", images=DIGITS[:3], labels=[0, 1, 11])
    refused(r"holds arrays, no table: chainrule train --data", "train", path)
    refused(r"it is no zip archive", "train", "--data", junk)
    for command in ("predict", "explain"):
        refused(
            r"\(n, 8, 8, 1\) for this model, but their shape is \(3, 9, 9\)", command, model, larger
        )
        refused(r"is a model of images; it takes an \.npz file, not", command, model, table)
        refused(r"is a model of a table; it takes a \.csv file, not", command, of_table, path)
        refused(r"is no model of chainrule train", command, plain, path)
    refused(r"labels\[2\] in .* is 11, which is no class of the model", "explain", model, strange)
    refused(r"is a model of images: chainrule explain .* FILE\.npz", "explain", model)
    refused(r"--rows is 400, but .* has only 300 rows", "explain", model, path, "--rows=400")
    refused(r"--data is for a new network", "explain", model, path, "--data", path)
    refused(r"is read by this command", "predict", model, path, "--out", path)


def test_another_scale_is_noted(capsys, save, tmp_path):
    model = tmp_path / "model.safetensors"
    pixels = save(images=(255 * DIGITS).astype(np.uint8), labels=LABELS)
    assert run("train", "--data", pixels, "--out", model, *QUICK) == 0
    floats = save("floats.npz", images=DIGITS, labels=LABELS)
    for command in ("predict", "explain"):
        capsys.readouterr()
        assert run(command, model, floats, "--json") == 0
        captured = capsys.readouterr()
        message = "are at most 1 in size, but those of the training were at most 255"
        assert message in " ".join(captured.err.split())
        assert message in json.loads(captured.out)["notes"][0]


def test_a_network_of_ones_own_is_given_the_numbers_of_the_file(capsys, save, tmp_path):
    rows = 1000 * DIGITS.reshape(-1, 64)
    path, model = save(X=rows, y=LABELS), tmp_path / "own.safetensors"
    net = cr.Sequential(cr.Linear(64, 10), seed=0)
    net.save(model)
    assert run("explain", model, "--data", path, "--json") == 0
    test, _, _ = network.split(len(rows), 0, LABELS)
    loss, _ = cr.CrossEntropyLoss()(net.predict(rows[test[:1]]), LABELS[test[:1]])
    assert json.loads(capsys.readouterr().out)["loss"] == pytest.approx(loss, rel=1e-5)


def test_rows_of_a_csv_file_need_no_labels(capsys, tmp_path):
    table, model = tmp_path / "rows.csv", tmp_path / "model.safetensors"
    rows = (100 * DIGITS).reshape(-1, 64)
    np.savetxt(table, np.column_stack([rows, LABELS]), "%.6g", ",")
    assert run("train", "--data", table, "--out", model, *QUICK) == 0
    shown = []
    for width in (65, 64, 63):
        np.savetxt(table, np.column_stack([rows, LABELS])[:, :width], "%.6g", ",")
        capsys.readouterr()
        code = run("predict", model, table)
        captured = capsys.readouterr()
        if width > 63:
            assert code == 0
            shown.append(captured.out)
    assert code == 2
    assert "must have 64 columns, or one more with labels, but it has 63" in captured.err
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        None,
        {"shape": [8, 8, 1]},
        {"shape": [8, 8, "1"], "classes": [0, 1], "largest": 1.0},
        {"shape": [8, 8, -1], "classes": [0, 1], "largest": 1.0},
        {"shape": [], "classes": [0, 1], "largest": 1.0},
        {"shape": [4], "classes": [0], "largest": 1.0},
        {"shape": [4], "classes": [0, 0], "largest": 1.0},
        {"shape": [4], "classes": [0, "1"], "largest": 1.0},
        {"shape": [4], "classes": [0, True], "largest": 1.0},
        {"shape": [4], "classes": [[0], [1]], "largest": 1.0},
        {"shape": [4], "classes": [0, 1]},
        {"shape": [4], "classes": [0, 1], "largest": "1"},
        {"shape": [4], "classes": [0, 1], "largest": -1.0},
        {"shape": [5], "classes": [0, 1], "largest": 1.0},  # the network has 4 inputs
        {"shape": [4], "classes": [0, 1, 2], "largest": 1.0},
    ],
)
def test_damaged_metadata(tmp_path, damaged):
    path = tmp_path / "model.safetensors"
    net = cr.Sequential(cr.Linear(4, 2), seed=0)
    encoding = array_encoding.ArrayEncoding((4,), (0, 1), 1.0)
    saved_model.save(path, net, encoding)
    assert saved_model.load(path)[1] == encoding
    net.save(path, metadata={"arrays": damaged})
    with pytest.raises(cr.ModelFileError, match=r"model\.safetensors"):
        saved_model.load(path)


@pytest.mark.skipif(not MNIST.exists(), reason="this data is not part of the project")
@pytest.mark.skipif(JIT_DISABLED, reason="takes minutes")
def test_mnist(capsys):
    options = ["--epochs", "15", "--batch-size", "64", "--lr", "2e-3"]
    assert run("train", "--data", MNIST, *options) == 0
    shown = capsys.readouterr().out
    assert float(re.search(r"Test accuracy: ([\d.]+)%", shown)[1]) > 90

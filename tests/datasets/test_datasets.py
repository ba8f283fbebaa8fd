import gzip
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from chainrule import datasets

pytestmark = pytest.mark.once

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist_5k.npz"

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
LABELS = np.array([4, 1], np.uint8)


@pytest.fixture
def save(tmp_path):
    """A function that writes arrays to an .npz file and returns its path."""

    def write(**arrays):
        path = tmp_path / "images.npz"
        np.savez_compressed(path, **arrays)
        return path

    return write


@pytest.fixture
def write(tmp_path):
    """A function that writes text to a .csv file and returns its path."""

    def write(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def check_form(X, y, shape):
    assert X.shape == shape
    assert y.shape == shape[:1]
    assert X.dtype == np.float32
    assert y.dtype == np.int64
    assert X.flags.c_contiguous
    assert y.flags.c_contiguous
    assert X.flags.writeable
    assert y.flags.writeable


# digits


def test_digits():
    X, y = datasets.load_digits()
    check_form(X, y, (1797, 64))
    assert X.min() == 0
    assert X.max() == 1
    # The counts are those in UCI's description of the set; the sum tells of any other change.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert float(X.sum(dtype=np.float64)) * 16 == 561718


def test_each_call_reads_digits_anew():
    datasets.load_digits()[0][:] = 0
    assert datasets.load_digits()[0].any()


# images


def test_uint8_images_are_scaled(save):
    X, y = datasets.load_images(save(images=PIXELS, labels=LABELS))
    check_form(X, y, (2, 9))
    np.testing.assert_array_equal(X, PIXELS.reshape(2, 9).astype(np.float32) / np.float32(255))
    assert y.tolist() == [4, 1]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_floating_images_stay_as_they_are(save, dtype):
    images = PIXELS.astype(dtype)
    X, y = datasets.load_images(save(images=images, labels=LABELS, names=np.array(["a", "b"])))
    check_form(X, y, (2, 9))
    np.testing.assert_array_equal(X, PIXELS.reshape(2, 9))


def test_images_in_fortran_order_with_channels(save):
    images = np.asfortranarray(np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3))
    X, y = datasets.load_images(str(save(images=images, labels=LABELS)))
    check_form(X, y, (2, 12))
    np.testing.assert_allclose(X * 255, np.arange(24).reshape(2, 12), rtol=1e-6)


def test_names_of_keras(save):
    train = {"x_train": PIXELS, "y_train": LABELS}
    X, y = datasets.load_images(save(**train, x_test=PIXELS[:1], y_test=LABELS[:1]))
    expected = datasets.load_images(save(images=PIXELS, labels=LABELS))
    np.testing.assert_array_equal(X, expected[0])
    np.testing.assert_array_equal(y, expected[1])
    _, y = datasets.load_images(save(images=PIXELS, labels=LABELS[::-1], **train))
    assert y.tolist() == [1, 4]


@pytest.mark.skipif(not MNIST.exists(), reason="mnist_5k.npz is not there")
def test_mnist():
    X, y = datasets.load(MNIST)
    check_form(X, y, (5000, 784))
    assert X.min() == 0
    assert X.max() == 1
    assert np.bincount(y).tolist() == [500] * 10


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"images": PIXELS}, ValueError, "images and labels: labels missing among its arrays (i"),
        ({"x": PIXELS}, ValueError, "images and labels missing among its arrays (x)"),
        ({}, ValueError, "missing among its arrays (none)"),
        (
            {"images": PIXELS, "labels": np.arange(3)},
            ValueError,
            "must have shape (2,), one label an image, but their shape is (3,)",
        ),
        ({"images": PIXELS, "labels": LABELS[:, None]}, ValueError, "(2, 1). labels.ravel() has"),
        ({"images": PIXELS, "labels": np.eye(2)}, ValueError, "labels.argmax(axis=1) has"),
        ({"images": PIXELS, "labels": np.eye(2, dtype=int)}, ValueError, "labels.argmax(axis=1)"),
        ({"images": PIXELS, "labels": np.array(["a", "b"])}, TypeError, "return_inverse=True)[1]"),
        ({"images": PIXELS[0, 0], "labels": LABELS}, ValueError, "their shape is (3,)"),
        ({"images": PIXELS[:0], "labels": LABELS[:0]}, ValueError, "their shape is (0, 3, 3)"),
        (
            {"images": PIXELS.astype(np.int64), "labels": LABELS},
            TypeError,
            "must be uint8 or floating, but their dtype is int64",
        ),
        ({"images": PIXELS.astype(str), "labels": LABELS}, TypeError, "their dtype is <U"),
        ({"images": PIXELS * 1j, "labels": LABELS}, TypeError, "their dtype is complex128"),
        (
            {"images": PIXELS, "labels": LABELS.astype(float)},
            TypeError,
            "must be integers that fit into int64, but their dtype is float64. labels.astype(int)",
        ),
        ({"images": PIXELS, "labels": LABELS.astype(np.uint64)}, TypeError, "dtype is uint64"),
        (
            {"images": np.where(PIXELS == 10, np.nan, PIXELS), "labels": LABELS},
            ValueError,
            "images must be finite, but images[1, 0, 1] is nan",
        ),
        ({"images": PIXELS * 1e300, "labels": LABELS}, ValueError, "images[0, 0, 1] is inf"),
        (
            {"images": PIXELS.astype(object), "labels": LABELS},
            ValueError,
            "images holds Python objects, which are not read; np.array(images.tolist()) makes",
        ),
        ({"images": PIXELS.astype(int), "labels": LABELS}, TypeError, "images.astype(np.uint8)"),
        ({"images": PIXELS > 4, "labels": LABELS}, TypeError, "images.astype(np.float32)"),
        ({"images": PIXELS, "labels": LABELS[:, None] / 1}, ValueError, "labels.ravel() has"),
        ({"images": PIXELS, "labels": np.array([b"a", b"b"])}, TypeError, "return_inverse=True"),
        (
            {"train_images": PIXELS, "train_labels": LABELS},
            ValueError,
            "images and labels missing among its arrays (train_images, train_labels); np.savez(",
        ),
        (
            {"x_train": PIXELS, "y_train": LABELS / 2},
            TypeError,
            "must be integers that fit into int64, but their dtype is float64. y_train.astype(int)",
        ),
    ],
)
def test_bad_images(save, arrays, error, message):
    with pytest.raises(error, match=re.escape(message)):
        datasets.load_images(save(**arrays))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but no more", b"plain text\n"])
def test_images_that_are_no_npz(tmp_path, content):
    path = tmp_path / "images.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"images\.npz must be an \.npz file with the arrays"):
        datasets.load_images(path)


def test_images_cut_short_or_damaged(save):
    path = save(images=np.random.default_rng(0).random((2, 500)), labels=LABELS)
    content = path.read_bytes()
    for damaged in (content[:-500], content[:2000] + b"\0" * 100 + content[2100:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"must be an \.npz file"):
            datasets.load_images(path)


@pytest.mark.parametrize(
    ("local", "central", "value", "message"),
    [
        (6, 8, 1, "encrypted"),  # the flags
        (8, 10, 99, "compression method"),
        (4, 6, 255, "zip file version"),
    ],
)
def test_images_that_cannot_be_unpacked(save, local, central, value, message):
    path = save(images=PIXELS, labels=LABELS)
    content = bytearray(path.read_bytes())
    for start, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        for found in re.finditer(re.escape(start), bytes(content)):
            content[found.start() + offset] = value
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"must be an \.npz file with the arrays.*{message}"):
        datasets.load_images(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_images_of_other_compressions(tmp_path, method):
    path = tmp_path / "images.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("images.npy", bytes(1000))
        archive.writestr("labels.npy", bytes(1000))
    content = bytearray(path.read_bytes())
    content[45:70] = bytes(25)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"must be an \.npz file"):
        datasets.load_images(path)


def test_images_of_np_save(tmp_path):
    path = tmp_path / "images.npz"
    with path.open("wb") as file:
        np.save(file, PIXELS)
    with pytest.raises(ValueError, match="one array only"):
        datasets.load_images(path)


# tables


@pytest.mark.parametrize(
    "text",
    [
        "1,2.5,0\n-3,4e2,7\n",
        "1,2.5,0\r\n-3,4e2,7",
        "a,b,label\n1,2.5,0\n-3,4e2,7\n",
        "\ufeffa,b,label\n1,2.5,0\n-3,4e2,7\n",
        '"a","b","the\nlabel"\n"1", 2.5 ,0.0\n\n-3,4e2,7.0\n\n',
    ],
)
def test_table(write, text):
    X, y = datasets.load_table(write(text))
    check_form(X, y, (2, 2))
    assert X.tolist() == [[1, 2.5], [-3, 400]]
    assert y.tolist() == [0, 7]


def test_table_of_one_row(write):
    X, y = datasets.load_table(write("5,1"))
    check_form(X, y, (1, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,0\n1,x,0\n", "line 2, column 2: expected a number, but it is 'x'"),
        ("a,b,c\n\n1,,0\n", "line 3, column 2: expected a number, but it is ''"),
        ("1,b,2\n", "line 1, column 2: expected a number, but it is 'b'"),
        ("1,2,0\n1,2\n", "line 2: expected 3 cells as in the rows before, but it has 2"),
        ("1,2,0\n1,2,3,4\n", "line 2: expected 3 cells as in the rows before, but it has 4"),
        ("a,b\n1,2,3\n", "line 2: expected 2 cells"),
        ("1;2;0\n", "line 1: expected at least two cells separated by commas"),
        ("1,2,0\n\nnan,2,0\n", "line 3, column 1: expected a finite float32 number, but it is nan"),
        (
            "1,2,0\n1,1e39,0\n",
            "line 2, column 2: expected a finite float32 number, but it is 1e+39",
        ),
        ("1,2,0\n1,2,0.5\n", "line 2, column 3: expected a whole number, the label, but it is 0.5"),
        ("1,2,inf\n", "line 1, column 3: expected a whole number, the label, but it is inf"),
        ("1,2,nan\n", "line 1, column 3: expected a whole number, the label, but it is nan"),
        ("1,2,1e17\n", "line 1, column 3: expected a whole number, the label, but it is 1e+17"),
        ("a,b,label\n", "must have at least one row of numbers"),
        ("", "must have at least one row of numbers"),
    ],
)
def test_bad_table(write, text, message):
    with pytest.raises(ValueError, match=re.escape("table.csv")) as raised:
        datasets.load_table(write(text))
    assert message in str(raised.value)


def test_table_that_is_not_text(write):
    with pytest.raises(ValueError, match=r"table\.csv, after line .*expected UTF-8 text"):
        datasets.load_table(write("größe,label\n1,0\n", encoding="latin-1"))


# any


@pytest.mark.parametrize("name", ["missing.npz", "missing.csv"])
def test_missing_file(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=re.escape(name)):
        datasets.load(tmp_path / name)


def test_load_goes_by_the_suffix(save, write):
    assert datasets.load(save(images=PIXELS, labels=LABELS))[0].shape == (2, 9)
    path = write("1,2,0\n")
    path = path.rename(path.with_suffix(".CSV"))
    assert datasets.load(str(path))[0].shape == (1, 2)


@pytest.mark.parametrize("name", ["data.csv.gz", "data", "data.npy"])
def test_load_refuses_other_suffixes(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"1,2,0\n"))
    with pytest.raises(ValueError, match=r"path must end in \.npz or \.csv, but it is .*data"):
        datasets.load(path)

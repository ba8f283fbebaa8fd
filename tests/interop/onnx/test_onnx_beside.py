"""Tensors in files beside an ONNX model, as PyTorch writes them: in its folder, nowhere else."""

import os

import numpy as np
import onnx
import pytest

import chainrule as cr


def with_tensors_beside(write, change=lambda model: None):
    plain = write([("Gemm", "x W b", "h", {"transB": 1}), ("Tanh", "h", "y")])
    path = plain.parent / "model" / "model.onnx"
    path.parent.mkdir()
    location = f"{path.name}.data"
    onnx.save(
        onnx.load(plain), path, save_as_external_data=True, location=location, size_threshold=0
    )
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_tensors_in_a_file_beside(tmp_path, write, monkeypatch):
    path = with_tensors_beside(write)
    expected = cr.from_onnx(tmp_path / "other.onnx")
    for given in (path, str(path)):
        np.testing.assert_array_equal(cr.from_onnx(given).params, expected.params)
    monkeypatch.chdir(path.parent)
    np.testing.assert_array_equal(cr.from_onnx("model.onnx").params, expected.params)
    (path.parent / "below").mkdir()
    os.rename("model.onnx.data", "below/weights")
    model = onnx.load(path, load_external_data=False)
    says(location="below/weights")(model)
    path.write_bytes(model.SerializeToString())
    np.testing.assert_array_equal(cr.from_onnx(path).params, expected.params)


def says(**values):
    """Return a function that changes what a model says of where its tensors lie."""

    def change(model):
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                entry.value = values.get(entry.key, entry.value)

    return change


BESIDE = {
    "above": (says(location="../secret"), "not in the model's folder"),
    "around": (says(location="../model/../secret"), "not in the model's folder"),
    "absolute": (says(location="/etc/passwd"), "not in the model's folder"),
    "a sibling of the same beginning": (says(location="../model2/secret"), "not in the model's"),
    "a link": (says(location="link"), "not in the model's folder"),
    "below a link": (says(location="up/secret"), "not in the model's folder"),
    "nothing": (says(location=""), "no regular file"),
    "a folder": (says(location="folder"), "no regular file"),
    "a pipe": (says(location="pipe"), "no regular file"),
    "missing": (says(location="model.data"), "'model.data', which is missing: it belongs beside"),
    "a zero": (says(location="a\0b"), "null"),
    "before the beginning": (says(offset="-4"), "from -4 on"),
    "behind the end": (says(offset="100"), "but the file has"),
    "another length": (says(length="8"), "it says 8"),
    "no number": (says(length="1e3"), "invalid literal"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_files_that_are_not_read(tmp_path, write, name):
    for secret in (tmp_path / "secret", tmp_path / "model2/secret"):
        secret.parent.mkdir(exist_ok=True)
        secret.write_bytes(bytes(1000))
    change, message = BESIDE[name]
    path = with_tensors_beside(write, change=change)
    (path.parent / "link").symlink_to(tmp_path / "secret")
    (path.parent / "up").symlink_to(tmp_path)
    (path.parent / "folder").mkdir()
    os.mkfifo(path.parent / "pipe")
    with pytest.raises(cr.ModelFileError, match=message):
        cr.from_onnx(path)


def test_the_same_bytes_are_not_read_again_and_again(write):
    def change(model):
        for i in range(3):
            model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
            model.graph.initializer[-1].name = f"copy {i}"

    with pytest.raises(cr.ModelFileError, match="where more is to be read than there is"):
        cr.from_onnx(with_tensors_beside(write, change=change))

"""Saved models: they come back as they were, and a bad file is refused before anything happens."""

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as as_bytes

import chainrule as cr
from chainrule.layers.container import Container
from chainrule.models.architecture import KNOWN, build, describe
from chainrule.models.model_file import CHECKSUM, KEY, MOST_METADATA, TRAINING, read_contents

pytestmark = pytest.mark.once

FUZZ = Path(__file__).parents[1] / "fuzz_model_files.py"
STORED = Path(__file__).parents[1] / "model_files"
ARGUMENTS = {
    "AvgPool1d": {"kernel_size": 3, "ceil_mode": True},
    "AvgPool2d": {"kernel_size": (3, 2), "stride": 2, "count_include_pad": False},
    "BatchNorm": {"features": 3, "momentum": None},
    "Conv1d": {"in_channels": 2, "out_channels": 4, "kernel_size": 3, "padding": "same"},
    "Conv2d": {"in_channels": 2, "out_channels": 4, "kernel_size": (3, 2), "groups": 2},
    "ConvTranspose1d": {"in_channels": 2, "out_channels": 4, "kernel_size": 3, "stride": (2,)},
    "ConvTranspose2d": {
        "in_channels": 2,
        "out_channels": 4,
        "kernel_size": 3,
        "stride": [2, 1],
        "output_padding": (1, 0),
    },
    "Embedding": {"num_embeddings": 5, "embedding_dim": 3, "padding_idx": 2},
    "LayerNorm": {"features": 3, "bias": False},
    "Columns": {"indices": [2, 0]},
    "RMSNorm": {"features": 3, "eps": 0.1},
    "GroupNorm": {"groups": 1, "features": 3},
    "Linear": {"in_features": 3, "out_features": 3, "bias": False},
    "MaxPool1d": {"kernel_size": 3, "padding": 1, "dilation": 2},
    "MaxPool2d": {"kernel_size": (3, 2), "stride": (1, 2), "padding": [1, 0]},
    "GELU": {"approximate": "tanh"},
    "LeakyReLU": {"negative_slope": 0.5},
    "ELU": {"alpha": 0.25},
    "RandomCrop": {"size": (3, 2), "padding": 1},
    "RandomFlip": {"mode": "vertical", "p": 0.25},
    "RandomShift": {"shift": [1, 2]},
    "Rescale": {"scale": 0.5, "offset": -1.0},
    "Standardize": {"mean": [0.1, -1.0, 1e9], "variance": [1 / 3, 4.0, 1e-9]},
    "Parallel": {"combine": "product"},
    "Upsample": {"scale_factor": (2, 1)},
    "ZeroPad": {"padding": [3, (1, 0)]},
}
PARTS = cr.ReLU(), cr.Residual(cr.Linear(3, 3))
UNNAMED = "Branch", "Shared"


@pytest.mark.parametrize("kind", KNOWN)
def test_every_layer_comes_back(kind):
    parts = PARTS if issubclass(KNOWN[kind], Container) else ()
    name = {} if kind in UNNAMED else {"name": "it"}
    layer = KNOWN[kind](*parts, **ARGUMENTS.get(kind, {}), **name)
    (same,) = build(json.loads(json.dumps(describe([layer]))))
    assert vars(same) == vars(layer)
    assert type(same) is type(layer)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back(tmp_path, dtype):
    inner = cr.Sequential(cr.Linear(4, 5, weight_init=cr.initializers.Zeros()), cr.GELU(), seed=2)
    net = cr.Sequential(
        cr.Rescale(0.5), cr.Linear(3, 4, name="H"), inner, cr.Linear(5, 2), seed=1, dtype=dtype
    )
    path = tmp_path / "model.safetensors"
    net.save(path)
    same = cr.load(path)
    assert same.dtype == net.dtype
    assert list(same.parameters()) == list(net.parameters())
    assert same[1].name == "H"
    np.testing.assert_array_equal(same.params, net.params)
    x = np.random.default_rng(0).normal(size=(7, 3))
    np.testing.assert_array_equal(same.predict(x), net.predict(x))
    assert cr.load(path, backend="numpy").backend == "numpy"
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    path = tmp_path / "model.safetensors"
    net.save(path)
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    net.params[:] = 1
    with pytest.raises(OSError, match="disk full"):
        net.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    path = tmp_path / "model.safetensors"
    net.save(path)
    before = path.read_bytes()
    net.params[0] = np.inf
    with pytest.raises(ValueError, match=r"0\.weight holds NaN or infinity"):
        net.save(path)
    assert path.read_bytes() == before


def test_numbers_of_numpy_are_saved_and_links_stay_links(tmp_path):
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "model.safetensors", tmp_path / "link.safetensors"
    link.symlink_to(real)
    cr.Sequential(cr.LeakyReLU(np.float32(0.25)), cr.ELU(np.float64(2)), seed=0).save(link)
    assert link.is_symlink()
    assert cr.load(real).layers == (cr.LeakyReLU(0.25), cr.ELU(2.0))


def test_a_layer_of_ones_own_is_not_saved(tmp_path):
    class Mine(cr.ReLU):
        pass

    with pytest.raises(ValueError, match=r"cannot be saved: only chainrule's own layers"):
        cr.Sequential(Mine()).save(tmp_path / "model.safetensors")
    assert os.listdir(tmp_path) == []


NUMBERS = [None, True, 3, -(2**63), 0.1, "ä\n", {"b": [[], {}]}]


def test_metadata_come_back(tmp_path):
    net, path = cr.Sequential(cr.Linear(3, 2), seed=0), tmp_path / "model.safetensors"
    net.save(path)
    assert cr.load_metadata(path) == {}
    net.save(path, metadata={"a": NUMBERS})
    assert cr.load_metadata(path) == {"a": NUMBERS}
    assert np.array_equal(cr.load(path).params, net.params)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ([], "metadata must be a dict"),
        ({"a": {3: 4}}, r"keys of metadata\['a'\] must be strings, not 3"),
        ({"a": [0, (1, 2)]}, r"metadata\['a'\]\[1\] must be None, a bool"),
        ({"a": np.float32(1)}, "must be None, a bool"),
        ({"a": float("nan")}, "must be finite"),
        ({"a": 1 << 64}, "64 bits"),
        ({"a": "x" * MOST_METADATA}, "at most 16,777,216 characters"),
    ],
)
def test_metadata_that_would_not_come_back_are_refused(tmp_path, metadata, message):
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    with pytest.raises((TypeError, ValueError), match=message):
        net.save(tmp_path / "model.safetensors", metadata=metadata)
    assert os.listdir(tmp_path) == []


# Bad files


def file_with(path, about, **tensors):
    metadata = (
        None if about is None else {KEY: about if isinstance(about, str) else json.dumps(about)}
    )
    path.write_bytes(as_bytes(tensors, metadata=metadata))
    return path


WEIGHT, BIAS = np.ones((3, 2), np.float32), np.ones(2, np.float32)
LINEAR = {"layer": "Linear", "in_features": 3, "out_features": 2}
GOOD = {"format": 1, "dtype": "float32", "layers": [LINEAR]}
PARAMETERS = {"0.weight": WEIGHT, "0.bias": BIAS}


@pytest.mark.parametrize(
    ("about", "parameters", "message"),
    [
        (None, PARAMETERS, "was not saved by chainrule"),
        ("{", PARAMETERS, "not readable"),
        ("[" * 100_000, PARAMETERS, "not readable"),
        ("[]", PARAMETERS, "not readable"),
        (GOOD | {"format": 99}, PARAMETERS, "format 99"),
        (GOOD | {"dtype": "int8"}, PARAMETERS, "dtype 'int8'"),
        (GOOD | {"layers": 3}, PARAMETERS, "a list of layers was expected"),
        (GOOD | {"layers": [{"layer": "os.system"}]}, PARAMETERS, "there is no layer"),
        (GOOD | {"layers": [{"layer": ["Linear"]}]}, PARAMETERS, "there is no layer"),
        (GOOD | {"layers": [LINEAR | {"speed": 3}]}, PARAMETERS, "does not describe a Linear"),
        (GOOD | {"layers": [LINEAR | {"bias": {}}]}, PARAMETERS, "does not describe a Linear"),
        (GOOD | {"layers": [LINEAR | {"in_features": -3}]}, PARAMETERS, "at least 1"),
        (GOOD | {"layers": [LINEAR | {"in_features": 10**15}]}, PARAMETERS, "should hold 0.weight"),
        (GOOD | {"layers": [LINEAR, LINEAR]}, PARAMETERS, "lacks parameters"),
        (GOOD | {"layers": []}, {}, "do not fit together"),
        (GOOD | {"layers": [{"layer": "ReLU", "name": 5}]}, {}, "do not fit together"),
        (GOOD, PARAMETERS | {"more": BIAS}, r"too many: \['more'\]"),
        (GOOD, PARAMETERS | {"0.bias": BIAS.astype(float)}, "dtype F64"),
        (GOOD, PARAMETERS | {"0.weight": WEIGHT.T.copy()}, r"shape \(2, 3\)"),
        (GOOD, PARAMETERS | {"0.bias": BIAS * np.nan}, "NaN or infinity in 0.bias"),
        (
            GOOD | {"layers": [LINEAR, LINEAR]},
            PARAMETERS | {"1.weight": WEIGHT, "1.bias": BIAS},
            "do not fit together",
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, about, parameters, message):
    path = file_with(tmp_path / "bad.safetensors", about, **parameters)
    with pytest.raises(cr.ModelFileError, match=message):
        cr.load(path)


def test_an_empty_tensor_of_a_shape_that_numpy_cannot_have_is_refused(tmp_path):
    about = {"format": 1, "dtype": "float32", "layers": [{"layer": "ReLU"}]}
    header = {
        "__metadata__": {KEY: json.dumps(about), TRAINING: "{}"},
        "training/x": {"dtype": "F32", "shape": [0, 1 << 62], "data_offsets": [0, 0]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "bad.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(cr.ModelFileError, match="tensor that is not readable"):
        cr.load(path)


@pytest.mark.parametrize("metadata", [3, {"a": float("inf")}, {"a": "x" * MOST_METADATA}])
def test_wrong_metadata_are_refused(tmp_path, metadata):
    path = file_with(tmp_path / "bad.safetensors", GOOD | {"metadata": metadata}, **PARAMETERS)
    with pytest.raises(cr.ModelFileError, match="has metadata that"):
        cr.load_metadata(path)


def test_files_of_format_1_have_no_checksum_and_those_of_2_must(tmp_path):
    path = file_with(tmp_path / "model.safetensors", GOOD, **PARAMETERS)
    assert (cr.load(path).params == 1).all()
    file_with(path, GOOD | {"format": 2}, **PARAMETERS)
    with pytest.raises(cr.ModelFileError, match="checksum"):
        cr.load(path)


def test_a_flipped_bit_of_a_weight_is_noticed(tmp_path):
    path = tmp_path / "model.safetensors"
    cr.Sequential(cr.Linear(3, 2), seed=0).save(path)
    content = bytearray(path.read_bytes())
    assert CHECKSUM.encode() in content
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(cr.ModelFileError, match="checksum"):
        cr.load(path)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        cr.load(tmp_path / "none.safetensors")


def script(path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_stored_files_stay_readable():
    written = script(STORED / "write_format_2.py")
    for name, expected in (
        ("format-2.safetensors", written.model()),
        ("format-2-checkpoint.safetensors", written.trained()),  # with a learning rate of 0
    ):
        found = cr.load(STORED / name)
        assert repr(found) == repr(expected)
        assert list(found.parameters()) == list(expected.parameters())
        assert found.dtype == expected.dtype
        assert np.array_equal(found.params, expected.params)
        assert np.array_equal(found.predict(written.X), expected.predict(written.X))
    assert cr.load_metadata(STORED / "format-2.safetensors") == written.METADATA
    training = read_contents(STORED / "format-2-checkpoint.safetensors")
    assert (training.training["epoch"], training.training["step"]) == (2, 4)
    assert training.tensors["history.batch_loss"].shape == (4,)
    assert np.array_equal(training.tensors["callbacks.EarlyStopping.best_params"], found.params)


def test_a_file_from_before_the_folders_is_read():
    written = script(STORED / "write_before_folders.py")
    found, expected = cr.load(STORED / "before-folders.safetensors"), written.model()
    assert repr(found) == repr(expected)
    assert np.array_equal(found.params, expected.params)
    outputs = zip(found.predict(written.X), expected.predict(written.X), strict=True)
    assert all(np.array_equal(one, other) for one, other in outputs)


def test_a_training_from_before_the_folders_goes_on(tmp_path):
    written = script(STORED / "write_before_folders.py")
    path = tmp_path / "before.safetensors"
    shutil.copy(STORED / "before-folders-checkpoint.safetensors", path)
    net, average, history = written.train(path, 4)
    whole, its_average, its_history = written.train(tmp_path / "now.safetensors", 4)
    assert len(history.loss) == 4
    for one, other in (
        (net.params, whole.params),
        (average.network.params, its_average.network.params),
        (history.batch_loss, its_history.batch_loss),
        (history.gradient_flow.steps, its_history.gradient_flow.steps),
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9)  # another CPU may have written the file


def leaves(value):
    """Yield each plain value within another: what holds it, and its key."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        if isinstance(value[key], dict | list) and value[key]:
            yield from leaves(value[key])
        else:
            yield value, key


def changed(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return value + "x" if isinstance(value, str) else "x"


@pytest.mark.parametrize("name", ["format-2.safetensors", "format-2-checkpoint.safetensors"])
def test_a_file_with_any_other_word_in_its_header_is_refused(tmp_path, name):
    content = (STORED / name).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, path = json.loads(content[8 : 8 + length]), tmp_path / name
    entries = header["__metadata__"]

    def assert_refused(header):
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
        with pytest.raises(cr.ModelFileError):
            cr.load(path)

    for key in entries.keys() - {CHECKSUM}:
        inner = json.loads(entries[key])
        for holder, place in leaves(inner):
            before = holder[place]
            holder[place] = changed(before)
            assert_refused(header | {"__metadata__": entries | {key: json.dumps(inner)}})
            holder[place] = before
        spaced = json.dumps(inner, indent=1)  # says the same, but is not what was written
        assert_refused(header | {"__metadata__": entries | {key: spaced}})
    for key in entries:
        assert_refused(header | {"__metadata__": {k: v for k, v in entries.items() if k != key}})
    assert_refused(header | {"__metadata__": entries | {"more": "x"}})
    tensors = [key for key in header if key != "__metadata__"]
    for one, other in itertools.pairwise(tensors):  # two tensors change their names
        assert_refused(header | {one: header[other], other: header[one]})


DOUBLED = {"layer": "Parallel", "combine": "concatenate", "parts": [{"layer": "Identity"}] * 2}


@pytest.mark.parametrize("times", [28, 40, 62, 70, 2000])
def test_a_small_file_cannot_ask_for_any_memory(tmp_path, times):
    about = GOOD | {"layers": [LINEAR, *[DOUBLED] * times]}
    path = file_with(tmp_path / "bad.safetensors", about, **PARAMETERS)
    assert path.stat().st_size < 400_000
    with pytest.raises(
        cr.ModelFileError, match=r"layer 28\) gives 536,870,912 numbers for each row"
    ):
        cr.load(path)


def test_nor_by_many_networks_that_share_a_layer(tmp_path):
    layer = {"layer": "Linear", "in_features": 300, "out_features": 300, "bias": False}
    first = {"layer": "Shared", "number": 0, "parts": [layer]}
    about = GOOD | {"layers": [first, *[[{"layer": "Shared", "number": 0}]] * 5000]}
    weight = np.ones((300, 300), np.float32)
    path = file_with(tmp_path / "bad.safetensors", about, **{"0.0.weight": weight})
    with pytest.raises(cr.ModelFileError, match="have 450,000,000 parameters of their own"):
        cr.load(path)


def test_what_small_networks_share_many_times_is_saved(tmp_path):
    step = cr.Shared(cr.Linear(4, 4), cr.Tanh())
    net = cr.Sequential(*(cr.Sequential(step, seed=0) for _ in range(300)), seed=0)
    net.save(tmp_path / "model.safetensors")
    assert np.array_equal(cr.load(tmp_path / "model.safetensors").params, net.params)


def test_a_name_that_controls_a_terminal_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must not have control characters: 'H\\x1b\[31m'"):
        cr.Sequential(cr.Linear(3, 2, name="H\x1b[31m"))
    about = GOOD | {"layers": [LINEAR | {"name": "H\x9b31m"}]}
    path = file_with(tmp_path / "bad.safetensors", about, **PARAMETERS)
    with pytest.raises(cr.ModelFileError, match="must not have control characters"):
        cr.load(path)


@pytest.mark.parametrize("shape", [[0, 1 << 62], [1 << 40, 1 << 40], [1 << 62], [3, 2]])
def test_a_state_dict_cannot_ask_for_any_memory(tmp_path, shape):
    header = {"0.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}
    text = json.dumps(header).encode()
    path = tmp_path / "bad.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(cr.ModelFileError):
        cr.interop.torch.from_state_dict(cr.Sequential(cr.Linear(3, 2)), path)


def test_damaged_files_are_refused_or_load_whole():
    """The script that does it 100,000 times, a few hundred times."""
    fuzz = script(FUZZ)
    counts, failures = fuzz.run(400)
    assert failures == []
    outcomes = {what for _, what in counts}
    assert {"refused", "loaded", "resumed", "another training"} <= outcomes


def test_parts_that_killed_processes_left_are_removed(tmp_path):
    net, path = cr.Sequential(cr.Linear(3, 2), seed=0), tmp_path / "model.safetensors"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = {
        "gone": f".{path.name}.{gone.pid}.1.part",
        "old": f".{path.name}.{os.getpid()}.1.part",
        "running": f".{path.name}.{os.getpid()}.2.part",
        "other": f".other.safetensors.{gone.pid}.1.part",
        "own": f".{path.name}.mine.part",
    }
    for name in names.values():
        (tmp_path / name).touch()
    os.utime(tmp_path / names["old"], (0, 0))
    net.save(path)
    kept = {path.name, names["running"], names["other"], names["own"]}
    if os.name != "posix":
        kept.add(names["gone"])
    assert set(os.listdir(tmp_path)) == kept


@pytest.mark.skipif(os.name != "posix", reason="devices and named pipes are POSIX's")
def test_what_is_no_regular_file_is_no_model(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
    for path in (os.devnull, tmp_path / "pipe"):
        with pytest.raises(cr.ModelFileError, match="is no regular file"):
            cr.load(path)
    with pytest.raises(IsADirectoryError):
        cr.load(tmp_path)

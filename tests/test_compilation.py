"""One compilation serves every network; the cache is ours and safe."""

import os
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import GATHERED
from chainrule.engine import interpreter
from chainrule.kernels import jit

pytestmark = pytest.mark.skipif(jit.JIT_DISABLED, reason="nothing is compiled")

TRAIN = """
import numpy as np, chainrule as cr
net = cr.Sequential(cr.Linear(2, 1), seed=0)
cr.fit(net, np.ones((4, 2)), np.ones(4), loss=cr.MSELoss(), epochs=1, batch_size=2, progress=False)
"""


def train_many_networks(dtype):
    rng = np.random.default_rng(0)
    for width, rows, loss in [
        (3, 4, cr.MSELoss()),
        (17, 9, cr.HuberLoss()),
        (8, 5, cr.BCEWithLogitsLoss()),
        (10, 7, cr.CrossEntropyLoss()),
    ]:
        for layer in (cr.ReLU(), cr.GELU(), cr.LogSoftmax()):
            net = cr.Sequential(
                cr.Linear(4, width), layer, cr.Linear(width, 2), seed=0, dtype=dtype
            )
            X = rng.normal(size=(rows, 4))
            y = rng.integers(0, 2, rows) if loss.takes_labels else rng.uniform(size=(rows, 2))
            for optimizer in (cr.SGD(), cr.AdamW()):
                cr.fit(net, X, y, loss=loss, optimizer=optimizer, batch_size=3, progress=False)
            _, d_out = loss(net.forward(X), y)
            net.backward(d_out)
            optimizer.step(net)
            for layout in (np.asfortranarray, read_only, unaligned, every_second_row):
                net.predict(layout(X))
                loss(layout(net.forward(X)), layout(y), layout(np.ones(rows)))


def read_only(array):
    view = array.view()
    view.flags.writeable = False
    return view


def unaligned(array):
    memory = np.frombuffer(b"0" + array.tobytes(), np.uint8)
    return memory[1:].view(array.dtype).reshape(array.shape)


def every_second_row(array):
    return np.repeat(array, 2, axis=0)[::2]


def test_no_compilation_for_a_new_network_batch_size_loss_layout_or_dtype_of_x():
    for dtype in ("float32", "float64"):
        train_many_networks(dtype)
        net = cr.Sequential(cr.Rescale(0.5), cr.Linear(4, 2), seed=0, dtype=dtype)
        for data_dtype in GATHERED | {np.dtype("longdouble"), np.dtype(">f4")}:
            net.predict(np.ones((3, 4), data_dtype))
    assert len(interpreter.run.signatures) == 2


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_import_loads_neither_numba_nor_rich():
    code = "import sys, chainrule; print('numba' in sys.modules, 'rich' in sys.modules)"
    assert run_python(code).stdout.split() == ["False", "False"]


def test_first_call_says_that_it_compiles_and_the_second_process_does_not(tmp_path):
    first = run_python(TRAIN, CHAINRULE_CACHE_DIR=str(tmp_path))
    assert first.returncode == 0, first.stderr
    assert "compiling" in first.stderr
    second = run_python(TRAIN, CHAINRULE_CACHE_DIR=str(tmp_path))
    assert (second.returncode, second.stderr) == (0, "")


def test_damaged_cache_is_compiled_anew(tmp_path):
    run_python(TRAIN, CHAINRULE_CACHE_DIR=str(tmp_path))
    for entry in tmp_path.glob("*/interpreter.run*.nbc"):
        entry.write_bytes(b"damaged")
    again = run_python(TRAIN, CHAINRULE_CACHE_DIR=str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert "compiling" in again.stderr


def test_no_place_for_a_cache_warns_once_and_goes_on(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    code = TRAIN.replace(
        "import numpy", "import warnings; warnings.simplefilter('always')\nimport numpy"
    )
    result = run_python(code, CHAINRULE_CACHE_DIR=str(blocked))
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("nowhere to keep") == 1

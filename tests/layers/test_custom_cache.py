"""Machine code of users' functions on disk: found again, and never that of something else."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.kernels import cache, compilation
from chainrule.kernels.jit import JIT_DISABLED

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled"),
]

NEW = int.from_bytes(os.urandom(4), "little")  # code with this number in it is not on the disk yet

START = "import chainrule as cr\nimport numpy as np\nfrom numba import njit\n"
LAYER = """
def forward(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = {formula}

def backward(dy, dx):
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dx[i, j] = dy[i, j] + min(0, NEW)

def layer():
    return cr.CompiledLayer(forward, backward)
"""


def layer_of(formula, before=""):
    return before + LAYER.format(formula=f"{formula} + min(0, NEW)")


def names_of(source):
    names = {}
    exec(START + source.replace("NEW", str(NEW)), names)
    return names


def use(source, x=1.5):
    """Return the layer's output and its slope, as in a new process, and how much was compiled."""
    from numba.core import event

    layer = names_of(source)["layer"]
    compilation._of_user.cache_clear()
    gc.collect()
    with event.install_recorder("numba:compile") as recorder:
        net = cr.Sequential(layer(), dtype="float64")
        found = net.forward([[x]])[0, 0], net.backward([[1.0]])[0, 0]
    return found, sum(each.is_start for _, each in recorder.buffer)


CALLEE = "k = {0}\n@njit\ndef f(x):\n    return k * x\n"
ACTIVATION = "def layer():\n    return cr.Activation(lambda x: {0})\n"
PAIRS = {
    "callee": [layer_of("f(x[i, j])", CALLEE.format(k)) for k in (2, 3)],
    "allocates": [layer_of("np.full(2, x[i, j])[0] * " + k) for k in "23"],
    "activation": [
        ACTIVATION.format(f"{k} * x + min(0, NEW), lambda x: {k} + min(0, NEW)") for k in (2, 3)
    ],
    "complex step": [ACTIVATION.format(f"np.sin({k} * x) + min(0, NEW)") for k in (2, 3)],
}


@pytest.mark.parametrize("sources", PAIRS.values(), ids=PAIRS)
def test_code_is_found_again_and_is_never_that_of_something_else(sources):
    (one, compiled), (other, compiled_other) = map(use, sources)
    assert min(compiled, compiled_other) > 0
    for source, found in zip(sources, (one, other), strict=True):
        net = cr.Sequential(names_of(source)["layer"](), dtype="float64", backend="numpy")
        np.testing.assert_allclose(found, [net.forward([[1.5]])[0, 0], net.backward([[1]])[0, 0]])
        assert use(source) == (found, 0)


def test_losses_are_kept_as_well():
    source = """
def loss(output, target, losses, d_output):
    for i in range(output.shape[0]):
        losses[i] = output[i, 0] * target[i, 0] + min(0, NEW)
        d_output[i, 0] = target[i, 0]
def layer():
    return Loss()
"""
    from numba.core import event

    counts = []
    for _ in range(2):
        loss = cr.CompiledLoss(names_of(source)["loss"])
        compilation._of_user.cache_clear()
        with event.install_recorder("numba:compile") as recorder:
            assert loss([[2.0]], [3.0]) == (6.0, [[3.0]])
        counts.append(len(recorder.buffer))
    assert counts[0] > counts[1] == 0


@pytest.mark.parametrize(
    ("formula", "before"),
    [
        ("k[0] * x[i, j]", "k = np.array([2.0, NEW])\n"),
        ("f(x[i, j], 1)", "@njit\ndef f(x, n):\n    return x if n == 0 else 2 * f(x, n - 1)\n"),
        ("f(x[i, j])", "@njit\ndef f(x):\n    if x == NEW:\n        print(x)\n    return 2 * x\n"),
    ],
    ids=["array", "calls itself", "prints"],
)
def test_what_cannot_be_kept_is_compiled_again(formula, before):
    source = layer_of(formula, before)
    for _ in range(2):
        found, compiled = use(source)
        assert found == (3.0, 1.0)
        assert compiled > 0


def test_what_numba_froze_earlier_is_not_kept():
    """A callee that was compiled before a global changed computes with what it was then."""
    source = layer_of("f(x[i, j])", "k = 2\n@njit\ndef f(x):\n    return k * x + min(0, NEW)\n")
    names = names_of(source)
    names["f"](1.5)
    names["k"] = 5
    net = cr.Sequential(names["layer"](), dtype="float64")
    assert net.forward([[1.5]]) == 3.0  # as Numba has it
    (found, _), compiled = use(source.replace("k = 2", "k = 5"))
    assert (found, compiled > 0) == (7.5, True)


def test_a_damaged_entry_is_compiled_anew():
    source = layer_of("7 * x[i, j]")
    before = set(cache.cache_folder().glob("custom.*.nbc"))
    found, compiled = use(source)
    entries = set(cache.cache_folder().glob("custom.*.nbc")) - before
    assert compiled > 0
    assert len(entries) == 1  # backward is there
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:-1])
    again, compiled = use(source)
    assert again == found
    assert compiled > 0
    assert use(source) == (found, 0)


def test_the_oldest_entries_go(tmp_path):
    for age in range(5):
        for suffix in (".nbc", ".lock"):
            path = tmp_path / f"custom.{age}{suffix}"
            path.touch()
            os.utime(path, (1e9 - age, 1e9 - age))
    cache._remove_oldest(tmp_path.glob("custom.*.nbc"), 2)
    kept = [f"custom.{age}{suffix}" for age in range(2) for suffix in (".lock", ".nbc")]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


SCRIPT = """
import sys
import numpy as np
import chainrule as cr
from numba.core import event

def make(k):
    def f(x):
        return k * x + NEW
    def df(x):
        return k
    return cr.Activation(f, df)

with event.install_recorder("numba:compile") as recorder:
    for k in map(float, sys.argv[1:]):
        net = cr.Sequential(make(k))
        print(net.forward([[2.0]])[0, 0] - NEW, net.backward([[1.0]])[0, 0])
print(len(recorder.buffer) > 0)
"""


def test_processes_find_each_others_code_and_names_do_not_collide():
    """Numba counts functions up in each process: several loaded ones may have the same number."""
    new = float(NEW % 1024)  # exact in float32
    cr.Sequential(cr.Identity()).forward([[1.0]])  # the interpreter is there

    def run(*numbers):
        command = [
            sys.executable,
            "-c",
            SCRIPT.replace("NEW", repr(new + 0.25)),
            *map(str, numbers),
        ]
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split()

    def lines(*numbers):
        return [str(float(n)) for k in numbers for n in (2 * k, k)]

    first = NEW % 997 + 2
    assert run(first) == [*lines(first), "True"]
    assert run(first + 1) == [*lines(first + 1), "True"]
    both = first + 1, first
    assert run(*both) == [*lines(*both), "False"]
    three = first, first + 2, first + 1
    assert run(*three) == [*lines(*three), "True"]

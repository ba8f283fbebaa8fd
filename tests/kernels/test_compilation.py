"""One compilation serves every network; compiled code is kept, never stale, never garbled."""

import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numba import TypingError

import chainrule as cr
from chainrule.engine import interpreter, machine
from chainrule.engine.machine import Machine
from chainrule.engine.pool import MachinePool
from chainrule.engine.records import NOTHING, make_data
from chainrule.kernels import cache, compilation, jit
from chainrule.kernels.cache import SECONDS_UNUSED, NoCache
from chainrule.kernels.context import Phase
from chainrule.kernels.jit import kernel
from chainrule.operations.huber import huber
from chainrule.operations.mse import mse
from chainrule.operations.operation import Operation, function
from chainrule.plan import Head, PlanBuilder, Tensor, make_plan
from chainrule.utils.arrays import GATHERED

pytestmark = [pytest.mark.once, pytest.mark.skipif(jit.JIT_DISABLED, reason="nothing is compiled")]

TRAIN = """
import numpy as np, chainrule as cr
net = cr.Sequential(cr.Linear(2, 1), seed=0)
cr.fit(net, np.ones((4, 2)), np.ones(4), loss=cr.MSELoss(), epochs=1, batch_size=2, progress=False)
print(net.params.tolist())
"""

# What the interpreter is kept by, with a kernel that compiles in no time; it calls row_scale.
SMALL = """
import numpy as np
from chainrule.kernels.jit import entry_point
from chainrule.operations.mse import mse
def half_the_sum_of_the_gradient(dtype):
    x, zeros, ones = np.ones((4, 2), dtype), np.zeros((4, 2), dtype), np.ones(4, dtype)
    terms, gradient = np.empty_like(x), np.empty_like(x)
    entry_point(mse.py_func)(x, zeros, ones, 4.0, terms, gradient)
    return float(gradient.sum()) / 2
print(half_the_sum_of_the_gradient("float64"))
"""
SMALL_RESULT = "1.0\n"


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


def test_no_compilation_for_a_new_network_batch_size_loss_layout_or_dtype_of_x(
    checked_run, monkeypatch
):
    """All runs of a dtype have arguments of the same types."""
    runs = {}

    def counted(dtype):
        runs[dtype] = checked_run(dtype)
        return runs[dtype]

    monkeypatch.setattr(machine, "compiled_run", counted)
    monkeypatch.setattr("chainrule.losses.loss._runs", MachinePool(16))  # made before
    for dtype in ("float32", "float64"):
        train_many_networks(dtype)
        net = cr.Sequential(cr.Rescale(0.5), cr.Linear(4, 2), seed=0, dtype=dtype)
        for data_dtype in GATHERED | {np.dtype("longdouble"), np.dtype(">f4")}:
            net.predict(np.ones((3, 4), data_dtype))
    assert len(runs) == 2
    assert len(interpreter.run.signatures) == 2


def start_python(code, **environment):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {name: str(value) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out, err


def run_small(code=SMALL, result=SMALL_RESULT, **environment):
    """Run SMALL, or another code with its result; return what it says on stderr."""
    out, err = finish(start_python(code, **environment))
    assert out == result
    return err


def the_entry(folder):
    (entry,) = folder.glob("numba-*/chainrule.operations.mse.mse-*.nbc")
    return entry


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory):
    """A folder that SMALL has been compiled into; tests change a copy of it."""
    folder = tmp_path_factory.mktemp("compiled") / "cache"
    assert "compiling" in run_small(CHAINRULE_CACHE_DIR=folder)
    return folder


@pytest.fixture
def filled(compiled_once, tmp_path):
    """A folder of the test that SMALL has been compiled into."""
    return shutil.copytree(compiled_once, tmp_path / "cache")


@pytest.fixture
def package(tmp_path):
    """A copy of the package, to change."""
    copy = tmp_path / "site" / "chainrule"
    source = Path(cr.__file__).parent
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def halve_the_scale(package):
    """Change a kernel that SMALL does not call itself: its result is half of what it was."""
    source = package / "kernels" / "loss.py"
    text = source.read_text()
    assert "1.0 / (total" in text
    source.write_text(text.replace("1.0 / (total", "0.5 / (total"))


HALF_RESULT = "0.5\n"


def test_import_loads_neither_numba_nor_rich():
    code = "import sys, chainrule; print('numba' in sys.modules, 'rich' in sys.modules)"
    assert finish(start_python(code))[0].split() == ["False", "False"]


def test_loading_compiled_code_does_not_load_numbas_compiler(filled):
    code = SMALL + "import sys; print('numba.np.linalg' in sys.modules)"
    run_small(code, SMALL_RESULT + "False\n", CHAINRULE_CACHE_DIR=filled)


def test_of_processes_at_once_one_compiles_for_all(tmp_path):
    # It takes its time, so that the others come meanwhile.
    slowly = """
import time
from chainrule.kernels import cache
say = cache.say
cache.say = lambda message: (say(message), time.sleep(3 * ("compiling" in message)))
"""
    processes = [start_python(slowly + SMALL, CHAINRULE_CACHE_DIR=tmp_path) for _ in range(8)]
    results = [finish(process) for process in processes]
    assert {out for out, _ in results} == {SMALL_RESULT}
    assert sum("compiling the interpreter, once" in err for _, err in results) == 1
    assert run_small(CHAINRULE_CACHE_DIR=tmp_path) == ""


# A plan's functions, with something small in the interpreter's place; it prints what is compiled.
SMALL_PLAN = """
import numpy as np, chainrule as cr
from numba import types
from chainrule.kernels import cache
from chainrule.kernels.compilation import compile_functions
from chainrule.kernels.jit import entry_point
from chainrule.kernels.loss import row_scale
save = cache.FunctionCache.save_overload
def print_and_save(self, *arguments):
    print(self._name.rpartition(".")[2])
    save(self, *arguments)
cache.FunctionCache.save_overload = print_and_save
net = cr.Sequential(cr.Softmax(), cr.Tanh())
wanted = [(call.function, call.kinds) for call in net.make_plan((2,), 4).program]
small = entry_point(row_scale.py_func)
types_of_small = types.float64, types.int64
for _ in range(2):
    count = compile_functions(wanted, np.dtype("float32"), small, types_of_small)
    print("there are", count, "to compile")
"""
SMALL_PLAN_PRINTS = [
    *("gather_rescaled", "softmax", "tanh", "put_columns", "tanh_backward", "softmax_backward"),
    "row_scale",
]


def test_a_plan_says_once_how_many_functions_are_compiled(tmp_path):
    out, err = finish(start_python(SMALL_PLAN, CHAINRULE_CACHE_DIR=tmp_path))
    last = ["there are 7 to compile", "there are 0 to compile"]
    assert out.splitlines() == [*SMALL_PLAN_PRINTS, *last]
    assert err == "chainrule: compiling 7 functions, once for all networks in float32 ...\n"
    out, err = finish(start_python(SMALL_PLAN, CHAINRULE_CACHE_DIR=tmp_path))
    assert out.splitlines() == 2 * last[1:]
    assert err == ""


def test_of_processes_that_compile_the_same_plan_each_function_is_compiled_by_one(tmp_path):
    processes = [start_python(SMALL_PLAN, CHAINRULE_CACHE_DIR=tmp_path) for _ in range(3)]
    lines = [line for process in processes for line in finish(process)[0].splitlines()]
    assert sorted(line for line in lines if "there are" not in line) == sorted(SMALL_PLAN_PRINTS)


def test_what_a_training_compiles_is_kept():
    first, later = (finish(start_python(TRAIN)) for _ in range(2))
    assert later == (first[0], "")


def test_what_is_compiled_ahead_is_there_for_a_training():
    ahead = """
from chainrule.engine.ahead import compile_ahead
import numpy as np
compile_ahead(np.dtype("float32"), everything=False)
"""
    finish(start_python(ahead))
    assert finish(start_python(ahead + TRAIN))[1] == ""


def test_second_process_says_nothing(filled):
    assert run_small(CHAINRULE_CACHE_DIR=filled) == ""


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: bytes(len(content)),
        lambda content: content[:-100] + b"x" + content[-99:],
    ],
    ids=["empty", "truncated", "zeros", "one byte"],
)
def test_damaged_entry_is_compiled_anew(filled, damage):
    entry = the_entry(filled)
    entry.write_bytes(damage(entry.read_bytes()))
    assert "compiling" in run_small(CHAINRULE_CACHE_DIR=filled)
    assert run_small(CHAINRULE_CACHE_DIR=filled) == ""


class Planted:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def plant(entry, content):
    entry.write_bytes(cache._checksum(entry, content) + content)


posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes of POSIX")


@posix
def test_what_others_may_have_planted_is_not_executed(filled, tmp_path):
    trace = tmp_path / "trace"
    plant(the_entry(filled), pickle.dumps(Planted(trace)))
    filled.chmod(0o777)
    said = run_small(TWICE, 2 * SMALL_RESULT, CHAINRULE_CACHE_DIR=filled)
    assert said.count("nowhere to keep its compiled code") == 1
    assert f"{filled} can be written by others (mode 777)" in said
    assert not trace.exists()
    filled.chmod(0o755)
    run_small(CHAINRULE_CACHE_DIR=filled)
    assert trace.exists()  # it would have been, as the user's own is


@posix
def test_nobody_else_can_write_into_a_new_cache(tmp_path):
    folder = tmp_path / "new" / "cache"
    before = os.umask(0)
    try:
        run_small(CHAINRULE_CACHE_DIR=folder)
    finally:
        os.umask(before)
    for place in (folder.parent, folder, the_entry(folder).parent, the_entry(folder)):
        assert place.stat().st_mode & 0o066 == 0o044  # but read


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Return an entry, one of another function, and what loads the first one."""
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    x = np.ones((2, 2))
    first, second = kernel(mse.py_func), kernel(huber.py_func)
    first(x, x, x[0], 2.0, x.copy(), x.copy())
    second(x, x, x[0], 2.0, x.copy(), x.copy(), 1.0)
    (entry,), (other,) = (tmp_path.glob(f"*.{name}-*.nbc") for name in ("mse", "huber"))

    def load():
        return cache.FunctionCache(mse.py_func).load_overload(first.signatures[0], first.targetctx)

    assert load() is not None
    return entry, other, load


@pytest.mark.parametrize(
    "content",
    [b"", b"no pickle", pickle.dumps(3), pickle.dumps((1, 2)), pickle.dumps(Planted(Path()))],
    ids=["nothing", "no pickle", "a number", "two numbers", "an object"],
)
def test_an_entry_with_another_content_is_none(kept, content):
    entry, _, load = kept
    plant(entry, content)
    assert load() is None


def test_an_entry_under_the_name_of_another_is_none(kept):
    entry, other, load = kept
    shutil.copy(other, entry)
    assert load() is None


@posix
def test_an_entry_that_others_may_have_written_is_none(kept, tmp_path):
    entry, _, load = kept
    entry.chmod(0o646)
    assert load() is None
    entry.chmod(0o644)
    assert load() is not None


@pytest.mark.parametrize(
    "setting",
    [
        {"NUMBA_CPU_NAME": "generic"},
        {"NUMBA_CPU_FEATURES": ""},
        {"NUMBA_OPT": "1"},
        {"CHAINRULE_OF_A_TEST": "1"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_other_cpu_or_setting_is_compiled_for_itself(filled, setting):
    assert "compiling" in run_small(CHAINRULE_CACHE_DIR=filled, **setting)
    assert run_small(CHAINRULE_CACHE_DIR=filled, **setting) == ""
    assert run_small(CHAINRULE_CACHE_DIR=filled) == ""


def test_changed_source_is_compiled_anew(filled, package):
    environment = {"CHAINRULE_CACHE_DIR": filled, "PYTHONPATH": package.parent}
    assert run_small(**environment) == ""
    halve_the_scale(package)
    assert "compiling" in run_small(result=HALF_RESULT, **environment)
    assert run_small(result=HALF_RESULT, **environment) == ""


def test_package_in_a_zip_is_cached_and_never_stale(tmp_path, package):
    def zipped():
        return shutil.make_archive(str(tmp_path / "zipped"), "zip", package.parent)

    environment = {"CHAINRULE_CACHE_DIR": tmp_path / "cache", "PYTHONPATH": zipped()}
    run_small(**environment)
    assert run_small(**environment) == ""
    halve_the_scale(package)
    zipped()
    assert "compiling" in run_small(result=HALF_RESULT, **environment)


def test_read_only_install_needs_nothing_but_a_cache(tmp_path, package):
    # Proves less where it runs as root, whom no permission stops.
    set_writable(package, False)
    try:
        environment = {"CHAINRULE_CACHE_DIR": tmp_path / "cache", "PYTHONPATH": package.parent}
        run_small(**environment)
        assert run_small(**environment) == ""
    finally:
        set_writable(package, True)


def test_read_only_cache_that_was_filled_before_is_used(filled):
    set_writable(filled, False)
    try:
        assert run_small(CHAINRULE_CACHE_DIR=filled) == ""
    finally:
        set_writable(filled, True)


def set_writable(folder, writable):
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200 if writable else path.stat().st_mode & ~0o222)


# Two compilations, so that a warning could come twice.
TWICE = f"""
import warnings
warnings.simplefilter("always")
{SMALL}
print(half_the_sum_of_the_gradient("float32"))
"""
DISK_FULL = """
import os
from chainrule.kernels import cache
def no_space(path, *arguments):
    raise OSError(28, "No space left on device")
cache.os = type("FullDisk", (), vars(os) | {"open": staticmethod(no_space)})
"""


def test_no_place_for_a_cache_warns_once_and_goes_on(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    said = run_small(TWICE, 2 * SMALL_RESULT, CHAINRULE_CACHE_DIR=blocked)
    assert said.count("nowhere to keep") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="home folders are found in another way")
def test_no_home_folder_warns_once_and_goes_on(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    nowhere = {"CHAINRULE_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": blocked}
    assert run_small(TWICE, 2 * SMALL_RESULT, **nowhere).count("nowhere to keep") == 1


def test_full_disk_warns_once_and_goes_on(tmp_path):
    said = run_small(DISK_FULL + TWICE, 2 * SMALL_RESULT, CHAINRULE_CACHE_DIR=tmp_path)
    assert said.count("No space left") == 1
    assert not list(tmp_path.glob("numba-*/*.tmp"))


def test_a_process_that_hangs_or_dies_blocks_no_other(filled):
    entry = the_entry(filled)
    entry.unlink()
    hold = f"""
import time
from filelock import FileLock
with FileLock({str(entry.with_suffix(".lock"))!r}):
    print("held", flush=True)
    time.sleep(600)
"""
    impatient = "from chainrule.kernels import cache\ncache.LONGEST_WAIT = 0.1\n" + SMALL
    with start_python(hold) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            said = run_small(impatient, CHAINRULE_CACHE_DIR=filled)
            assert "waiting" in said
            assert "compiling" in said
        finally:
            holder.kill()
    entry.unlink()
    assert "waiting" not in run_small(CHAINRULE_CACHE_DIR=filled)


def test_files_without_locks_do_not_hinder(tmp_path):
    no_locks = """
import filelock
def acquire(lock, **options):
    raise NotImplementedError
filelock.FileLock.acquire = acquire
"""
    assert "compiling" in run_small(no_locks + SMALL, CHAINRULE_CACHE_DIR=tmp_path)
    assert run_small(CHAINRULE_CACHE_DIR=tmp_path) == ""


def test_folders_of_other_versions_go_when_unused_for_long(tmp_path):
    unused, recent = (tmp_path / f"numba-{16 * digit}" for digit in "01")
    not_ours = tmp_path / "numba-of-another"
    for folder in (unused, recent, not_ours):
        folder.mkdir()
        (folder / "entry.nbc").write_bytes(b"")
    long_ago = time.time() - SECONDS_UNUSED - 60
    for folder in (unused, not_ours):
        os.utime(folder, (long_ago, long_ago))
    run_small(CHAINRULE_CACHE_DIR=tmp_path)
    assert not unused.exists()
    assert recent.exists()
    assert not_ours.exists()


def test_use_keeps_a_folder(filled):
    folder = the_entry(filled).parent
    os.utime(folder, (0, 0))
    run_small(CHAINRULE_CACHE_DIR=filled)
    assert folder.stat().st_mtime > 0


PRODUCT = """
import numpy as np
from chainrule.kernels import gemm
c = np.zeros((2, 2))
gemm.multiply(np.ones((2, 3)), np.ones((3, 2)), np.ones(2), 0.0, np.empty(64), c)
gemm.multiply_by_transposed(np.ones((2, 3)), np.ones((2, 3)), True, np.empty(64), c)
print(c.sum())
"""


def test_products_share_one_compiled_routine(tmp_path):
    said = run_small(PRODUCT, "28.0\n", CHAINRULE_CACHE_DIR=tmp_path)
    assert said.count("compiling product") == 1
    (entry,) = tmp_path.glob("numba-*/chainrule.kernels.gemm._product-*.nbc")
    assert run_small(PRODUCT, "28.0\n", CHAINRULE_CACHE_DIR=tmp_path) == ""
    sizes = [file.stat().st_size for file in tmp_path.glob("numba-*/*gemm.multiply*.nbc")]
    assert len(sizes) == 2
    assert max(sizes) < entry.stat().st_size / 2  # they do not contain it
    entry.unlink()  # what calls it is still there
    assert "compiling product" in run_small(PRODUCT, "28.0\n", CHAINRULE_CACHE_DIR=tmp_path)


@kernel
def print_and_double(x):
    print("x is", x)
    return 2 * x


@kernel
def print_and_quadruple(x):
    return 2 * print_and_double(x)


def test_kernels_inside_kernels_can_print(capfd):
    assert print_and_quadruple(1.5) == 6.0
    assert capfd.readouterr().out == "x is 1.5\n"


@kernel
def make_array(n):
    return np.zeros(n)


def test_kernels_that_allocate_are_refused():
    with pytest.raises(TypingError, match="zeros"):
        make_array(3)


def test_all_that_compiled_code_is_made_of_is_hashed():
    package = Path(cr.__file__).parent
    hashed = {
        ".".join(source.relative_to(package.parent).with_suffix("").parts): source.read_text()
        for source in cache._sources()
    }
    assert "chainrule.plan.argument" in hashed
    for name, text in hashed.items():
        if "@kernel" in text or "@entry_point" in text:
            imported = set(re.findall(r"^from (chainrule\.[\w.]+) import", text, re.MULTILINE))
            assert imported <= {*hashed, "chainrule.kernels", "chainrule.operations"}, name


def test_an_error_in_a_kernel_comes_out_with_the_kernels_name(monkeypatch):
    """As it does where NUMBA_BOUNDSCHECK is set."""

    class NotKept(NoCache):
        def has(self, signature):
            return False

    @kernel
    def refuse(x, y):
        if x.size > y.size - 1:
            raise IndexError("out of bounds")

    monkeypatch.setattr(compilation, "_cache_of", lambda *_: NotKept())
    builder, x, dtype = PlanBuilder(), Tensor((2,)), np.dtype("float64")
    y = builder.apply(Operation("refuse", function(refuse), {}), x)
    plan = make_plan(builder, [x], [Head(y)], offsets={}, batch=3, dtype=dtype, backward=False)
    with pytest.raises(IndexError, match="out of bounds") as caught:
        Machine(plan, dtype, "numba").run(
            Phase.FORWARD, 3, NOTHING[dtype].vectors, make_data(dtype, np.ones((3, 2)))
        )
    assert caught.value.__notes__ == ["It was raised in refuse."]

"""What holds for all tests, and what several of them need."""

import shutil
import signal
from contextlib import contextmanager

import hypothesis
import numba
import pytest

from chainrule.engine import backends, interpreter, machine
from chainrule.engine.thread_count import Choice, ThreadCount
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.plan import plan
from chainrule.utils import interruption

# Tests take no figure of time: on a machine that others use, anything may take long.
hypothesis.settings.register_profile("without_deadline", deadline=None)
hypothesis.settings.load_profile("without_deadline")


def pytest_configure():
    # A program that a script starts in the background, as by nohup, is told to ignore Ctrl-C, and
    # tells so those that it starts. Tests press it, and would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def each_ctrl_c_by_itself():
    """Let tests press Ctrl-C soon after another one: a training would take it for the second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interruption, "SECOND_WITHIN", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def checked_arguments():
    """Look at the types of the interpreter's arguments, where indices are checked."""
    if JIT_DISABLED or not numba.config.BOUNDSCHECK:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "compiled_run", _checked_run)
        yield


def _checked_run(dtype):
    """Return the compiled ``run``, which looks at no types, after a look at its arguments'."""
    expected, run = interpreter.signature_of(dtype), backends.compiled_run(dtype)

    def look_and_run(*arguments):
        assert [*map(_layout, map(numba.typeof, arguments))] == [*map(_layout, expected)]
        return run(*arguments)

    return look_and_run


@pytest.fixture(scope="session")
def checked_run():
    """What to replace ``compiled_run`` by, to look at the types of all arguments."""
    return _checked_run


def _layout(kind):
    """Return a type with arrays that may be written into: compiled code is the same for others."""
    if isinstance(kind, numba.types.BaseTuple):
        return [*map(_layout, kind)]
    return kind.copy(readonly=False) if isinstance(kind, numba.types.Array) else kind


@contextmanager
def _all_threads():
    def choose(self, batches):
        return Choice(self.most, batches, longest_wait=10.0)

    def choose_threads(work, chunks, steps, limit):
        return 1 if JIT_DISABLED else limit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadCount, "choose", choose)
        patch.setattr(plan, "choose_threads", choose_threads)
        yield


@pytest.fixture(scope="session")
def all_threads():
    """A context in which as many threads as are allowed share all work, from the first batch on."""
    return _all_threads


@pytest.fixture
def eager_threads():
    """The same, for the whole test."""
    with _all_threads():
        yield


BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session", name="browser")
def browser_fixture():
    """A browser, one for the session."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="pages are tested with playwright, which is not installed"
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    # Tests that need PyTorch or JAX have it in their names, by which .ci/run chooses them.
    report = yield
    for name in ("torch", "jax"):
        # "could not import 'torch'", says importorskip.
        if report.skipped and f"'{name}" in str(report.longrepr) and name not in item.nodeid:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} needs {name}: its name must say so, or no job runs it"
    return report

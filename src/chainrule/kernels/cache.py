"""Compiled code on disk: never stale, never damaged, compiled once for all processes.

Numba's own cache looks only at the file of the cached function, so a change in a kernel would
leave stale machine code behind (numba issues 1833, 3588); it does not know the compile flags
(10821); and processes that compile at the same time overwrite each other's index (2028, 4807,
10128, 10434). Here a folder is named by a hash of everything that all machine code depends on.
In it each version of a function is one file, named by a hash of its types and of the CPU, which
is written beside and renamed.
"""

import hashlib
import os
import pickle
import shutil
import sys
import time
import uuid
import warnings
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core import caching
from numba.core.codegen import RuntimeLinker
from numba.core.compiler import CompileResult
from numba.core.environment import lookup_environment
from numba.core.registry import cpu_target
from numba.core.serialize import dumps

from chainrule.kernels import blocks, symbols
from chainrule.utils.announcement import WAITS, Announcement, say
from chainrule.utils.ownership import is_own_file, who_else_writes

_PACKAGE = __name__.partition(".")[0]
# What machine code is compiled from; places in programs and contexts are constants in it.
_COMPILED_SOURCES = "kernels/*.py", "engine/*.py", "operations/*.py", "plan/*.py"
# Numba takes these from the environment.
_NUMBA_SETTINGS = (
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "USING_SVML",
)
# What Numba's names begin with: of environments, and of functions that take the GIL.
ENVIRONMENT, GIL = "_ZN08NumbaEnv", "numba_gil"
_CHECKSUM = hashlib.sha256
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

SECONDS_UNUSED = 30 * 24 * 3600.0  # after which another version's folder goes
MOST_CUSTOM = 1024  # entries of users' functions, of some 20 kB each
LONGEST_WAIT = 120.0  # seconds for a process that compiles, should it hang


class FunctionCache(caching.NullCache):
    """Where a dispatcher looks for its function's compiled versions, and leaves new ones."""

    def __init__(self, function):
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._line = function.__code__.co_firstlineno
        # The folder's name depends on the package's sources only, and not on what a closure holds.
        self._kept = self._name.startswith(f"{_PACKAGE}.") and "<locals>" not in self._name

    def load_overload(self, signature, target_context):
        # Numba would first load what compiling needs, 0.4 s, and its runtime. Ours needs neither.
        path = self._path(signature, target_context.codegen())
        if path is None:
            return None
        content = _read(path)
        if content is None:
            return None
        try:
            return self._rebuilt(target_context, *pickle.loads(content))
        except Exception:  # something else, well kept: it is compiled anew, and written over
            return None

    def save_overload(self, signature, compiled):
        path = self._path(signature, compiled.codegen)
        if path is None:
            return
        if compiled.library.has_dynamic_globals:
            raise RuntimeError(f"{self._name} holds an address, which is another in each process.")
        content = dumps(self._reduced(compiled))
        beside = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
        try:
            _make_folders(path.parent)
            with open(os.open(beside, _NEW, 0o644), "wb") as file:  # others may read, at most
                file.write(_checksum(path, content) + content)
            beside.replace(path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            _warn_once(f"{path.parent}: {error.strerror}")

    def _reduced(self, compiled):
        return symbols.symbols_of(compiled.library._final_module), *_reduced(compiled)

    def _rebuilt(self, target_context, needed, *content):
        for symbol in needed:
            symbols.define(*symbol)
        return CompileResult._rebuild(target_context, *content)

    def _path(self, signature, codegen):
        folder = cache_folder() if self._kept else None
        if folder is None:
            return None
        # The tuple names the CPU and its features.
        key = repr((self._line, signature, codegen.magic_tuple()))
        return folder / f"{self._name}-{_CHECKSUM(key.encode()).hexdigest()[:16]}.nbc"


def _checksum(path, content):
    """Return the header of an entry; it depends on the path and the content."""
    return _CHECKSUM(path.name.encode() + content).digest()


def _read(path):
    """Return the content of an entry; None if there is none, or it is damaged or not our own."""
    try:
        with open(path, "rb") as file:
            if not is_own_file(file.fileno()):
                return None
            content = file.read()
    except OSError:
        return None
    size = _CHECKSUM().digest_size
    return content[size:] if _checksum(path, content[size:]) == content[:size] else None


def _reduced(compiled):
    """Return what Numba would pickle, less what a process that only runs it has no use for."""
    (name, kind, (machine_code, _)), description, *rest, environments = compiled._reduce()
    # LLVM code is for linking, and nothing is linked with this. The names are enough.
    names = description.llvm_cpython_wrapper_name, description.llvm_func_name
    names_only = "".join(f'define void @"{name}"() {{ unreachable }}\n' for name in names)
    library = name, kind, (machine_code, llvm.parse_assembly(names_only).as_bitcode())
    # Those of Numba's own functions would load much of its compiler.
    ours = tuple(e for e in environments if e.globals["__name__"].startswith(f"{_PACKAGE}."))
    return library, description, *rest, ours


class SharedCache(FunctionCache):
    """A cache for what takes long to compile: one process does, and says so; others wait for it."""

    def __init__(self, function, what):
        super().__init__(function)
        self.what, self._lock = what, None

    def has(self, signature):
        """Tell whether there is compiled code on the disk, which may turn out to be damaged."""
        path = self._path(signature, cpu_target.target_context.codegen())
        return path is not None and path.is_file()

    def load_overload(self, signature, target_context):
        compiled = super().load_overload(signature, target_context)
        if compiled is None:
            self._wait(self._path(signature, target_context.codegen()))
            compiled = super().load_overload(signature, target_context)
        if compiled is None and self.what and Announcement.current is None:
            say(f"compiling {self.what}, once for all networks ...")
        return compiled

    @contextmanager
    def turn(self):
        """Within it, ``load_overload`` may take this process's turn to compile."""
        try:
            yield
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def _wait(self, path):
        """Wait until no other process compiles; or go on, where files have no locks."""
        if path is None:
            return
        from filelock import FileLock, Timeout

        lock = FileLock(path.with_suffix(".lock"))
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if Announcement.current is None:
                    say(f"{WAITS} ...")
                else:
                    Announcement.current.wait()
                lock.acquire(timeout=LONGEST_WAIT)
        except (OSError, NotImplementedError):
            return
        self._lock = lock


class NativeCache(SharedCache):
    """A cache for the machine code of a kernel and its arguments, by a name and a key."""

    def __init__(self, name, what, key):
        self._name, self._line, self._kept = name, key, True
        self.what, self._lock = what, None
        # Of the machine code: Numba's own names are counted up, anew in each process.
        self.symbol = f"{name}.{_CHECKSUM(repr(key).encode()).hexdigest()[:16]}"


class CustomCache(NativeCache):
    """A cache for a user's function, by the key of its fingerprint and the kinds of arguments."""

    def __init__(self, key, kinds):
        super().__init__(f"custom.{key[:16]}", "", (key, kinds))

    def load_overload(self, signature, target_context):
        compiled = super().load_overload(signature, target_context)
        if compiled is not None:
            with suppress(OSError):  # it is in use
                os.utime(self._path(signature, target_context.codegen()))
        return compiled

    def save_overload(self, signature, compiled):
        if not _is_portable(compiled):
            return
        super().save_overload(signature, compiled)
        folder = cache_folder()
        if folder is not None:
            _remove_oldest(folder.glob("custom.*.nbc"), MOST_CUSTOM)

    def _reduced(self, compiled):
        return _imported(compiled), *super()._reduced(compiled)

    def _rebuilt(self, target_context, imported, *content):
        if not all(map(llvm.address_of_symbol, imported)):
            target_context.refresh()  # Numba's runtime, and what its compiler defines
        if not all(map(llvm.address_of_symbol, imported)):
            return None
        return super()._rebuilt(target_context, *content)


def _imported(compiled):
    """Return the names of what machine code needs from outside, such as ``tanh``."""
    module = compiled.library._final_module
    functions = [f.name for f in module.functions if f.is_declaration]
    variables = [v.name for v in module.global_variables if v.is_declaration]
    return [name for name in (*functions, *variables) if not name.startswith("llvm.")]


def _is_portable(compiled):
    """Tell whether another process can run machine code: it needs no address or object of this one.

    Objects that it needs lie in environments. What takes the GIL, as ``print`` does, is not kept.
    """
    variables = [v.name for v in compiled.library._final_module.global_variables]
    environments = [lookup_environment(name) for name in variables if name.startswith(ENVIRONMENT)]
    return not (
        compiled.library.has_dynamic_globals
        or compiled.reload_init
        or any(name.startswith(RuntimeLinker.PREFIX) for name in variables)
        or any(name.startswith(GIL) for name in _imported(compiled))
        or any(environment is None or environment.consts for environment in environments)
    )


def _remove_oldest(files, most):
    """Remove those of the files that were not used for the longest time, if there are too many."""
    with suppress(OSError):  # another process does the same
        for file in sorted(files, key=lambda file: -file.stat().st_mtime)[most:]:
            file.unlink()
            file.with_suffix(".lock").unlink(missing_ok=True)


class NoCache(caching.NullCache):
    """No cache, for users' functions of which it is not known what their code depends on."""

    symbol = "not kept"

    @contextmanager
    def turn(self):
        """Take no turn: other processes do not wait."""
        yield


@cache
def cache_folder() -> Path | None:
    """Return the folder that holds the compiled code; None, after one warning, if there is none.

    It lies below ``CHAINRULE_CACHE_DIR`` if that is set, else below the user's cache folder. What
    is in it is executed, so nobody else may be able to put something there.
    """
    root = os.environ.get("CHAINRULE_CACHE_DIR")
    try:
        base = Path(os.path.realpath(root or _user_cache_folder()))
        folder = base / f"numba-{_compilation_key()}"
        is_new = not folder.is_dir()
        _make_folders(folder)
        others = who_else_writes(folder)
        if others is not None:
            _warn_once(others)
            return None
        if is_new:
            _remove_unused(base)
    except (OSError, RuntimeError) as error:
        _warn_once(str(error))
        return None
    with suppress(OSError):  # a folder that was filled before may be read-only
        os.utime(folder)
    return folder


@cache
def _warn_once(reason):
    warnings.warn(
        f"chainrule has nowhere to keep its compiled code ({reason}), so every process "
        "compiles it again. Set CHAINRULE_CACHE_DIR to a folder into which you alone can write.",
        RuntimeWarning,
        stacklevel=2,
    )


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it, so that others may look into them at most."""
    if not folder.is_dir():
        _make_folders(folder.parent)
        folder.mkdir(0o755, exist_ok=True)


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "chainrule" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "chainrule"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chainrule"


def compiled_on_disk() -> tuple[int, int]:
    """Return how many compiled functions the folder holds, and how many bytes they are."""
    folder = cache_folder()
    sizes = [] if folder is None else [file.stat().st_size for file in folder.glob("*.nbc")]
    return len(sizes), sum(sizes)


def _compilation_key() -> str:
    """Hash what all machine code depends on: versions, settings, sizes of blocks, and sources."""
    settings = {name: getattr(numba.config, name) for name in _NUMBA_SETTINGS}
    settings |= {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith("CHAINRULE_") and name != "CHAINRULE_CACHE_DIR"
    }
    versions = sys.version, numba.__version__, llvmlite.__version__
    block_sizes = blocks.L1_BYTES, blocks.L2_BYTES
    digest = hashlib.sha256(repr((versions, settings, block_sizes)).encode())
    for source in _sources():
        digest.update(f"{source.parent.name}/{source.name}".encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> list[Path]:
    package = Path(__file__).parent.parent
    files = [file for pattern in _COMPILED_SOURCES for file in sorted(package.glob(pattern))]
    if files:
        return files
    archive = getattr(__spec__.loader, "archive", None)  # the zip that the package lies in
    if archive is None:
        raise FileNotFoundError(f"no sources in {package}")
    return [Path(archive)]


def _remove_unused(base):
    """Remove the folders of versions that nobody has used for long."""
    for folder in base.glob(f"numba-{'[0-9a-f]' * 16}"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > SECONDS_UNUSED:
                shutil.rmtree(folder)

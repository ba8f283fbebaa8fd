"""The project's one jit decorator, its flags, and its disk cache.

Numba's own cache looks only at the file of the cached function, so a change in a kernel
would leave a stale interpreter behind (numba issues 1833, 3588), and it does not know the
compile flags (10821). Ours lies in a folder named by a hash of everything that the machine
code depends on: the sources of the compiled packages, the flags, and Numba's version.
"""

import hashlib
import os
import sys
import warnings
from functools import cache
from pathlib import Path

import numba
from numba.core import caching

COMMON_FLAGS = {"nogil": True, "error_model": "numpy"}
# No "nnan" and no "ninf": a NaN must stay visible to the user.
FAST_MATH = {"contract", "reassoc", "nsz", "arcp"}

FLAGS = COMMON_FLAGS | {"fastmath": FAST_MATH}
# Range reductions are wrong when reordered.
EXACT_FLAGS = COMMON_FLAGS | {"fastmath": {"contract"}}

JIT_DISABLED = bool(numba.config.DISABLE_JIT)

_COMPILED_PACKAGES = ("kernels", "engine")


def kernel(function):
    """Compile a function on its first call with the project's flags, and cache it on disk."""
    dispatcher = numba.njit(**FLAGS)(function)
    if not JIT_DISABLED and cache_folder() is not None:
        dispatcher._cache = _PackageCache(function)
    return dispatcher


def entry_point(function):
    """Do as :func:`kernel`, and tell the user when compiling it makes a call take long."""
    dispatcher = kernel(function)
    if not JIT_DISABLED:
        dispatcher._cache = _Announcing(dispatcher._cache)
    return dispatcher


@cache
def cache_folder() -> Path | None:
    """Return the folder that holds the compiled code; None, after one warning, if there is none.

    It lies below ``CHAINRULE_CACHE_DIR`` if that is set, else below the user's cache folder.
    """
    root = os.environ.get("CHAINRULE_CACHE_DIR")
    try:
        base = Path(root) if root else _user_cache_folder()
        folder = base / f"numba-{_compilation_key()}"
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} is not writable")
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"chainrule has nowhere to keep its compiled code ({error}), so every process "
            "compiles it again. Set CHAINRULE_CACHE_DIR to a writable folder.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return folder


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "chainrule" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "chainrule"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chainrule"


def _compilation_key() -> str:
    """Hash the sources, the flags and Numba's version."""
    flags = sorted(FAST_MATH), COMMON_FLAGS, numba.config.BOUNDSCHECK
    digest = hashlib.sha256(repr((numba.__version__, flags)).encode())
    loader = globals()["__spec__"].loader
    package = Path(__file__).parent.parent
    for name in _COMPILED_PACKAGES:
        try:
            sources = sorted((package / name).glob("*.py"))
            for source in sources:
                digest.update(source.name.encode() + source.read_bytes())
        except OSError:
            sources = []
        if not sources:  # inside a zip: no folder to list
            digest.update(str(getattr(loader, "archive", __file__)).encode())
    return digest.hexdigest()[:16]


class _PackageLocator(caching._CacheLocator):
    """Tells Numba to keep all compiled code in ``cache_folder()``."""

    def __init__(self, function):
        self._name = f"{function.__module__}-{function.__code__.co_firstlineno}"

    def get_cache_path(self):
        return str(cache_folder())

    def get_source_stamp(self):
        return 0  # the folder's name says it all

    def get_disambiguator(self):
        return self._name

    @classmethod
    def from_function(cls, function, source_file):
        return cls(function)


class _PackageCacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = (_PackageLocator,)


class _PackageCache(caching.FunctionCache):
    """A function cache that treats a damaged entry, or a disk that is full, as a miss."""

    _impl_class = _PackageCacheImpl

    def load_overload(self, signature, target_context):
        try:
            return super().load_overload(signature, target_context)
        except Exception:  # a damaged entry may raise anything while it is unpickled
            return None

    def save_overload(self, signature, data):
        try:
            super().save_overload(signature, data)
        except OSError as error:
            warnings.warn(f"chainrule could not keep its compiled code: {error}", RuntimeWarning, 2)
            self.disable()


class _Announcing:
    """A cache that says on stderr what takes so long when it does not have an entry."""

    def __init__(self, cache):
        self._cache = cache

    def load_overload(self, signature, target_context):
        compiled = self._cache.load_overload(signature, target_context)
        if compiled is None:
            message = "chainrule: compiling, once for all networks of this dtype (some 10 s) ..."
            print(message, file=sys.stderr, flush=True)
        return compiled

    def __getattr__(self, name):
        return getattr(self._cache, name)

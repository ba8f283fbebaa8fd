"""Fingerprints of users' functions: another one for whatever compiles to other code."""

import itertools
import os
import types

import numpy as np
import pytest
from numba import njit

from chainrule.kernels.fingerprint import Fingerprint, UnknownError, fingerprint_of
from chainrule.kernels.jit import JIT_DISABLED

pytestmark = pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")

START = "import math\nimport operator\nimport numpy as np\nfrom numba import njit\n"
CALLED = "@njit{options}\ndef g(x):\n    return {body}\n@njit\ndef f(x):\n    return g(x)\n"


def called(body="x", options="", before=""):
    return before + CALLED.format(body=body, options=options)


def constants(source, *values):
    return [source.format(k=value) for value in values]


def function(source):
    names = {}
    exec(START + source, names)
    return names["f"]


# Sources of a function f; within a line, all compile to other code.
DIFFERENT = {
    "code": ["@njit\ndef f(x):\n    return x + 1\n", "@njit\ndef f(x):\n    return x - 1\n"],
    "constant": constants("@njit\ndef f(x):\n    return {k}\n", "1", "1.0", "True", "-0.0", "0.0"),
    "global": constants("k = {k}\n@njit\ndef f(x):\n    return k\n", "1", "1.0", "np.float32(1)"),
    "tuple": constants("k = {k}\n@njit\ndef f(x):\n    return k\n", "(1, 2)", "(1, 3)", "(1,)"),
    "default": constants("@njit\ndef f(x, k={k}):\n    return k\n", 1, 2),
    "closure": constants(
        "def make(k):\n    @njit\n    def f(x):\n        return k\n    return f\nf = make({k})\n",
        1,
        2,
    ),
    "inner": [f"@njit\ndef f(x):\n    g = lambda v: {k} * v\n    return g(x)\n" for k in (1, 2)],
    "callee": [called("x + 1"), called("x + 2"), called("x + 1", "(fastmath=True)")],
    "flags": [called(options=f"(fastmath={{{flags}}})") for flags in ("'nsz'", "'nsz', 'arcp'")],
    "its global": [called("k * x", before=f"k = {k}\n") for k in (1, 2)],
    "its callee": [called("h(x)", before=f"@njit\ndef h(x):\n    return {k}\n") for k in (1, 2)],
    "named": [
        f"g = {g}\n@njit\ndef f(x):\n    return g(x)\n" for g in ("math.sin", "np.sin", "abs")
    ],
    "attribute": [f"@njit\ndef f(x):\n    return np.{g}(x)\n" for g in ("sin", "cos", "linspace")],
    "recursion": [f"@njit\ndef f(x):\n    return {k} if x < 0 else f(x - 1)\n" for k in (1, 2)],
}


@pytest.mark.parametrize("sources", DIFFERENT.values(), ids=DIFFERENT)
def test_what_compiles_to_other_code_has_another_fingerprint(sources):
    keys = [Fingerprint(function(source)).key for source in sources]
    assert keys == [Fingerprint(function(source)).key for source in sources]
    for one, other in itertools.combinations(keys, 2):
        assert one != other


UNKNOWN = {
    "array": "k = np.ones(2)\n@njit\ndef f(x):\n    return k[0]\n",
    "in a tuple": "k = 1, np.ones(2)\n@njit\ndef f(x):\n    return k[0]\n",
    "module": "@njit\ndef f(x):\n    return own.k\n",
    "plain function": "def g(x):\n    return x\n@njit\ndef f(x):\n    return g(x)\n",
    "class": "class C: pass\n@njit\ndef f(x):\n    return C\n",
    "not there": "@njit\ndef f(x):\n    return nowhere\n",
    "import": "@njit\ndef f(x):\n    import math\n    return x\n",
    "of C": "import ctypes\ng = ctypes.CDLL(None).abs\n@njit\ndef f(x):\n    return g(x)\n",
    "kept by Numba": "@njit\ndef f(x):\n    return x\nf.enable_caching = None\n",
    "renamed": "def sin(x): pass\nsin.__module__ = 'math'\n@njit\ndef f(x):\n    return sin(x)\n",
}


@pytest.mark.parametrize("source", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_plainly_known_has_none(source, tmp_path):
    if os.name != "posix" and "CDLL(None)" in source:
        pytest.skip("no library has this name")
    f = function(source)
    f.py_func.__globals__["own"] = types.ModuleType("own")
    if "enable_caching" in source:
        from numba.core.caching import FunctionCache

        f._cache = object.__new__(FunctionCache)
    with pytest.raises(UnknownError):
        Fingerprint(f)
    assert fingerprint_of(f) is None


def test_code_that_was_compiled_from_something_else_is_noticed():
    """Numba freezes what a function takes from outside, and keeps it for its types."""
    f = function(called("k * x", before="k = 2\n"))
    names = f.py_func.__globals__
    first = fingerprint_of(f)
    assert f(1.0) == 2.0
    assert fingerprint_of(f) is None  # nobody has noted what it was compiled from
    first.note()
    assert fingerprint_of(f).key == first.key
    names["k"] = 3
    assert f(1.0) == 2.0
    assert fingerprint_of(f) is None
    names["k"] = 2
    assert fingerprint_of(f).key == first.key
    names["g"] = njit(lambda x: x)  # in place of the one that f was compiled with
    assert fingerprint_of(f) is None


def test_other_globals_and_names_do_not_matter():
    source = "@njit\ndef f(x):\n    return x.shape\n"
    one, other = (function(f"shape = {shape}\n{source}") for shape in (1, "np.ones(2)"))
    assert Fingerprint(one).key == Fingerprint(other).key
    assert np.ones(2).shape == one(np.ones(2))

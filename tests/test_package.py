"""The public names of the package, and the modules that are imported by them."""

import inspect
import subprocess
import sys
from importlib import import_module
from inspect import ismodule

import pytest

import chainrule as cr

MODULES = [name for name in cr.__all__ if ismodule(getattr(cr, name))]
INTEROP = [f"interop.{name}" for name in dir(cr.interop)]
OTHERS = ["elementary", "explain", *INTEROP]


def test_dir_shows_public_names_only():
    assert dir(cr) == sorted(cr.__all__)
    assert dir(cr.interop) == ["onnx", "scipy", "sklearn", "torch"]


@pytest.mark.parametrize("name", [name for name in (*MODULES, *OTHERS) if name != "interop"])
def test_dir_of_a_public_module_shows_public_names_only(name):
    try:
        module = import_module(f"chainrule.{name}")
    except ImportError as error:
        pytest.skip(str(error))
    assert dir(module) == sorted(module.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_a_public_module_is_imported_by_its_name(name):
    assert import_module(f"chainrule.{name}") is getattr(cr, name)


@pytest.mark.parametrize("module", [cr, *(getattr(cr, name) for name in MODULES)])
def test_signatures_have_the_names_of_types(module):
    # Otherwise help() shows what NumPy's ArrayLike stands for, over several lines.
    for name in dir(module):
        if inspect.isfunction(function := getattr(module, name)):
            assert "numpy._typing" not in str(inspect.signature(function)), name


def test_a_public_module_may_be_the_first_import():
    for line in (
        "from chainrule.callbacks import EarlyStopping",
        "from chainrule.schedules import StepLR",
        "import chainrule.initializers as initializers; initializers.Normal()",
    ):
        subprocess.run([sys.executable, "-c", line], check=True)


@pytest.mark.parametrize("error", [cr.GradientMismatch, cr.ModelFileError, cr.NonFiniteError])
def test_errors_are_named_as_users_import_them(error):
    assert error.__module__ == "chainrule"
    assert getattr(cr, error.__name__) is error

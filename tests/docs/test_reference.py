"""The reference is complete: each public name has a docstring, and a place on one page."""

import re
import sys
from importlib import import_module
from inspect import getdoc, isclass, ismodule
from pathlib import Path
from pkgutil import walk_packages
from types import FunctionType

import chainrule

PAGES = sorted((Path(__file__).parents[2] / "docs" / "reference").glob("*.rst"))
# The last two tell their own package what its parts share.
INTERNAL = {"chainrule.__main__", "chainrule.cli.tables", "chainrule.plan"}


def public_modules():
    """Yield each module that has public names, with the name that it is imported by."""
    names = [info.name for info in walk_packages(chainrule.__path__, "chainrule.")]
    public = [f"chainrule.{name}" for name in chainrule.__all__]
    names += [name for name in public if name in sys.modules and name not in names]
    for name in ["chainrule", *names]:
        try:
            module = import_module(name) if name not in INTERNAL else None
        except ImportError:  # of something optional
            continue
        if hasattr(module, "__all__"):
            yield name, module


def public_objects():
    """Map each public object, by its identity, to its names."""
    objects = {}
    for module_name, module in public_modules():
        for name in module.__all__:
            value = getattr(module, name)
            if not ismodule(value) and name != "__version__":
                objects.setdefault(id(value), (value, []))[1].append(f"{module_name}.{name}")
    return list(objects.values())


def names_on_pages():
    found = []
    for page in PAGES:
        for name in re.findall(r"^   (chainrule\.[\w.*]+)$", page.read_text("utf-8"), re.MULTILINE):
            module, _, last = name.rpartition(".")
            names = import_module(module).__all__ if last == "*" else [last]
            found += [f"{module}.{each}" for each in names]
    return found


def test_each_public_name_has_one_place():
    shown = names_on_pages()
    assert len(shown) == len(set(shown))
    missing = [names for _, names in public_objects() if not set(names) & set(shown)]
    assert missing == []
    twice = [names for _, names in public_objects() if len(set(names) & set(shown)) > 1]
    assert twice == []


def test_what_is_shown_exists():
    modules = dict(public_modules())
    for name in names_on_pages():
        module, attribute = name.rsplit(".", 1)
        assert module not in modules or hasattr(modules[module], attribute), name


def test_public_names_have_docstrings():
    for value, names in public_objects():
        assert getdoc(value), names
        for name, member in vars(value).items() if isclass(value) else ():
            if not name.startswith("_") and isinstance(member, property | FunctionType):
                listed = re.search(rf"\b{name}\b[\w, ]* : ", getdoc(value))  # among Attributes
                assert listed or getdoc(getattr(value, name)), f"{names[0]}.{name}"

"""The types of ``chainrule.ops``, for type checkers: ``python tests/ops/stub.py`` writes the file.

Most functions are made when the package is imported, so no type checker finds them in the source.
"""

import inspect
import subprocess
import sys
from pathlib import Path

import chainrule as cr
from chainrule.ops.functions import NAMES

STUB = Path(__file__).parents[2] / "src" / "chainrule" / "ops" / "__init__.pyi"
HEAD = """\
# Written by tests/ops/stub.py.
from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike

"""


def text():
    """Return the file's text, formatted."""
    by_hand = [getattr(cr.ops, name) for name in cr.ops.__all__ if name not in NAMES]
    lines = [f"from {f.__module__} import {f.__name__} as {f.__name__}\n" for f in by_hand]
    lines = sorted([*lines, "from chainrule.ops.update import Arrays\n"])
    lines.append(f"\n__all__ = {sorted(cr.ops.__all__)}\n")
    lines += [_declaration(getattr(cr.ops, name)) for name in NAMES]
    command = [sys.executable, "-m", "ruff", "format", f"--stdin-filename={STUB}", "-"]
    source = HEAD + "".join(lines)
    formatted = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    return formatted.stdout


def _declaration(function):
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=_name(parameter.annotation))
        for parameter in signature.parameters.values()
    ]
    bare = str(signature.replace(parameters=parameters, return_annotation=signature.empty))
    for parameter in parameters:  # names of types, not texts
        bare = bare.replace(f": {parameter.annotation!r}", f": {parameter.annotation}")
    result = _name(signature.return_annotation)
    return f"\ndef {function.__name__}{bare} -> {result}: ...\n"


def _name(annotation):
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


if __name__ == "__main__":
    STUB.write_text(text())

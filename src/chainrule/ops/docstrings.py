"""Docstrings of functions on arrays, from those of layers, losses and optimizers."""

import re
from inspect import cleandoc
from types import SimpleNamespace
from typing import Any

from chainrule.reference.array_functions import ROWWISE, SHAPES, ArrayFunction
from chainrule.reference.ops import FUNCTIONS

REAL = "array_like of real numbers"
LIST = "array, or list of arrays"
OTHERS = {
    "axis": "axis : int\n    Along which the vectors lie.",
    "sample_weight": "sample_weight : array_like, optional\n    One weight a row, of shape (n,). "
    "The mean is then ``sum(w * row_loss) / sum(abs(w))``.",
    "out": "out : array, optional\n    It takes the result.",
    "where": "where : array_like of bool\n    Which elements to compute; others stay as they are.",
    "step": "step : int\n    The number of this step, from 1.",
    "weight_decay": "weight_decay : float\n    0 or more.",
}


def docstring(function: ArrayFunction, spec: Any) -> str:
    """Return the docstring of a function that is made from its twin."""
    described = _described(spec) | OTHERS
    taken = [name for name in function.signature.parameters if name not in function.arrays]
    sections = {"Parameters": _arrays(function) + [described[name] for name in taken]}
    if function.kind == "loss":
        value = "value : float\n    Accumulated in float64; 0 of nothing, or without any weight."
        sections["Returns"] = [value, "d_output : array\n    The gradient by the output."]
    error = "ValueError, TypeError\n    If an argument is wrong; before anything is changed."
    sections["Raises"] = [error]
    if not function.name.endswith("_backward"):
        sections["References"] = [_section(spec.__doc__, "References")]
    sections["Examples"] = [_example(function)]
    texts = _summary(function, spec)
    for title, entries in sections.items():
        if any(entries):
            texts.append("\n".join([title, "-" * len(title), *entries]))
    return "\n\n".join(texts) + "\n"


def _summary(function: ArrayFunction, spec: Any) -> list[str]:
    if function.name.endswith("_backward"):
        read = "input" if "x" in function.arrays else "output"
        text = f"Return ``dx`` of :func:`{function.operation}`, from its {read}."
        return [text, cleandoc(function.twin.__doc__ or "").partition("\n\n")[0]]
    before = re.split(r"\n\n\w+\n---+\n", cleandoc(spec.__doc__))[0]
    texts = [text for text in before.split("\n\n") if not text.startswith("Shapes:")]
    if function.kind == "loss":
        texts.append("What the loss compares with, y, is the target here, or the label.")
    if function.kind == "update":
        texts.append("The step is taken in place.")
    return texts


def _section(doc: str, title: str) -> str:
    """Return the text of a section of a docstring, "" if it has none."""
    found = re.search(rf"\n{title}\n-+\n(.*?)(\n\n\w+\n---|\Z)", cleandoc(doc), re.DOTALL)
    return found[1].rstrip() if found else ""


def _described(spec: Any) -> dict[str, str]:
    """Return what is said of each argument of a class, or of one that it inherits from."""
    found = {}
    for kind in reversed(spec.__mro__):
        for entry in re.split(r"\n(?=\w)", _section(kind.__doc__ or "", "Parameters")):
            name, colon, _ = entry.partition(" : ")
            if colon:  # else it says that they are as in a class before
                found[name] = entry
    return found


def _arrays(function: ArrayFunction) -> list[str]:
    """Return what is said of the arrays."""
    if function.kind in ("elementwise", "rowwise"):
        return [f"{', '.join(function.arrays)} : {REAL}"]
    if function.kind == "update":
        params, grads, *state = function.arrays
        kept = f"{', '.join(state)} : {LIST}"
        return [
            f"{params} : {LIST}\n    Changed.",
            f"{grads} : {LIST}\n    They broadcast to the shapes of params.",
            f"{kept}\n    Changed; of the shapes of params, and zeros before the first step.",
        ]
    output, target = "(n, *)", "broadcasts to the output's shape"
    if function.name in SHAPES:
        shapes = SHAPES[function.name]
        output, target = shapes.output, f"broadcasts to shape ``{shapes.target}``"
    if "label" in function.arrays:
        label = "label : array_like of int\n    Of shape ``(*)``, from 0 to classes - 1."
        return [f"output : {REAL}\n    Of shape ``(*, classes)``.", label]
    return [f"output : {REAL}\n    Of shape ``{output}``.", f"target : {REAL}\n    It {target}."]


def _example(function: ArrayFunction) -> str:
    """Return lines that call the function, and what its twin returns."""
    name, lines, shown = f"cr.ops.{function.name}", [], "y.round(4).tolist()"
    if function.kind == "update":
        names = [array for array, default in function.arrays.items() if default is not None]
        state = ["np.zeros(2)"] * (len(names) - 2)
        step = "step=1, " if "step" in function.numbers else ""
        lines += [
            "import numpy as np",
            f"{', '.join(names)} = {', '.join(['np.ones(2)', 'np.array([4.0, -4.0])', *state])}",
            f"{name}({', '.join(names)}, {step}lr=0.5)",
        ]
        shown = "params.round(4).tolist()"
    elif function.kind == "loss":
        given = "[[1.5], [5.0]], [[1.0], [1.0]]"
        if function.name in SHAPES or "label" in function.arrays:
            given = "[[0.0, 0.5, 2.0, 4.0]], "
            given = "[[0.0, 0.5, 2.0]], [1.0]" if function.name == "quantile" else given + "[1]"
            given = "[[0.0, 0.5]], [[1.0]]" if function.name == "gaussian_nll" else given
        lines.append(f"value, d_output = {name}({given})")
        shown = "round(value, 4), d_output.round(4).tolist()"
    elif "dy" in function.arrays:
        dy = [1.0] * (2 // ROWWISE.get(function.operation, 1))
        read = "x = [-1.0, 2.0]"
        if "y" in function.arrays:
            read = f"y = cr.ops.{function.operation}([-1.0, 2.0])"
        lines += [read, f"dx = {name}({dy}, {read[0]})"]
        shown = "dx.round(4).tolist()"
    else:
        lines.append(f"y = {name}([-1.0, 2.0])")
    namespace = {"cr": SimpleNamespace(ops=SimpleNamespace(**FUNCTIONS))}
    exec("\n".join(lines), namespace)
    result = repr(eval(shown, namespace))
    return "\n".join([">>> import chainrule as cr", *(f">>> {s}" for s in [*lines, shown]), result])

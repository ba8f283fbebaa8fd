"""The functions on arrays that follow from operations: activations, losses, optimizers' updates.

What they take follows from the twins (:mod:`chainrule.reference.array_functions`); how numbers are
validated, and most of the docstrings, from the layers, losses and optimizers.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from chainrule import layers, losses, optimizers
from chainrule.operations.operation import find
from chainrule.ops.docstrings import docstring
from chainrule.ops.elementwise import ElementwiseFunction
from chainrule.ops.loss import LabelLoss, PointwiseLoss, SpecLoss
from chainrule.ops.rowwise import RowwiseFunction
from chainrule.ops.update import CheckedUpdate, UpdateFunction
from chainrule.reference.array_functions import PUBLIC, ROWWISE, SHAPES, ArrayFunction, Choice
from chainrule.utils.arguments import Check, at_least_zero, integer


@cache
def _specs() -> dict[str, Any]:
    """Return the classes of layers, losses and optimizers by the operations that they become."""
    found = {}
    for package in (layers, losses, optimizers):
        for spec in (getattr(package, name) for name in package.__all__):
            operation = getattr(spec, "operation", None)
            if isinstance(operation, property):  # it depends on the numbers
                operation = spec().operation
            if isinstance(operation, str):
                found[operation] = spec
    return found


def _checks(function: ArrayFunction, spec: Any) -> dict[str, Check]:
    """Return how each number is validated, by the names that users know."""
    # Patterns of names are for networks.
    known = spec.number_checks | {"weight_decay": at_least_zero, "step": integer}
    taken = function.signature.parameters
    names = ("betas" if name == "beta1" else name for name in function.numbers)
    return {name: known[name] for name in names if name in taken}


def _form(function: ArrayFunction) -> str:
    """Return a letter for each number, as of :class:`~chainrule.ops.entries.Entries`."""
    letters = {bool: "b", int: "i", float: "f"}
    return "".join(letters[type(value)] for value in function.numbers.values())


def _run_of(function: ArrayFunction, spec: Any) -> Callable[..., Any]:
    """Return what a function calls, with the arrays as a tuple."""
    module = import_module(f"chainrule.operations.{function.operation}")
    kernel, names = getattr(module, function.name), [*function.arrays]
    checks = _checks(function, spec)
    if function.kind == "elementwise":
        return ElementwiseFunction(kernel, names, checks)
    if function.kind == "rowwise":
        return RowwiseFunction(kernel, names, ROWWISE[function.operation])
    if function.kind == "update":
        update = UpdateFunction(kernel, names, _form(function))
        return CheckedUpdate(update, names, checks, find(function.operation).optional)
    if function.name in SHAPES:
        return SpecLoss(spec, [*function.numbers])
    kind = LabelLoss if "label" in names else PointwiseLoss
    loss = kind(kernel, checks, _form(function))
    if function.weights is not None:
        loss.weighted = SpecLoss(spec, [function.weights, *function.numbers])
    return loss


@cache
def array_function(name: str) -> Callable[..., Any]:
    """Return the function of this name, which is made when it is first asked for."""
    function = PUBLIC[name]
    spec = _specs()[function.operation]
    run: Any
    if function.choice:
        argument, operations = function.choice
        runs = {key: _run_of(function.of(other), spec) for key, other in operations.items()}
        run = Choice(argument, runs)
    else:
        run = _run_of(function, spec)
    made = function.define(run, "chainrule.ops", docstring(function, spec))
    made.__annotations__ = _annotations(function)
    return made


def _annotations(function: ArrayFunction) -> dict[str, Any]:
    """Return the types of arguments and result; names where types would be shown at length."""
    array = "Arrays" if function.kind == "update" else "ArrayLike"
    found: dict[str, Any] = {"axis": int, "sample_weight": "ArrayLike | None"}
    found |= {"out": "Any", "where": "ArrayLike", "betas": "tuple[float, float]", "step": int}
    found |= {name: array + " | None" * (d is None) for name, d in function.arrays.items()}
    for name, value in function.numbers.items():
        found[name] = "Sequence[float]" if isinstance(value, tuple) else type(value)
    if function.choice:
        found[function.choice[0]] = f"Literal[{', '.join(map(repr, function.choice[1]))}]"
    if function.weights:
        found[function.weights] = "ArrayLike | None"
    results = {"loss": "tuple[float, Any]", "update": None}
    taken = function.signature.parameters
    return {name: found[name] for name in taken} | {"return": results.get(function.kind, "Any")}


ACTIVATIONS = [
    name
    for name, function in PUBLIC.items()
    if function.kind == "elementwise" and name == function.operation
]
NAMES = [name for name in PUBLIC if name != "sgd_update"]  # which is written by hand

"""Which functions on arrays there are, and what they take: all of it follows from the twins.

- ``f(x, y, ...)`` and ``f_backward(dy, x, dx, ...)``, or one that reads ``y``: an activation;
- ``f(output, target, weight, total, terms, d_output, ...)``, or with ``label``: a loss;
- ``f_update(params, grads, ...)``: an optimizer's step, with the state vectors that it changes.

Behind these arrays, twins take numbers, with their usual values as defaults. A state vector whose
default is None may be left out. ``chainrule.ops`` has the same functions, compiled.
"""

import linecache
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from inspect import Parameter, Signature, signature
from pkgutil import iter_modules
from typing import Any, NamedTuple

# Functions of the vectors along an axis, and how many numbers of x make one of y.
ROWWISE = {"softmax": 1, "log_softmax": 1, "glu": 2}
# An argument that chooses the operation.
CHOICES = {"gelu": ("approximate", {"none": "gelu", "tanh": "gelu_tanh"})}
# An argument of a loss for weights of its own, and the operation that takes these.
WEIGHTED = {
    "bce_with_logits": ("pos_weight", "weighted_bce_with_logits"),
    "cross_entropy": ("weight", "weighted_cross_entropy"),
}
# They are no functions of their own then; nor is what only other operations use.
PARTS = frozenset({"gelu_tanh", "rsqrt", "weighted_bce_with_logits", "weighted_cross_entropy"})


class Shapes(NamedTuple):
    """The shapes of a loss's output and target, where they are not the same.

    ``of_target`` returns the target's by the output's; ``terms`` says which of both the terms have.
    """

    output: str
    target: str
    of_target: Callable[[tuple[int, ...]], tuple[int, ...]]
    terms: str = "output"


SHAPES = {
    "gaussian_nll": Shapes(
        "(n, 2 * k)",
        "(n, k)",
        lambda shape: (shape[0], shape[1] // 2),
        terms="target",
    ),
    "quantile": Shapes("(n, *, quantiles)", "(n, *)", lambda shape: shape[:-1]),
}

# All files are loaded before the package's names are made: some functions have the name of a file,
# and Python makes a file that it loads an attribute of its package.
FILES = {
    name: import_module(f"{__package__}.{name}")
    for _, name, _ in iter_modules(import_module(__package__).__path__)
    if name not in ("ops", "array_functions")
}


@dataclass(eq=False)
class ArrayFunction:
    """One function on arrays.

    Attributes
    ----------
    name : str
    operation : the name of the file that its kernel and its twin stand in.
    kind : "elementwise", "rowwise", "loss" or "update"
    arrays : the names of the arrays that it takes, with None as the default of optional ones.
    numbers : by name, their usual values; in the order of the twin.
    """

    name: str
    operation: str
    kind: str
    arrays: Mapping[str, Any]
    numbers: Mapping[str, Any]

    @property
    def twin(self) -> Callable[..., Any]:
        """The kernel's twin."""
        twin: Callable[..., Any] = getattr(FILES[self.operation], self.name)
        return twin

    @property
    def choice(self) -> tuple[str, Mapping[str, str]] | None:
        """The argument that chooses the operation, if there is one, and the operations."""
        return CHOICES.get(self.operation)

    @property
    def weights(self) -> str | None:
        """The argument for weights of its own that a loss has, if it has one."""
        return WEIGHTED[self.name][0] if self.name in WEIGHTED else None

    def of(self, operation: str) -> "ArrayFunction":
        """Return the same function of another operation."""
        return FUNCTIONS[self.name.replace(self.operation, operation)]

    @cached_property
    def signature(self) -> Signature:
        """What the function takes."""
        made = [_parameter(name, default) for name, default in self.arrays.items()]
        if self.kind == "update":
            numbers = _with_betas(self.numbers)
            first = {"step": Parameter.empty} if "step" in numbers else {}
            named = first | {name: value for name, value in numbers.items() if name != "step"}
            made += [_parameter(name, default, by_name=True) for name, default in named.items()]
            return Signature(made)
        made += [_parameter(name, default) for name, default in self.numbers.items()]
        if self.choice:
            made.append(_parameter(self.choice[0], next(iter(self.choice[1]))))
        if self.kind == "rowwise":
            made.append(_parameter("axis", -1))
        if self.kind == "loss":
            made.append(_parameter("sample_weight", None))
        if self.weights:
            made.append(_parameter(self.weights, None, by_name=True))
        made.append(_parameter("out", None, by_name=True))
        if self.kind == "elementwise":
            made.append(_parameter("where", True, by_name=True))
        return Signature(made)

    def define(self, run: Any, module: str, doc: str) -> Callable[..., Any]:
        """Return a function of this signature, which calls ``run``.

        As dataclasses do, it is made from text: then it costs what one written by hand costs, and
        Python tells a wrong call as it does for any function.

        ``run`` gets the arrays as a tuple, then ``axis``, ``sample_weight``, ``out`` and ``where``,
        as far as the function has them, and the numbers in the twin's order. Where there is a
        choice, it is found by that in ``run``. If a loss gets weights of its own, ``run.weighted``
        is called, with these before the numbers.
        """
        taken = self.signature
        given = [f"({', '.join(self.arrays)},)"]
        others = "axis", "sample_weight", "out", "where"
        given += [name for name in others if name in taken.parameters]
        numbers = [*_with_betas(self.numbers)]
        chosen = f"run[{self.choice[0]}]" if self.choice else "run"
        lines = [f"return {chosen}({', '.join([*given, *numbers])})"]
        if self.weights:
            weighted = f"return run.weighted({', '.join([*given, self.weights, *numbers])})"
            lines = [f"if {self.weights} is not None:", f"    {weighted}", *lines]
        source, file = (
            "\n    ".join([f"def {self.name}{taken}:", *lines]),
            f"<{module}.{self.name}>",
        )
        # Where tracebacks and inspect.getsource look for it.
        linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
        namespace: dict[str, Any] = {"run": run, "__name__": module}
        exec(compile(source, file, "exec"), namespace)
        function: Callable[..., Any] = namespace[self.name]
        function.__doc__ = doc
        return function


class Choice(dict[str, Callable[..., Any]]):
    """What a function calls, by an argument's value."""

    def __init__(self, name: str, choices: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(choices)
        self._name = name

    def __missing__(self, value: Any) -> Any:
        expected = " or ".join(map(repr, self))
        raise ValueError(f"{self._name} must be {expected}, not {value!r}.")


def _parameter(name: str, default: Any, *, by_name: bool = False) -> Parameter:
    kind = Parameter.KEYWORD_ONLY if by_name else Parameter.POSITIONAL_OR_KEYWORD
    return Parameter(name, kind, default=default)


def _with_betas(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers with beta1 and beta2 as one pair, as optimizers take them."""
    betas = tuple(numbers[name] for name in ("beta1", "beta2") if name in numbers)
    pair = {"beta1": ("betas", betas)}
    found = [pair.get(name, (name, value)) for name, value in numbers.items() if name != "beta2"]
    return dict(found)


def _found_in(operation: str, names: Mapping[str, Any]) -> Iterator[ArrayFunction]:
    forward, backward, update = (
        names.get(f"{operation}{end}") for end in ("", "_backward", "_update")
    )
    if update is not None and "params" in _defaults(update):  # not that of a layer's buffers
        yield _update(operation, update)
    if forward is None:
        return
    taken = _defaults(forward)
    if [*taken][:2] == ["x", "y"] and backward is not None:
        read = [*_defaults(backward)][1]
        if read in ("x", "y"):
            kind = "rowwise" if operation in ROWWISE else "elementwise"
            numbers = dict([*taken.items()][2:])
            yield ArrayFunction(operation, operation, kind, _required("x"), numbers)
            name = f"{operation}_backward"
            yield ArrayFunction(name, operation, kind, _required("dy", read), numbers)
    elif "d_output" in taken:
        numbers = dict([*taken.items()][[*taken].index("d_output") + 1 :])
        yield ArrayFunction(operation, operation, "loss", _required(*[*taken][:2]), numbers)


def _update(operation: str, update: Callable[..., Any]) -> ArrayFunction:
    taken = _defaults(update)
    arrays = {
        name: default for name, default in taken.items() if default in (Parameter.empty, None)
    }
    numbers = {name: default for name, default in taken.items() if name not in arrays}
    return ArrayFunction(f"{operation}_update", operation, "update", arrays, numbers)


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: p.default for name, p in signature(function).parameters.items()}


def _required(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, Parameter.empty)


FUNCTIONS = {
    function.name: function
    for operation, module in FILES.items()
    for function in _found_in(operation, vars(module))
}
PUBLIC = {name: function for name, function in FUNCTIONS.items() if function.operation not in PARTS}

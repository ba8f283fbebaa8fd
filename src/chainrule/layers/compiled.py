"""CompiledLayer: a custom layer that is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.layers.custom_functions import (
    check_function,
    check_parameters,
    function_name,
)
from chainrule.layers.custom_tangent import (
    Rule,
    TangentFunctions,
    dots,
    tangent_by,
    tangent_of_bilinear,
)
from chainrule.layers.layer import Layer, Parameter
from chainrule.layers.shapes import check_shape
from chainrule.operations.operation import Function, Operation, Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import flag

ShapeRule = Shape | Callable[[Shape], Shape] | None


class CompiledLayer(Layer):
    """A layer of your own, from two functions that Numba compiles: forward and backward.

    They are called from inside compiled code, for each batch; the library is not compiled again.
    Each takes arrays by name, in any order, and only those that it needs:

    - ``forward``: ``x``, each parameter by its name, and ``y`` to write into;
    - ``backward``: ``dy``, ``x``, ``y``, each parameter, and ``dx`` to write into, and ``d_`` and
      the name of each parameter;
    - both: ``saved``, for what forward writes for backward to read.

    ``dx`` and the parameters' gradients hold zeros when backward begins, so that it may add to
    them; ``y`` and ``saved`` hold anything. Each call is for some rows of the batch, as several
    threads may share it: a row of y must not depend on another row of x. A parameter's gradient is
    the sum over the rows of the call; those of all calls are added up. Which rows come together
    does not depend on the number of threads.

    Parameters
    ----------
    forward, backward : functions
        Decorated with ``numba.njit``; or plain ones, which are compiled with the flags of
        chainrule's own kernels (sums may be reordered, so that loops vectorise; ``x / 0`` is
        infinite and no error).
    parameters : dict of name: Parameter
        What is trained.
    output_shape : tuple, or function of the input's shape, optional
        Without the batch; the input's if it is not given.
    saved_shape : tuple, or function of the input's shape
        Of ``saved``, for each row.
    tangent : function, optional
        For forward mode, as :func:`jvp` needs it: writes ``y_dot``, how fast y changes, from
        ``x_dot`` and the name of each parameter with ``_dot`` behind it, how fast these do. It
        also takes what forward takes and writes.
    tangent_backward : function, optional
        For second derivatives, as :func:`hvp` needs them: the backward of ``tangent``. From ``dy``,
        the gradient by y_dot, it computes those by x and by the parameters, on which y_dot depends
        as well: it takes what ``tangent`` takes, and writes into ``dx`` and ``d_`` and the name of
        each parameter. (The gradient by x_dot is what ``backward`` computes.)
    linear : bool
        Whether y is linear in x, and, where there are parameters, in all of these together, without
        a constant: as ``x * scale``, or ``x @ weight``, is. Then all of these derivatives follow
        from forward and backward.
    name : str, optional
        As of every layer.

    Raises
    ------
    TypeError
        If a function takes what there is not, or does not take what it must write.
    ValueError
        If a parameter's name is taken; if there is a tangent_backward without a tangent, or a
        tangent of what is linear.

    See Also
    --------
    NumPyLayer : the same in plain NumPy.
    Activation : a layer from a function of one number.

    Examples
    --------
    A layer that scales each feature, and learns by how much:

    >>> import numpy as np
    >>> import chainrule as cr
    >>> def forward(x, scale, y):
    ...     for i in range(x.shape[0]):
    ...         for j in range(x.shape[1]):
    ...             y[i, j] = x[i, j] * scale[j]
    >>> def backward(dy, x, scale, dx, d_scale):
    ...     for i in range(x.shape[0]):
    ...         for j in range(x.shape[1]):
    ...             dx[i, j] = dy[i, j] * scale[j]
    ...             d_scale[j] += dy[i, j] * x[i, j]
    >>> scale = cr.Parameter((3,), cr.initializers.Constant(2.0))
    >>> layer = cr.CompiledLayer(forward, backward, parameters={"scale": scale})
    >>> net = cr.Sequential(layer, cr.Linear(3, 1), seed=0)
    >>> cr.gradcheck(net, cr.MSELoss(), np.ones((5, 3)), np.zeros(5)).passed
    True
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        *,
        parameters: Mapping[str, Parameter] | None = None,
        output_shape: ShapeRule = None,
        saved_shape: ShapeRule = (),
        tangent: Callable[..., Any] | None = None,
        tangent_backward: Callable[..., Any] | None = None,
        linear: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._parameters = check_parameters(parameters or {}, "CompiledLayer's parameters")
        own = list(self._parameters)
        gradients, changes = [f"d_{name}" for name in own], ["x_dot", *dots(self._parameters)]
        self._functions: dict[str, Callable[..., Any]] = {}
        self._takes: dict[str, tuple[str, ...]] = {}
        self._add("forward", forward, ["x", *own, "saved", "y"], ["y"])
        saved = ["saved"] if "saved" in self._takes["forward"] else []  # or nobody has written it
        values = ["x", "y", *saved, *own]
        self._add("backward", backward, ["dy", *values, "dx", *gradients], ["dx", *gradients])
        if tangent is not None:
            self._add("tangent", tangent, [*values, *changes, "y_dot"], ["y_dot"], changes)
        if tangent_backward is not None:
            allowed = ["dy", *values, *changes, "dx", *gradients]
            self._add("tangent_backward", tangent_backward, allowed, ["dx", *gradients])
            if tangent is None:
                raise ValueError("CompiledLayer has a tangent_backward, but no tangent.")
        self._linear = flag(linear, "CompiledLayer's linear")
        if linear and tangent is not None:
            raise ValueError("CompiledLayer must have either a tangent or linear=True, not both.")
        for name_of_rule, rule in (("output_shape", output_shape), ("saved_shape", saved_shape)):
            if rule is not None and not callable(rule):
                check_shape(rule, f"CompiledLayer's {name_of_rule}")
        self._output_shape, self._saved_shape = output_shape, saved_shape

    def _add(
        self,
        name: str,
        function: Callable[..., Any],
        allowed: list[str],
        written: list[str],
        read: Sequence[str] = (),
    ) -> None:
        owner = f"CompiledLayer's {name}"
        self._takes[name] = check_function(function, owner, allowed, written, read)
        self._functions[name] = function

    # Two layers are the same if they are one: what functions compute cannot be compared.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        names = (function_name(self._functions[name]) for name in ("forward", "backward"))
        return f"CompiledLayer({', '.join(names)})"

    def output_shape(self, input_shape: Shape) -> Shape:
        return _shape_by(self._output_shape, input_shape)

    def parameters(self) -> dict[str, Parameter]:
        return dict(self._parameters)

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        saved = {}
        if "saved" in self._takes["forward"]:
            shape = _shape_by(self._saved_shape, x.shape)
            saved["saved"] = Tensor(check_shape(shape, "CompiledLayer's saved_shape"))
        uses = {
            name: plan.parameter(name, parameter.shape)
            for name, parameter in self._parameters.items()
        }
        operation = self._operation(f"{self!r} (layer {plan.path})")
        return plan.apply(
            operation, x, shape=self.output_shape(x.shape), parameters=uses, saved=saved
        )

    def _operation(self, label: str) -> Operation:
        return Operation(
            label,
            self._function("forward", label),
            {"x": self._function("backward", label)},
            tangent=self._tangent(label),
        )

    def _function(self, name: str, label: str) -> Function:
        return Function(
            self._functions[name],
            self._takes[name],
            f"the {name} of {label}",
            adds_up=name.endswith("backward"),
        )

    def _tangent(self, label: str) -> Rule | None:
        if self._linear:
            return tangent_of_bilinear(lambda: self._operation(label))
        if "tangent" not in self._functions:
            return None
        has_backward = "tangent_backward" in self._functions
        return tangent_by(
            TangentFunctions(
                self._function("tangent", label),
                self._function("backward", label),
                self._function("tangent_backward", label) if has_backward else None,
                f"{label} has a tangent, but no tangent_backward, which second derivatives need.",
            )
        )


def _shape_by(rule: ShapeRule, input_shape: Shape) -> Shape:
    if rule is None:
        return input_shape
    return rule(input_shape) if callable(rule) else rule

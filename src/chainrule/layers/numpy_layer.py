"""NumPyLayer: a custom layer in NumPy."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.layers.custom_functions import check_parameters
from chainrule.layers.custom_tangent import (
    Rule,
    TangentFunctions,
    dots,
    tangent_by,
    tangent_of_bilinear,
)
from chainrule.layers.graph import kind_of
from chainrule.layers.layer import Layer
from chainrule.layers.returned import checked, pair
from chainrule.operations.operation import Function, Operation, Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import flag
from chainrule.utils.wording import possessive

Array = NDArray[Any]


class NumPyLayer(Layer):
    """A layer of your own in NumPy: derive from it, and write forward and backward.

    Compiled code calls them for each batch, whole, and goes on; so a plan with such a layer is
    run by one thread. They get arrays of the network's dtype that are theirs to keep, and return
    anything that can be converted to it. Derivatives of single rows, as of :func:`jacobian`, take
    each row of y to follow from its row of x.

    A subclass may have arguments of its own, in an ``__init__`` or as a frozen dataclass. For
    forward mode, it also has a :meth:`tangent`; for second derivatives, a :meth:`tangent_backward`
    as well; or it is ``linear``.

    Attributes
    ----------
    linear : bool
        False. A subclass that says True is linear in x, and, where there are parameters, in all of
        these together, without a constant: as ``x * scale``, or ``x @ weight``, is. Then all
        derivatives follow from forward and backward.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> class Scale(cr.NumPyLayer):
    ...     def __init__(self, features):
    ...         self.features = features
    ...     def parameters(self):
    ...         return {"scale": cr.Parameter((self.features,), cr.initializers.Constant(2.0))}
    ...     def forward(self, x, scale):
    ...         return x * scale, (x, scale)
    ...     def backward(self, dy, saved):
    ...         x, scale = saved
    ...         return dy * scale, {"scale": (dy * x).sum(axis=0)}
    >>> net = cr.Sequential(Scale(3), cr.Linear(3, 1), seed=0)
    >>> cr.gradcheck(net, cr.MSELoss(), np.ones((5, 3)), np.zeros(5)).passed
    True
    """

    linear: ClassVar[bool] = False

    # Two layers are the same if they are one, unless a subclass is a dataclass.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def forward(self, x: Array, **parameters: Array) -> tuple[Any, Any]:
        """Return y, and anything that backward shall know.

        Parameters
        ----------
        x : array of shape ``(n, *)``
            The batch.
        **parameters : arrays
            The layer's parameters by name; write them as arguments: ``forward(self, x, weight)``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward.")

    def backward(self, dy: Array, saved: Any) -> tuple[Any, Mapping[str, Any]]:
        """Return the loss's gradient by x, and a dict of those by the parameters.

        A parameter's gradient is the sum over the batch.

        Parameters
        ----------
        dy : array of y's shape
            The loss's gradient by y.
        saved
            What forward returned beside y.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward.")

    def tangent(self, x_dot: Array, saved: Any, **dots: Array) -> Any:
        """Return how fast y changes.

        Parameters
        ----------
        x_dot : array of x's shape
            How fast x changes.
        saved
            What forward returned beside y.
        **dots : arrays
            How fast each parameter changes, by its name with ``_dot`` behind it; write them as
            arguments: ``tangent(self, x_dot, saved, weight_dot)``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no tangent.")

    def tangent_backward(
        self, dy: Array, x_dot: Array, saved: Any, **dots: Array
    ) -> tuple[Any, Mapping[str, Any]]:
        """Return the loss's gradient by x through the tangent, and a dict of those by parameters.

        The tangent depends on x and on the parameters as well; that by x_dot is what
        :meth:`backward` returns.

        Parameters
        ----------
        dy : array of y's shape
            The loss's gradient by what :meth:`tangent` returned.
        x_dot, saved, **dots
            As tangent got them.
        """
        raise NotImplementedError(f"{type(self).__name__} has no tangent_backward.")

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        """Check the numbers, and what the functions take; done when a network is made."""
        super().check_numbers(dtype)
        owner = possessive(type(self).__name__)
        names = list(check_parameters(self.parameters(), f"{owner} parameters"))
        if not self._has("forward"):
            raise TypeError(
                f"{type(self).__name__} has no forward(self, {', '.join(['x', *names])})."
            )
        self._check_names("forward", ["x"], names)
        if self._has("backward"):
            self._check_names("backward", ["dy", "saved"], [])
        changes = dots(names)
        if self._has("tangent"):
            self._check_names("tangent", ["x_dot", "saved"], changes)
        if self._has("tangent_backward"):
            self._check_names("tangent_backward", ["dy", "x_dot", "saved"], changes)
            if not self._has("tangent"):
                raise TypeError(f"{type(self).__name__} has a tangent_backward, but no tangent.")
        linear = flag(self.linear, f"{owner} linear")
        if linear and self._has("tangent"):
            raise TypeError(f"{type(self).__name__} must have either a tangent or linear = True.")

    def _check_names(self, function: str, first: Sequence[str], names: Sequence[str]) -> None:
        """Check a function's parameters: their number, and what is given by name."""
        takes = list(inspect.signature(getattr(self, function)).parameters)
        if len(takes) != len(first) + len(names) or takes[len(first) :] != [*names]:
            raise TypeError(
                f"{type(self).__name__}.{function} must take "
                f"(self, {', '.join([*first, *names])}), as parameters() says, not "
                f"(self, {', '.join(takes)})."
            )

    def _has(self, function: str) -> bool:
        return getattr(type(self), function) is not getattr(NumPyLayer, function)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the output's shape without the batch.

        Found by calling forward with zeros, for a batch of two rows; a subclass may know better.
        """
        zeros = {name: np.zeros(parameter.shape) for name, parameter in self.parameters().items()}
        label = f"The forward of {kind_of(self)}"
        try:
            with np.errstate(all="ignore"):
                y, _ = pair(self.forward(np.zeros((2, *input_shape)), **zeros), label, "y, saved")
        except ValueError as error:
            raise ValueError(f"cannot take it ({error})") from error
        shape = np.shape(y)
        if shape[:1] != (2,):
            raise TypeError(
                f"{label} must return a y with a row for each row of x, but for 2 rows its shape "
                f"is {shape}."
            )
        result: Shape = shape[1:]
        return result

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        self.check_numbers()
        uses = {name: plan.parameter(name, own.shape) for name, own in self.parameters().items()}
        operation = self._operation(f"{kind_of(self)} (layer {plan.path})", list(uses))
        return plan.apply(operation, x, shape=self.output_shape(x.shape), parameters=uses)

    def _operation(self, where: str, names: list[str]) -> Operation:
        calls = _Calls(self, names, where)
        gradients = [f"d_{name}" for name in names]
        return Operation(
            where,
            calls.function("forward", "x", "y", *names),
            {"x": calls.function("backward", "dy", "dx", *gradients)},
            tangent=self._tangent(calls, names, where),
        )

    def _tangent(self, calls: _Calls, names: list[str], where: str) -> Rule | None:
        if self.linear:
            return tangent_of_bilinear(lambda: self._operation(where, names))
        if not self._has("tangent"):
            return None
        changes, gradients = dots(names), [f"d_{name}" for name in names]
        backward = None
        if self._has("tangent_backward"):
            backward = calls.function("tangent_backward", "dy", "x_dot", "dx", *changes, *gradients)
        return tangent_by(
            TangentFunctions(
                calls.function("tangent", "x_dot", "y_dot", *changes),
                calls.function("backward", "dy", "dx", *gradients),
                backward,
                f"{where} has a tangent, but no tangent_backward, which second derivatives need.",
            )
        )


class _Calls:
    """The functions as a plan calls them: with arrays to write into, and what is saved here."""

    def __init__(self, layer: NumPyLayer, names: list[str], where: str) -> None:
        self._layer, self._names, self._where = layer, names, where
        self._saved: Any = None

    def function(self, name: str, *names: str) -> Function:
        """Return one of them, which takes what is named so."""
        label = f"the {name} of {self._where}"
        return Function(getattr(self, name), names, label, can_compile=False)

    def forward(self, x: Array, y: Array, *parameters: Array) -> None:
        own = {name: value.copy() for name, value in zip(self._names, parameters, strict=True)}
        result = self._layer.forward(x.copy(), **own)
        label = f"The forward of {self._where}"
        value, self._saved = pair(result, label, "y, saved")
        y[...] = checked(value, "y", y, label, x)

    def backward(self, dy: Array, dx: Array, *gradients: Array) -> None:
        result = self._layer.backward(dy.copy(), self._saved)
        self._write_gradients(result, "backward", dy, dx, gradients)

    def tangent(self, x_dot: Array, y_dot: Array, *changes: Array) -> None:
        result = self._layer.tangent(x_dot.copy(), self._saved, **self._by_name(changes))
        y_dot[...] = checked(result, "y_dot", y_dot, f"The tangent of {self._where}", x_dot)

    def tangent_backward(self, dy: Array, x_dot: Array, dx: Array, *others: Array) -> None:
        changes, gradients = others[: len(self._names)], others[len(self._names) :]
        named = self._by_name(changes)
        result = self._layer.tangent_backward(dy.copy(), x_dot.copy(), self._saved, **named)
        self._write_gradients(result, "tangent_backward", dy, dx, gradients)

    def _by_name(self, changes: Sequence[Array]) -> dict[str, Array]:
        pairs = zip(dots(self._names), changes, strict=True)
        return {name: change.copy() for name, change in pairs}

    def _write_gradients(
        self, result: Any, function: str, dy: Array, dx: Array, gradients: Sequence[Array]
    ) -> None:
        label = f"The {function} of {self._where}"
        value, by_name = pair(result, label, "dx, gradients")
        if not isinstance(by_name, Mapping) or by_name.keys() != set(self._names):
            names = ", ".join(self._names) or "nothing, as {}"
            raise TypeError(
                f"{label} must return a dict of gradients as its second value, with {names}; it "
                f"returned {_keys(by_name)}."
            )
        dx[...] = checked(value, "dx", dx, label, dy)
        for name, gradient in zip(self._names, gradients, strict=True):
            title = f"gradient of {name}"
            gradient[...] = checked(by_name[name], title, gradient, label, dy)


def _keys(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"one with {', '.join(map(str, value)) or 'nothing'}"
    return f"a {type(value).__name__}"

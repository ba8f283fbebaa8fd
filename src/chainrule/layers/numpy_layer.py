"""NumPyLayer: a custom layer in NumPy."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.layers.custom_functions import check_parameters
from chainrule.layers.graph import kind_of
from chainrule.layers.layer import Layer
from chainrule.layers.returned import checked, pair
from chainrule.operations.operation import Function, Operation, Shape, Tensor
from chainrule.plan.builder import PlanBuilder

Array = NDArray[Any]


class NumPyLayer(Layer):
    """A layer of your own in NumPy: derive from it, and write forward and backward.

    Compiled code calls them for each batch, whole, and goes on; so a plan with such a layer is
    run by one thread. They get arrays of the network's dtype that are theirs to keep, and return
    anything that can be converted to it. Derivatives of single rows, as of :func:`jacobian`, take
    each row of y to follow from its row of x.

    A subclass may have arguments of its own, in an ``__init__`` or as a frozen dataclass.

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

    by_last_axis = False

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
        parameters = check_parameters(self.parameters(), f"{type(self).__name__}'s parameters")
        takes = list(inspect.signature(self.forward).parameters)
        if takes[1:] != list(parameters):
            raise TypeError(
                f"{type(self).__name__}.forward must take (self, {', '.join(['x', *parameters])}), "
                f"as parameters() says, not (self, {', '.join(takes)})."
            )
        where = f"{kind_of(self)} (layer {plan.path})"
        names = list(parameters)
        calls = _Calls(self, names, where)
        takes_forward = ("x", "y", *names)
        writes = ("dx", *(f"d_{name}" for name in names))
        operation = Operation(
            where,
            Function(calls.forward, takes_forward, f"the forward of {where}", can_compile=False),
            {
                "x": Function(
                    calls.backward, ("dy", *writes), f"the backward of {where}", can_compile=False
                )
            },
        )
        uses = {name: plan.parameter(name, own.shape) for name, own in parameters.items()}
        return plan.apply(operation, x, shape=self.output_shape(x.shape), parameters=uses)


class _Calls:
    """The two functions as a plan calls them: with arrays to write into, and what is saved here."""

    def __init__(self, layer: NumPyLayer, names: list[str], where: str) -> None:
        self._layer, self._names, self._where = layer, names, where
        self._saved: Any = None

    def forward(self, x: Array, y: Array, *parameters: Array) -> None:
        own = {name: value.copy() for name, value in zip(self._names, parameters, strict=True)}
        result = self._layer.forward(x.copy(), **own)
        label = f"The forward of {self._where}"
        value, self._saved = pair(result, label, "y, saved")
        y[...] = checked(value, "y", y, label, x)

    def backward(self, dy: Array, dx: Array, *gradients: Array) -> None:
        label = f"The backward of {self._where}"
        value, by_name = pair(self._layer.backward(dy.copy(), self._saved), label, "dx, gradients")
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

"""CompiledLayer: a custom layer that is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule.layers.custom_functions import (
    check_function,
    check_parameters,
    check_shape,
    function_name,
)
from chainrule.layers.layer import Layer, Parameter
from chainrule.operations.operation import Function, Operation, Shape, Tensor
from chainrule.plan.builder import PlanBuilder

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
    name : str, optional
        As of every layer.

    Raises
    ------
    TypeError
        If a function takes what there is not, or does not take what it must write.
    ValueError
        If a parameter's name is taken.

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

    by_last_axis = False

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        *,
        parameters: Mapping[str, Parameter] | None = None,
        output_shape: ShapeRule = None,
        saved_shape: ShapeRule = (),
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._parameters = check_parameters(parameters or {}, "CompiledLayer's parameters")
        own = list(self._parameters)
        gradients = [f"d_{name}" for name in own]
        self._forward, self._backward = forward, backward
        self._forward_takes = check_function(
            forward, "CompiledLayer's forward", ["x", *own, "saved", "y"], ["y"]
        )
        saved = ["saved"] if "saved" in self._forward_takes else []  # or nobody has written it
        allowed = ["dy", "x", "y", *saved, *own, "dx", *gradients]
        self._backward_takes = check_function(
            backward, "CompiledLayer's backward", allowed, ["dx", *gradients]
        )
        self._output_shape, self._saved_shape = output_shape, saved_shape

    # Two layers are the same if they are one: what functions compute cannot be compared.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"CompiledLayer({function_name(self._forward)}, {function_name(self._backward)})"

    def output_shape(self, input_shape: Shape) -> Shape:
        return self._shape(self._output_shape, input_shape, "output_shape")

    def parameters(self) -> dict[str, Parameter]:
        return dict(self._parameters)

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        shape = self.output_shape(x.shape)
        saved = self._shape(self._saved_shape, x.shape, "saved_shape")
        saves = "saved" in self._forward_takes
        label = f"{self!r} (layer {plan.path})"
        operation = Operation(
            label,
            Function(self._forward, self._forward_takes, f"the forward of {label}"),
            {
                "x": Function(
                    self._backward, self._backward_takes, f"the backward of {label}", adds_up=True
                )
            },
        )
        uses = {
            name: plan.parameter(name, parameter.shape)
            for name, parameter in self._parameters.items()
        }
        return plan.apply(
            operation, x, shape=shape, parameters=uses, saved={"saved": saved} if saves else {}
        )

    def _shape(self, rule: ShapeRule, input_shape: Shape, name: str) -> Shape:
        if rule is None:
            return input_shape
        shape = rule(input_shape) if callable(rule) else rule
        return check_shape(shape, f"CompiledLayer's {name}")

"""CompiledLoss and NumPyLoss: custom losses."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.layers.custom_functions import check_function, function_name
from chainrule.layers.returned import checked, pair
from chainrule.layers.shapes import check_shape
from chainrule.losses.loss import OutputLoss
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Function, Shape
from chainrule.plan import Head, Tensor
from chainrule.utils import arrays

Array = NDArray[Any]


class _CustomLoss(OutputLoss):
    """The base class of custom losses, which give each row's loss and its gradient.

    The mean over the batch, and the samples' weights, are applied to both afterwards.
    """

    takes_labels: bool  # type: ignore[misc]  # may differ from loss to loss
    weighs_rows = False

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    _target_shape: Shape | None = None

    def target_shape(self, output_shape: Shape) -> Shape:
        """Return the shape of a row's target for a row of the output; that of a label is ()."""
        if self.takes_labels:
            return ()
        return output_shape if self._target_shape is None else self._target_shape

    @abstractmethod
    def as_function(self) -> Function:
        """Return what computes the loss."""

    @abstractmethod
    def curvature_function(self) -> Function | None:
        """Return what computes the products with the Hessian by the output, if it is known."""

    def head(self, output: Tensor, loss_weight: float = 1.0) -> Head:
        loss = LossOperation(
            repr(self),
            self.as_function(),
            curvature=self.curvature_function(),
            fisher=self._fisher,
            terms="row",
            of_user=True,
        )
        target_shape = None if self.takes_labels else self.target_shape(output.shape)
        return Head(output, loss, {}, loss_weight, target_shape)

    def _fisher(self, numbers: Mapping[str, Any]) -> tuple[Function, float]:
        raise NotImplementedError(
            f"{self!r} is a custom loss, whose likelihood is not known: it has no Fisher "
            "information."
        )

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        rows, shape = output_shape[0], output_shape[1:]
        if self.takes_labels:
            return arrays.label_array(y, rows, shape[-1] if shape else 1, name)
        return arrays.target_array(y, (rows, *self.target_shape(shape)), dtype, name)


class CompiledLoss(_CustomLoss):
    """A loss of your own, from one function that Numba compiles.

    It is called from inside compiled code, for some rows of each batch, and takes arrays by name,
    in any order, and only those that it needs:

    - ``output`` of shape (n, ...), and ``target``, or else ``label``, int64 of shape (n,), for
      classes;
    - ``losses`` of shape (n,) and ``d_output`` to write into: each row's loss, and the gradient
      of *its own* loss. Their mean over the batch, with the samples' weights, is taken for it.

    Parameters
    ----------
    function : function
        Decorated with ``numba.njit``, or a plain one, as for :class:`CompiledLayer`.
    target_shape : tuple of int, optional
        Shape of a row's target, if it is not the output's.
    curvature : function, optional
        For second derivatives, as :func:`hvp` needs them: writes into ``d_gradient``, how fast each
        row's gradient changes while the output does along ``direction``, which both have the
        output's shape. It also takes ``output`` and ``target`` or ``label``.

    Raises
    ------
    TypeError
        If a function takes what there is not, or does not take what it must write.

    Examples
    --------
    Quantile regression, for the quantile of 90 %:

    >>> import numpy as np
    >>> import chainrule as cr
    >>> def pinball(output, target, losses, d_output):
    ...     for i in range(output.shape[0]):
    ...         error = target[i, 0] - output[i, 0]
    ...         slope = 0.9 if error > 0 else -0.1
    ...         losses[i] = slope * error
    ...         d_output[i, 0] = -slope
    >>> value, d_output = cr.CompiledLoss(pinball)([[1.0], [1.0]], [2.0, 0.0])
    >>> value, d_output.tolist()
    (0.5, [[-0.45], [0.05]])
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        target_shape: Shape | None = None,
        curvature: Callable[..., Any] | None = None,
    ) -> None:
        owner = "CompiledLoss's function"
        allowed = ["output", "target", "label", "losses", "d_output"]
        takes = check_function(function, owner, allowed, ["losses", "d_output"])
        self._name = function_name(function)
        self._function = Function(function, takes, f"the loss {self!r}")
        self.takes_labels = "label" in takes
        if target_shape is not None:
            self._target_shape = check_shape(target_shape, "CompiledLoss's target_shape")
        if self.takes_labels and ("target" in takes or target_shape is not None):
            raise TypeError(f"{owner} must take either a target or a label, not both.")
        self._curvature = None
        if curvature is not None:
            y = "label" if self.takes_labels else "target"
            allowed = ["output", y, "direction", "d_gradient"]
            owner = "CompiledLoss's curvature"
            takes = check_function(curvature, owner, allowed, ["d_gradient"], ["direction"])
            self._curvature = Function(curvature, takes, f"the curvature of {self!r}")

    def __repr__(self) -> str:
        return f"CompiledLoss({self._name})"

    def as_function(self) -> Function:
        return self._function

    def curvature_function(self) -> Function | None:
        return self._curvature


class NumPyLoss(_CustomLoss):
    """A loss of your own in NumPy: derive from it, and write forward.

    A subclass whose forward takes ``label`` instead of ``target`` gets class labels.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> class LogCosh(cr.NumPyLoss):
    ...     def forward(self, output, target):
    ...         error = output - target
    ...         return np.log(np.cosh(error)).sum(axis=1), np.tanh(error)
    >>> value, d_output = LogCosh()([[1.0], [1.0]], [1.0, 1.0])
    >>> value, d_output.tolist()
    (0.0, [[0.0], [0.0]])
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        names = list(inspect.signature(cls.forward).parameters)[1:]
        owner = f"{cls.__name__}.forward"
        if names not in (["output", "target"], ["output", "label"]):
            raise TypeError(
                f"{owner} must take (self, output, target) or (self, output, label), not "
                f"(self, {', '.join(names)})."
            )
        cls.takes_labels = names[1] == "label"
        takes = list(inspect.signature(cls.curvature).parameters)[1:]
        if cls.curvature is not NumPyLoss.curvature and takes != [*names, "direction"]:
            raise TypeError(
                f"{cls.__name__}.curvature must take (self, {', '.join(names)}, direction), not "
                f"(self, {', '.join(takes)})."
            )

    @abstractmethod
    def forward(self, output: Array, target: Array) -> tuple[Any, Any]:
        """Return each row's loss, shape (n,), and its gradient by the row's output.

        Neither is divided by the number of rows; the mean over the batch, with the samples'
        weights, is taken for it.

        Parameters
        ----------
        output : array of shape (n, ...)
        target : array
            As it is given, in the network's dtype; as ``label``, int64 of shape (n,).
        """

    def curvature(self, output: Array, target: Array, direction: Array) -> Any:
        """Return how fast each row's gradient changes while the output does along ``direction``.

        For second derivatives, as :func:`hvp` needs them; a subclass need not have it.

        Parameters
        ----------
        output, target : arrays
            As forward gets them.
        direction : array of the output's shape
        """
        raise NotImplementedError(f"{type(self).__name__} has no curvature.")

    def as_function(self) -> Function:
        names = "output", "label" if self.takes_labels else "target", "losses", "d_output"
        return Function(self._call, names, f"the loss {self!r}", can_compile=False)

    def curvature_function(self) -> Function | None:
        if type(self).curvature is NumPyLoss.curvature:
            return None
        names = "output", "label" if self.takes_labels else "target", "direction", "d_gradient"
        label = f"the curvature of {self!r}"
        return Function(self._curve, names, label, can_compile=False)

    def _curve(self, output: Array, target: Array, direction: Array, d_gradient: Array) -> None:
        result = self.curvature(output.copy(), target.copy(), direction.copy())
        label = f"The curvature of {self!r}"
        d_gradient[...] = checked(result, "d_gradient", d_gradient, label, direction)

    def _call(self, output: Array, target: Array, losses: Array, d_output: Array) -> None:
        label = f"The forward of {self!r}"
        result = self.forward(output.copy(), target.copy())
        values, gradient = pair(result, label, "losses, d_output")
        # If losses are not finite, there is an error for that.
        losses[...] = checked(values, "losses", losses, label, np.array(np.nan))
        d_output[...] = checked(gradient, "d_output", d_output, label, losses)

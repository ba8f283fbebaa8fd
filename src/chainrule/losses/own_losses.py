"""Losses of one's own."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.layers.own import check_function, check_shape, function_name, make_function
from chainrule.layers.returned import checked, pair
from chainrule.losses.loss import OutputLoss
from chainrule.plan import ForeignLoss, Head, Tensor
from chainrule.plan.builder import Shape
from chainrule.plan.functions import Address, Argument
from chainrule.plan.instructions import Op
from chainrule.utils import arrays

Array = NDArray[Any]


class _OwnLoss(OutputLoss):
    """What losses of one's own have in common: they give each row's loss and its gradient.

    The mean over the batch, and the samples' weights, are not their business.
    """

    op = Op.FOREIGN_LOSS
    takes_labels: bool  # type: ignore[misc]  # one's own may say so for each loss

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    _target_shape: Shape | None = None

    def target_shape(self, output_shape: Shape) -> Shape:
        """Return the shape of a row's target for a row of the output; that of a label is ()."""
        if self.takes_labels:
            return ()
        return output_shape if self._target_shape is None else self._target_shape

    @abstractmethod
    def foreign(self, output_shape: Shape) -> ForeignLoss:
        """Return what a plan says of the loss of an output of this shape."""

    def head(self, output: Tensor, share: float = 1.0) -> Head:
        return Head(output, self.op, share=share, foreign=self.foreign(output.shape))

    def check_target(
        self, y: ArrayLike, output_shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
    ) -> NDArray[Any]:
        rows, shape = output_shape[0], output_shape[1:]
        if self.takes_labels:
            return arrays.label_array(y, rows, shape[-1] if shape else 1, name)
        return arrays.target_array(y, (rows, *self.target_shape(shape)), dtype, name)

    def _arguments(self, output_shape: Shape) -> dict[str, Argument]:
        target = self.target_shape(output_shape)
        return {
            "output": Argument(Address.X, output_shape),
            "target": Argument(Address.SAVED, target),
            "label": Argument(Address.DY, (), is_label=True),
            "losses": Argument(Address.Y, ()),
            "d_output": Argument(Address.DX, output_shape),
        }

    def _foreign(self, output_shape: Shape, function: Any, takes: list[str]) -> ForeignLoss:
        target_size = 0 if self.takes_labels else prod(self.target_shape(output_shape))
        can_compile = isinstance(self, CompiledLoss)
        arguments = self._arguments(output_shape)
        label = f"the loss {self!r}"
        own = make_function(function, takes, arguments, label, can_compile=can_compile)
        return ForeignLoss(own, target_size)


class CompiledLoss(_OwnLoss):
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

    Raises
    ------
    TypeError
        If the function takes what there is not, or does not take what it must write.

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

    def __init__(self, function: Callable[..., Any], *, target_shape: Shape | None = None) -> None:
        owner = "CompiledLoss's function"
        allowed = ["output", "target", "label", "losses", "d_output"]
        self._takes = list(check_function(function, owner, allowed, ["losses", "d_output"]))
        self._function = function
        self.takes_labels = "label" in self._takes
        if target_shape is not None:
            self._target_shape = check_shape(target_shape, "CompiledLoss's target_shape")
        if self.takes_labels and ("target" in self._takes or target_shape is not None):
            raise TypeError(f"{owner} must take either a target or a label, not both.")

    def __repr__(self) -> str:
        return f"CompiledLoss({function_name(self._function)})"

    def foreign(self, output_shape: Shape) -> ForeignLoss:
        return self._foreign(output_shape, self._function, self._takes)


class NumPyLoss(_OwnLoss):
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

    def foreign(self, output_shape: Shape) -> ForeignLoss:
        source = "label" if self.takes_labels else "target"
        return self._foreign(output_shape, self._call, ["output", source, "losses", "d_output"])

    def _call(self, output: Array, target: Array, losses: Array, d_output: Array) -> None:
        label = f"The forward of {self!r}"
        result = self.forward(output.copy(), target.copy())
        values, gradient = pair(result, label, "losses, d_output")
        # If losses are not finite, there is an error for that.
        losses[...] = checked(values, "losses", losses, label, np.array(np.nan))
        d_output[...] = checked(gradient, "d_output", d_output, label, losses)

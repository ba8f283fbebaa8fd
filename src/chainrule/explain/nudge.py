"""nudge: change one entry a little, and compare the change of the loss with the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.validation import check_loss
from chainrule.explain import notation
from chainrule.explain.entry import entry_of
from chainrule.explain.notation import SYMBOLS, Notation
from chainrule.explain.one_input import as_one_input
from chainrule.explain.step import Float64
from chainrule.explain.symbols import find, find_layer, find_parameter, name_parameters
from chainrule.explain.text import number, paragraph, table
from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.utils import fragment
from chainrule.utils.arguments import real
from chainrule.utils.arrays import FloatArray

STEP = 1e-4  # for the curvature, a difference of gradients: near float64's cube root of epsilon


@dataclass(frozen=True)
class Nudge:
    """The changes that :func:`nudge` found. Printing it compares the predicted with the actual one.

    Attributes
    ----------
    symbol, name : str
        What was changed, such as ``"W1"`` and ``"0.weight"``.
    index : tuple of int, or None
        Which entry of it; None for all of it, along its gradient.
    delta : float
        What was added to the entry, or the length of the step along the gradient.
    loss : float
        The loss before the change.
    slope : float
        The loss's derivative in this direction: the gradient's entry, or the gradient's norm.
    curvature : float
        The second derivative in this direction.
    actual : float
        The loss's actual change.
    """

    symbol: str
    name: str
    index: tuple[int, ...] | None
    delta: float
    loss: float
    slope: float
    curvature: float
    actual: float

    @property
    def predicted(self) -> float:
        """The change that the gradient predicts: ``slope * delta``."""
        return self.slope * self.delta

    @property
    def predicted_to_second_order(self) -> float:
        """The same with the curvature: ``slope * delta + curvature * delta**2 / 2``."""
        return self.predicted + self.curvature * self.delta**2 / 2

    def _about(self, style: Notation) -> str:
        if self.index is None:
            what = f"{style.symbol(self.symbol)} moves by {number(self.delta)} along its gradient"
        else:
            what = f"{style.entry(self.symbol, self.index)} changes by {number(self.delta)}"
        return f"{what}; the loss was {number(self.loss)}."

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows of the changes as a table."""
        rows = [
            ["the gradient predicts", number(self.predicted), ""],
            ["really", number(self.actual), number(self.actual - self.predicted)],
            [
                "with the curvature",
                number(self.predicted_to_second_order),
                number(self.actual - self.predicted_to_second_order),
            ],
        ]
        return ["", "the loss moves by", "gap"], rows

    def __str__(self) -> str:
        about = paragraph(self._about(notation.of_terminal()))
        return "\n".join([*about, "", *table(*self._table())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return fragment.of_parts(
            fragment.paragraph(self._about(SYMBOLS)), fragment.table(*self._table())
        )


def nudge(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: ArrayLike,
    name: str,
    index: Sequence[int] | int | None,
    delta: float,
) -> Nudge:
    """Change one entry by ``delta``, or a whole parameter or layer along its gradient.

    On a float64 copy: the network is not changed.

    Parameters
    ----------
    net, loss, x, y
        As in :func:`explain`.
    name : str
        A parameter, as in :meth:`Chain.path`; ``"x"`` for the input. For index None it may also be
        a layer, by its name or position (``"H"``, ``"0"``), or a link as :func:`explain` prints it
        (``"O"``): all its parameters together.
    index : tuple of int, int, or None
        The entry; None for a step of length ``delta`` along the gradient of the whole. That of
        several inputs is its row, and its column among all, side by side.
    delta : float
        Not 0; finite.

    Returns
    -------
    Nudge

    Raises
    ------
    IndexError
        If the parameter has no such entry.
    ValueError, TypeError
        If another argument is wrong; for ``"x"`` that holds codes, as for :class:`Embedding`.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1), seed=0)
    >>> result = cr.nudge(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5]], "W1", (0, 0), 0.1)
    >>> bool(abs(result.actual - result.predicted) < 0.011)  # the square of 0.1, and rounding
    True
    >>> bool(abs(result.actual - result.predicted_to_second_order) < 1e-8)
    True
    """
    delta = real(delta, "delta")
    if delta == 0:
        raise ValueError("delta must not be 0.")
    ray = Ray(net, loss, x, y, name, index)
    value, slope = ray.loss_and_slope(0.0)
    curvature = (ray.loss_and_slope(STEP)[1] - ray.loss_and_slope(-STEP)[1]) / (2 * STEP)
    actual = ray.loss(delta) - value
    return Nudge(ray.symbol, ray.name, ray.index, delta, value, slope, curvature, actual)


class Ray:
    """The loss along one direction from the network's present parameters.

    The direction is one entry of a parameter, or for index None the gradient of all of it, scaled
    to length 1. Arguments and errors are those of :func:`nudge`.
    """

    def __init__(
        self,
        net: Sequential,
        loss: Loss,
        x: ArrayLike,
        y: ArrayLike,
        name: str,
        index: Sequence[int] | int | None,
    ) -> None:
        check_loss(net, loss)
        net, batch = as_one_input(net, x)
        self._twin, self._loss, self._y = net.copy("float64"), loss, y
        self._twin.training = False
        self._x: Float64 = self._twin.check_input(batch, "x").astype(float, order="C")
        self._array: FloatArray
        self._gradient: FloatArray | None
        may_be_layer = index is None and isinstance(name, str) and not find_parameter(net, name)
        layer = find_layer(net, name) if may_be_layer else None
        if layer is not None:  # its parameters lie side by side
            names = [n for n in net.parameters() if n.rpartition(".")[0] == layer]
            self.name = self.symbol = str(name)
            here = slice(*_ends(net, names))
            self._array = self._twin.params[here]
            self._gradient = self._twin.grads[here]
        else:
            self.name = find(net, name)
            self.symbol = name_parameters(net.graph).get(self.name, "X")
            is_input = self.name == "x"
            if is_input and net.takes_codes:
                raise ValueError("x holds codes: between two of them, there is no loss.")
            self._array = self._x if is_input else self._twin.parameters()[self.name]
            self._gradient = None if is_input else self._twin.gradients()[self.name]
        self._start = self._array.copy()
        _, gradient = self._loss_and_gradient()
        self._direction = np.zeros_like(gradient)
        if index is None:
            self.index = None
            length = float(np.linalg.norm(gradient))
            if length == 0:
                raise ValueError(f"The gradient of {self.name} is 0: it has no direction.")
            self._direction[...] = gradient / length
        else:
            self.index = entry_of(index, self.symbol, self._array.shape)
            self._direction[self.index] = 1

    def point_at(self, index: tuple[int, ...]) -> None:
        """Set the direction to another entry of the same parameter."""
        self.index = index
        self._direction[...] = 0
        self._direction[index] = 1

    def loss(self, delta: float) -> float:
        """Return the loss at a distance from the start."""
        self._go(delta)
        return self._loss_and_d_output()[0]

    def loss_and_slope(self, delta: float) -> tuple[float, float]:
        """Return the loss at a distance from the start, and its derivative in the direction."""
        self._go(delta)
        value, gradient = self._loss_and_gradient()
        return value, float(np.sum(gradient * self._direction))

    def _go(self, delta: float) -> None:
        self._array[...] = self._start + delta * self._direction

    def _loss_and_d_output(self) -> tuple[float, FloatArray]:
        return self._loss(self._twin.forward(self._x), self._y)

    def _loss_and_gradient(self) -> tuple[float, Float64]:
        value, d_output = self._loss_and_d_output()
        d_x = self._twin.backward(d_output)
        return value, d_x if self._gradient is None else self._gradient


def _ends(net: Sequential, names: list[str]) -> tuple[int, int]:
    """Return the slice of the parameter vector from the first of the names to the last."""
    sizes = {name: parameter.size for name, parameter in net.parameters().items()}
    before = list(takewhile(lambda name: name != names[0], sizes))
    start = sum(sizes[name] for name in before)
    return start, start + sum(sizes[name] for name in names)

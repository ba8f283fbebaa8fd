"""A link of the chain: its value, and its derivatives as matrices where they are small enough."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from chainrule.explain.step import Float64, LayerStep
from chainrule.layers.graph import layer_text

MOST_RUNS = 10_000  # each output of each row takes a backward pass to the parameters


@dataclass(frozen=True, eq=False)
class Link:
    """One link of the chain: the input, or layers that are treated as one function.

    Attributes
    ----------
    symbol : str
        The symbol of its value in derivatives, such as ``"H"``.
    steps : tuple of LayerStep
        Its layers one by one; none for the input.
    value : float64 array of shape (rows, size)
        Its output.
    gradient : float64 array of shape (rows, size)
        dL/dvalue: the chain rule's product from the loss to this link.
    max_elements : int
        Larger Jacobians are not built.
    inputs : tuple of int
        The positions, among the chain's links, of its inputs; none for the input.
    input_gradients : tuple of arrays
        The loss's gradient by each input through this link: the input's gradient, or a term of it
        where other links take the input too.
    """

    symbol: str
    steps: tuple[LayerStep, ...]
    value: Float64
    gradient: Float64
    max_elements: int
    inputs: tuple[int, ...] = ()
    input_gradients: tuple[Float64, ...] = ()

    def __repr__(self) -> str:
        return f"<Link {self.symbol}: {self.description}, shape {self.value.shape}>"

    @property
    def description(self) -> str:
        """The layers as source code."""
        return ", ".join(layer_text(step.layer) for step in self.steps) or "the input"

    @property
    def jacobian(self) -> Float64 | None:
        """The derivative by the link before: (rows, size, size before); None if too large."""
        return self.jacobians[0]

    @cached_property
    def jacobians(self) -> tuple[Float64 | None, ...]:
        """The same by each of ``inputs``, the others held fixed."""
        return tuple(self._product(self.steps, operand=i) for i in range(len(self.inputs)))

    def parameter_jacobian(
        self, name: str, entries: NDArray[np.int64] | None = None
    ) -> Float64 | None:
        """Return the derivative by a parameter: (rows, size, its size); None if too large.

        With ``entries``, indices into the flat parameter, it is the derivative by those.
        """
        owner, _, parameter = name.rpartition(".")
        first = [step.node.owner for step in self.steps].index(owner)
        return self._product(self.steps[first:], parameter, entries)

    def _product(
        self,
        steps: tuple[LayerStep, ...],
        parameter: str | None = None,
        entries: NDArray[np.int64] | None = None,
        operand: int = 0,
    ) -> Float64 | None:
        """Multiply the steps' Jacobians, the last one's on the left."""
        first, *others = steps
        _, size, columns = first.jacobian_shape(parameter, operand)
        if entries is not None:
            columns = len(entries)
        sizes = [size * columns]
        for step in others:
            sizes += [prod(step.jacobian_shape()[1:]), step.y.shape[1] * columns]
        runs = first.rows * size if parameter is not None and entries is None else 0
        if max(sizes) * first.rows > self.max_elements or runs > MOST_RUNS:
            return None
        if parameter is None:
            result = first.jacobian(operand)
        elif entries is None:
            result = first.parameter_jacobian(parameter)
        else:
            result = first.parameter_columns(parameter, entries)
        for step in others:
            result = step.jacobian() @ result
        return result

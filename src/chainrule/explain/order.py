"""One gradient by three methods: reverse mode, forward mode and finite differences.

Reverse and forward mode multiply the same matrices in opposite orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from chainrule.explain.gradient_methods import (
    GradientMethod,
    ParameterEntries,
    by_differences,
    from_the_input,
    from_the_loss,
)
from chainrule.explain.step import LayerStep
from chainrule.explain.text import duration, number, paragraph, table
from chainrule.layers import Dropout, Flatten, Identity
from chainrule.utils import fragment
from chainrule.utils.wording import count, plural

if TYPE_CHECKING:
    from chainrule.explain.links import Links


@dataclass(frozen=True)
class Order:
    """The costs that :meth:`Chain.order` found. Printing it shows a table and a conclusion.

    Multiply-adds are counted for each row. Let f be those of a layer's forward pass: its inputs
    times its outputs for a layer with a weight, 0 for Flatten, Identity and Dropout, and the size
    of its output for all others; adding a bias is not counted. Let F be the sum of all f and of the
    output's size, which stands for the loss.

    - From the loss backward: F; the output's size for the loss's derivative; f for each layer from
      the output back to the first one with a requested parameter, which itself is left out; and
      for each gradient f of its layer for a weight, or the layer's output size for a bias.
    - From the input forward: F; for each layer, f times the number of parameters in the layers
      before it; the output's size for each parameter, and once more for the loss's derivative.
    - Finite differences: F for each parameter, and once more.

    Each method is timed for about half a second. Backward and finite differences run in the engine,
    in the network's dtype; the engine's backward pass always computes all gradients. Forward is the
    engine's forward pass, followed by NumPy's product of the explicit Jacobians in float64; these
    are dense, one for each merged link, and the time to build them is not counted. A measurement
    that would be too large or too slow uses some of the parameters, or one row, and is scaled up.

    Attributes
    ----------
    methods : tuple of GradientMethod
        From the loss backward, from the input forward, finite differences.
    parameters, rows : int
        How many there are.
    forward_multiply_adds : int
        Those of one forward pass.
    """

    methods: tuple[GradientMethod, GradientMethod, GradientMethod]
    parameters: int
    rows: int
    forward_multiply_adds: int

    def _subject(self) -> str:
        parameters, rows = plural(self.parameters, "parameter"), plural(self.rows, "row")
        return f"The gradient by {parameters}, for {rows}."

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows of the methods as a table."""
        cells = [
            [
                method.name,
                count(method.multiply_adds),
                duration(method.seconds),
                "-" if method.difference is None else f"{method.difference:.1e}",
            ]
            for method in self.methods
        ]
        return ["method", "multiply-adds", "time", "difference"], cells

    def _about(self) -> list[str]:
        """Return what the table's columns are and how they were measured, a paragraph each."""
        columns = (
            "Times: the engine's; from the input forward, the engine's forward pass and NumPy's "
            "product of Jacobians that were built before. Difference: the largest difference from "
            "the engine's gradient, relative to its largest entry."
        )
        return [columns, *filter(None, map(self._how_measured, self.methods))]

    def _conclusion(self) -> str:
        backward, forward, _ = self.methods
        saves = forward.multiply_adds > backward.multiply_adds
        if saves:
            work = f"{number(forward.multiply_adds / backward.multiply_adds)} times the work"
        elif forward.multiply_adds == backward.multiply_adds:
            work = "here the same work"
        else:
            work = f"here {number(forward.multiply_adds / backward.multiply_adds)} of the work"
        return (
            f"Why the chain rule{', and why from the loss' if saves else ''}: finite differences "
            f"take {self.parameters + 1:,} forward passes, and from the loss it takes one forward "
            f"pass and one backward, together the multiply-adds of "
            f"{number(backward.multiply_adds / self.forward_multiply_adds)} forward passes. L is "
            f"one number, so what is carried back is one row of numbers; from the input it is "
            f"{plural(self.parameters, 'column')}, and {work}."
        )

    def __str__(self) -> str:
        lines = [self._subject(), "", *table(*self._table()), ""]
        for text in self._about():
            lines += paragraph(text)
        return "\n".join([*lines, "", *paragraph(self._conclusion())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return fragment.of_parts(
            fragment.paragraph(self._subject()),
            fragment.table(*self._table()),
            *map(fragment.paragraph, [*self._about(), self._conclusion()]),
        )

    def _how_measured(self, method: GradientMethod) -> str:
        if method.seconds is None:
            return f"{method.name}: not measured, as a Jacobian is larger than max_elements."
        parts = []
        if method.measured_parameters < self.parameters:
            parts.append(f"{method.measured_parameters:,} of {self.parameters:,} parameters")
        if method.measured_rows < self.rows:
            parts.append(f"{method.measured_rows:,} of {self.rows:,} rows")
        return f"{method.name}: time estimated from {' and '.join(parts)}." if parts else ""


def order(chain: Links, name: str | None) -> Order:
    """Count and measure the three methods; see :meth:`Chain.order`."""
    chain.require_chain("order")
    names, link = list(chain.symbols), None if name is None else chain.find_link(name)
    if link is not None:
        names = [known for known in names if chain.link_of(known) == link]
    elif name is not None:
        names = [chain.find(name)]
    if not names:
        owner = "this network" if link is None else f"link {chain.links[link].symbol}"
        raise ValueError(f"order compares gradients by parameters: {owner} has none.")
    forward, backward, carried, passes = multiply_adds(chain, names)
    entries = ParameterEntries(chain, names)
    methods = (
        from_the_loss(chain, entries, backward),
        from_the_input(chain, entries, carried),
        by_differences(chain, entries, passes),
    )
    return Order(methods, entries.size, chain.rows, forward)


def multiply_adds(chain: Links, names: Sequence[str]) -> tuple[int, int, int, int]:
    """Return those of a forward pass, and of the three methods, for the gradient by parameters."""
    steps = [step for link in chain.links for step in link.steps]
    output = steps[-1].y.shape[1]
    forward = sum(map(_of_layer, steps)) + output
    backward = carried = parameters = 0
    for step in steps:
        if parameters:
            backward += _of_layer(step)
            carried += _of_layer(step) * parameters
        for parameter, shape in step.parameter_shapes().items():
            if f"{step.node.path}.{parameter}" in names:
                backward += _of_layer(step) if parameter == "weight" else step.y.shape[1]
                parameters += prod(shape)
    counts = (
        forward,
        forward + output + backward,
        forward + output + carried + output * parameters,
        forward * (parameters + 1),
    )
    n, a, b, c = (chain.rows * value for value in counts)
    return n, a, b, c


def _of_layer(step: LayerStep) -> int:
    """Return the multiply-adds of a layer's forward pass for one row."""
    if isinstance(step.layer, Dropout | Flatten | Identity):
        return 0
    weight: tuple[int, ...] = step.parameter_shapes().get("weight", ())
    return int(step.y.shape[1]) * prod(weight[:-1])

"""Order matters: the same gradient from the loss backward, from the input forward, by differences.

One product of matrices, taken in two orders, and what one would do without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from chainrule.explain import fragment
from chainrule.explain.gradient_methods import (
    ParameterEntries,
    Way,
    by_differences,
    from_the_input,
    from_the_loss,
)
from chainrule.explain.step import LayerStep
from chainrule.explain.text import duration, number, paragraph, table
from chainrule.layers import Dropout, Flatten, Identity
from chainrule.utils.wording import count, plural

if TYPE_CHECKING:
    from chainrule.explain.links import Links


@dataclass(frozen=True)
class Order:
    """What :meth:`Chain.order` found. Printing it shows a table, and what follows from it.

    Multiply-adds, for each row: a layer with a weight takes its inputs times its outputs, any other
    its output's size; Flatten, Identity and Dropout take nothing. Call that f. F is the sum of all
    f, and of the output's size for the loss. Adding a bias is not counted.

    - From the loss backward: F; the output's size for the loss's derivative; f for each layer from
      the output back to the first one with a parameter that is asked for, but not through that one;
      and f for each weight's gradient, the output's size of its layer for each bias's.
    - From the input forward: F; for each layer, f times the number of parameters in the layers
      before it; the output's size for each parameter, and once more for the loss's derivative.
    - Finite differences: F for each parameter, and once more.

    Each method is then run for about half a second, or a little more. Backward and finite
    differences are the engine's, in the network's dtype; its backward pass is always for all
    parameters.
    Forward is the engine's forward pass, and then NumPy's product of the explicit Jacobians in
    float64; they are dense, those of merged layers, and the time to build them does not count. What
    is too large or takes too long is measured on some of the parameters, or on one row, and scaled
    up.

    Attributes
    ----------
    ways : tuple of Way
        From the loss backward, from the input forward, finite differences.
    parameters, rows : int
        How many there are.
    forward_multiply_adds : int
        Those of one forward pass.
    """

    ways: tuple[Way, Way, Way]
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
            for method in self.ways
        ]
        return ["method", "multiply-adds", "time", "difference"], cells

    def _about(self) -> list[str]:
        """Return what the table's columns are and how they were measured, a paragraph each."""
        columns = (
            "Times: the engine's; from the input forward, those of the engine's forward pass and "
            "of NumPy's product of Jacobians that are at hand. Difference: the largest one from "
            "the engine's gradient, relative to its largest entry."
        )
        return [columns, *filter(None, map(self._how_measured, self.ways))]

    def _conclusion(self) -> str:
        backward, forward, _ = self.ways
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

    def _how_measured(self, method: Way) -> str:
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
    forward, backward, carried, passes = _multiply_adds(chain, names)
    entries = ParameterEntries(chain, names)
    methods = (
        from_the_loss(chain, entries, backward),
        from_the_input(chain, entries, carried),
        by_differences(chain, entries, passes),
    )
    return Order(methods, entries.size, chain.rows, forward)


def _multiply_adds(chain: Links, names: list[str]) -> tuple[int, int, int, int]:
    """Return those of a forward pass, and of the three methods."""
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

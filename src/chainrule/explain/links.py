"""The links of a chain: their values and gradients on one batch.

Each is a link of the network's graph with its value, its gradient and its Jacobians. The methods of
:class:`Chain` compute their results from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from weakref import ref

import numpy as np
from numpy.typing import ArrayLike

from chainrule.explain import notation
from chainrule.explain.compression import Compression, compress
from chainrule.explain.inputs import names_of_features, picture_shape
from chainrule.explain.link import Link
from chainrule.explain.notation import SYMBOLS, Notation
from chainrule.explain.one_input import OneInput, as_one_input
from chainrule.explain.passes import run_passes
from chainrule.explain.path import Path
from chainrule.explain.retained import engine_gradients
from chainrule.explain.routes import Routes
from chainrule.explain.step import Float64
from chainrule.explain.symbols import (
    find,
    find_link,
    group,
    name_links,
    name_parameters,
)
from chainrule.explain.text import number, paragraph, table
from chainrule.layers.graph import INPUT
from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.utils import fragment
from chainrule.utils.arrays import FloatArray, all_finite
from chainrule.utils.wording import plural


class Links:
    """The base of :class:`Chain`: the network, the batch and the links."""

    def __init__(
        self,
        net: Sequential,
        loss: Loss,
        x: ArrayLike,
        y: ArrayLike,
        *,
        merge: bool,
        max_elements: int,
        feature_names: Iterable[str] | None = None,
    ) -> None:
        one, batch = as_one_input(net, x)
        self.network, self.loss_function = one.copy(), loss
        self.network.training = False
        self.max_elements = max_elements
        self._original = ref(net)  # optimizers store their state for this object
        self.feature_names = names_of_features(feature_names, x, batch[0].size)
        for name, value in self.network.named_values().items():
            if not all_finite(value):
                raise ValueError(f"{name} holds NaN or infinity: there is no gradient to explain.")
        output = self.network.forward(batch)
        outputs = output if isinstance(output, tuple) else (output,)
        if not all(map(all_finite, outputs)):
            raise ValueError(
                f"The network's output is not finite in {self.network.dtype}: there is no gradient "
                "to explain. Are the parameters very large?"
            )
        self.x: Float64 = batch.astype(float, order="C")
        targets = loss.check_targets(y, [out.shape for out in outputs], np.dtype(float))
        self.targets, self.target = targets, targets.y
        _, d_output = loss(output, y)
        d_x = self.network.backward(d_output)
        gradients = {name: view.copy() for name, view in self.network.gradients().items()}
        self.gradients: dict[str, FloatArray] = {**gradients, "x": d_x.reshape(len(d_x), -1)}

        graph = self.network.graph
        passes = run_passes(self.network, loss, self.x, targets)
        self.loss = passes.loss
        groups = group(graph, merge=merge)
        names = name_links(graph, groups)
        link_of = {i: link for link, positions in enumerate(groups, start=1) for i in positions}
        link_of[INPUT] = 0
        x_value = self.x.reshape(self.rows, -1)
        links = [Link(names[0], (), x_value, passes.d_x, max_elements)]
        for symbol, positions in zip(names[1:], groups, strict=True):
            first, last = positions[0], passes.steps[positions[-1]]
            links.append(
                Link(
                    symbol,
                    tuple(passes.steps[i] for i in positions),
                    last.y,
                    last.gradient,
                    max_elements,
                    tuple(link_of[i] for i in graph.nodes[first].inputs),
                    passes.input_gradients[first],
                )
            )
        self.links = tuple(links)
        self.symbols = name_parameters(graph)

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return len(self.x)

    @property
    def original(self) -> Sequential | None:
        """The network that was given, in its present state; None if it was deleted."""
        return self._original()

    @cached_property
    def picture(self) -> tuple[int, int] | None:
        """Height and width, if the rows can be seen as pictures."""
        if self.network.takes_codes or isinstance(self.network, OneInput):
            return None
        return picture_shape(self.x, self.feature_names)

    def path(self, name: str) -> Path:
        """Return the chain rule for one parameter, a link or the input: every factor.

        Parameters
        ----------
        name : str
            A parameter's name (``"0.weight"``, or ``"H.weight"`` for a layer named H) or symbol
            (``"W1"``); a link's symbol (``"H"``); ``"x"`` or ``"X"`` for the input.

        Raises
        ------
        ValueError
            If there is no such parameter or link.

        Examples
        --------
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(2, 3, name="H"), cr.Tanh(), cr.Linear(3, 1), seed=0)
        >>> chain = cr.explain(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5]])
        >>> print(chain.path("H.weight").equation)
        ∂L/∂W₁ = ∂L/∂O · ∂O/∂H · ∂H/∂W₁
        """
        position = self.find_link(name)
        if position is not None:
            symbol, engine = self.links[position].symbol, self.link_gradients[position]
            name = symbol if position else "x"
            product = self.routes.of_link(position)
        else:
            name = self.find(name)
            symbol, engine = self.symbols[name], self.gradients[name]
            product = self.routes.of_parameter(name, symbol, engine.shape)
        return Path(symbol, name, *product, engine, self.max_elements)

    @cached_property
    def link_gradients(self) -> list[FloatArray]:
        """The engine's gradient by each link's value, of shape (rows, size)."""
        net, outputs = self.network, self.network.output_shapes(self.x.shape[1:])
        shapes = [(self.rows, *shape) for shape in outputs]
        targets = self.loss_function.check_targets(self.target, shapes, net.dtype)
        last = [link.steps[-1].node.path for link in self.links[1:]]
        paths = [node.path for node in net.graph.nodes]
        layers = [INPUT, *map(paths.index, last)]
        return engine_gradients(net, self.loss_function, self.x.astype(net.dtype), targets, layers)

    @cached_property
    def routes(self) -> Routes:
        """The paths between the links."""
        return Routes(self.links)

    def compress(self, name: str) -> Compression:
        """Cancel neighbouring factors until one fraction is left, and prove it by numbers.

        The product of the explicit Jacobians is compared with the engine's gradient.
        Parameters and errors are those of :meth:`path`.

        Examples
        --------
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 1), seed=0)
        >>> chain = cr.explain(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5]])
        >>> print(chain.compress("W1"))
        ∂L/∂W₁ = ∂L/∂O · ∂O/∂H · ∂H/∂W₁
          ∂O cancels: ∂L/∂W₁ = ∂L/∂H · ∂H/∂W₁
          ∂H cancels: ∂L/∂W₁ = ∂L/∂W₁
        <BLANKLINE>
        The explicit Jacobians, multiplied, in float64 and the engine's one pass in
        float32 differ by at most ...
        """
        return compress(self.path(name))

    def find(self, name: str) -> str:
        """Return the parameter's name, such as ``"0.weight"``, for a name or a symbol."""
        return find(self.network, name)

    def find_link(self, name: str) -> int | None:
        """Return the position of the link with this symbol; None if there is none."""
        if not isinstance(name, str):
            return None
        return find_link([link.symbol for link in self.links], name)

    def link_of(self, name: str) -> int:
        """Return the position of a link, or of the one that a parameter belongs to.

        Parameters and errors are those of :meth:`path`.
        """
        position = self.find_link(name)
        if position is not None:
            return position
        name = self.find(name)
        path = name.rpartition(".")[0]
        return next(
            position
            for position, link in enumerate(self.links)
            if path in [step.node.path for step in link.steps]
        )

    def require_chain(self, method: str) -> None:
        """Raise ValueError, naming ``method``, if the network branches or shares layers."""
        if not self.network.graph.is_chain:
            raise ValueError(
                f"{method} is for networks that are a chain of layers. This one has branches, or "
                "shared layers: print the chain, or use plot, path, trace, compress or influence."
            )

    def _about(self) -> str:
        return (
            f"L = {number(self.loss)}: {self.loss_function!r}, mean of {plural(self.rows, 'row')}."
        )

    def _table(self, style: Notation) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows of the links as a table, the output first."""
        header = ["link", "size", "norm", f"norm of {style.derivative('L', 'link')}", "parameters"]
        cells = []
        for link in reversed(self.links):
            owners = [step.node.owner for step in link.steps]
            owned = [
                style.symbol(symbol)
                for name, symbol in self.symbols.items()
                if name.rpartition(".")[0] in owners
            ]
            norms = [number(float(np.linalg.norm(a))) for a in (link.value, link.gradient)]
            size = str(link.value.shape[1])
            cells.append([style.symbol(link.symbol), size, *norms, ", ".join(owned)])
        return header, cells

    def _layers(self, style: Notation) -> list[str]:
        return [
            f"{style.symbol(link.symbol)} = {link.description}{self._taken(link, style)}"
            for link in self.links[::-1]
        ]

    def _taken(self, link: Link, style: Notation) -> str:
        """Return the inputs of a link as text, if the network is not a chain."""
        if self.network.graph.is_chain or not link.inputs:
            return ""
        return f" of {', '.join(style.symbol(self.links[i].symbol) for i in link.inputs)}"

    def __str__(self) -> str:
        style = notation.of_terminal()
        layers = ["\n".join(paragraph(line)) for line in self._layers(style)]
        about = paragraph(self._about())
        return "\n".join([*about, "", *table(*self._table(style)), "", *layers])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return fragment.of_parts(
            fragment.paragraph(self._about()),
            fragment.table(*self._table(SYMBOLS)),
            *map(fragment.paragraph, self._layers(SYMBOLS)),
        )

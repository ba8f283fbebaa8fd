"""explain: everything that the chain rule multiplies, for one network and one batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from numpy.typing import ArrayLike

from chainrule.arguments import integer
from chainrule.arrays import FloatArray
from chainrule.engine.instructions import Phase
from chainrule.engine.machine import Machine
from chainrule.explain import notation, plots
from chainrule.explain.compression import Compression, compress
from chainrule.explain.influence import Influence, influence
from chainrule.explain.path import Factor, Path
from chainrule.explain.step import Float64, Step
from chainrule.explain.symbols import group, name_links, name_parameters
from chainrule.explain.text import number, paragraph, table
from chainrule.layers import Identity
from chainrule.losses import Loss
from chainrule.network import Sequential
from chainrule.optimizers import Optimizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Link:
    """One link of the chain: the input, or layers that are looked at as one.

    Attributes
    ----------
    symbol : str
        How derivatives call its value, such as ``"H"``.
    steps : tuple of Step
        Its layers one by one; none for the input.
    value : float64 array of shape (rows, size)
        What comes out of it.
    gradient : float64 array of shape (rows, size)
        dL/dvalue: the chain rule's product when it has come this far.
    max_elements : int
        Larger Jacobians are not built.
    """

    symbol: str
    steps: tuple[Step, ...]
    value: Float64
    gradient: Float64
    max_elements: int

    @property
    def description(self) -> str:
        """The layers, as they were written."""
        return ", ".join(repr(step.layer) for step in self.steps) or "the input"

    @cached_property
    def jacobian(self) -> Float64 | None:
        """The derivative by the link before: (rows, size, size before); None if too large."""
        return self._product(self.steps, None)

    def parameter_jacobian(self, name: str) -> Float64 | None:
        """Return the derivative by a parameter: (rows, size, its size); None if too large."""
        path, _, parameter = name.rpartition(".")
        first = [step.path for step in self.steps].index(path)
        return self._product(self.steps[first:], parameter)

    def _product(self, steps: tuple[Step, ...], parameter: str | None) -> Float64 | None:
        """Multiply the steps' Jacobians, the last one's on the left."""
        first, *others = steps
        _, size, columns = first.jacobian_shape(parameter)
        sizes = [size * columns]
        for step in others:
            sizes += [prod(step.jacobian_shape()[1:]), step.y.shape[1] * columns]
        if max(sizes) * first.rows > self.max_elements:
            return None
        result = first.parameter_jacobian(parameter) if parameter else first.jacobian()
        for step in others:
            result = step.jacobian() @ result
        return result


class Chain:
    """The chain rule at work on one batch; made by :func:`explain`. Printing it shows the links.

    Attributes
    ----------
    network, loss_function : Sequential, Loss
        A copy of the network as it was, and the loss.
    x, target : arrays
        The batch.
    loss : float
        L, the mean over the batch.
    links : tuple of Link
        From the input to the output.
    symbols : dict
        Name of each parameter, such as ``"0.weight"`` -> its symbol, such as ``"W1"``.
    gradients : dict
        What the engine's one pass gave, by the names of the parameters, and ``"x"``.
    """

    def __init__(
        self,
        net: Sequential,
        loss: Loss,
        x: ArrayLike,
        y: ArrayLike,
        *,
        merge: bool,
        max_elements: int,
    ) -> None:
        self.network, self.loss_function = net.copy(), loss
        self._original = ref(net)  # what optimizers know; it is not kept
        batch = self.network.check_input(x, "x")
        output = self.network.forward(batch)
        self.x: Float64 = batch.astype(float, order="C")
        self.target = loss.check_target(y, output.shape, np.dtype(float))
        _, d_output = loss(output, y)
        d_x = self.network.backward(d_output)
        gradients = {name: view.copy() for name, view in self.network.gradients().items()}
        self.gradients: dict[str, FloatArray] = {**gradients, "x": d_x.reshape(len(d_x), -1)}

        steps = self._walk_forward()
        self.loss, steps[-1].gradient[...] = self._loss_of(steps[-1])
        for step, before in zip(steps[:0:-1], steps[-2::-1], strict=True):
            before.gradient[...] = step.carry_back(step.gradient)
        first = self.x.reshape(self.rows, -1), steps[0].carry_back(steps[0].gradient)
        groups = group(steps, merge=merge)
        names = name_links(groups)
        links = [Link(names[0], (), *first, max_elements)]
        for symbol, members in zip(names[1:], groups, strict=True):
            last = members[-1]
            links.append(Link(symbol, tuple(members), last.y, last.gradient, max_elements))
        self.links = tuple(links)
        self.symbols = name_parameters(steps)

    def _walk_forward(self) -> list[Step]:
        parameters = self.network.parameters()
        steps, value = [], self.x
        for path, layer in self.network.chain:
            own = {name: parameters[f"{path}.{name}"] for name in layer.parameters()}
            step = Step(path, layer, own, value)
            value = step.y.reshape(step.rows, *step.output_shape)
            steps.append(step)
        return steps

    def _loss_of(self, last: Step) -> tuple[float, Float64]:
        """Return the loss and its gradient by the output, from the NumPy twins."""
        nothing = Sequential(Identity(), dtype="float64", backend="numpy")
        plan = nothing.make_plan(last.output_shape, self.rows, loss=self.loss_function)
        machine = Machine(plan, nothing.dtype, "numpy")
        losses = machine.losses_for(1)
        target: dict[str, Any] = {
            "labels" if self.loss_function.takes_labels else "targets": self.target
        }
        machine.run(
            Phase.FORWARD,
            np.arange(self.rows),
            params=nothing.params,
            inputs=nothing.check_input(last.y.reshape(-1, *last.output_shape), "output"),
            losses=losses,
            **target,
        )
        return float(losses[0, 1]), machine.rows_at("d_output", self.rows).copy()

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return len(self.x)

    @property
    def original(self) -> Sequential | None:
        """The network that was given, as it is now; None if it is gone."""
        return self._original()

    def path(self, name: str) -> Path:
        """Return the chain rule for one parameter, or for the input: every factor.

        Parameters
        ----------
        name : str
            A parameter's name (``"0.weight"``, or ``"H.weight"`` for a layer named H) or symbol
            (``"W1"``); ``"x"`` or ``"X"`` for the input.

        Raises
        ------
        ValueError
            If there is no such parameter.

        Examples
        --------
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(2, 3, name="H"), cr.Tanh(), cr.Linear(3, 1), seed=0)
        >>> chain = cr.explain(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5]])
        >>> print(chain.path("H.weight").equation)
        ∂L/∂W₁ = ∂L/∂O · ∂O/∂H · ∂H/∂W₁
        """
        name = self.find(name)
        first = 1 if name == "x" else self.link_of(name)
        output = self.links[-1]
        shape = (self.rows, 1, output.value.shape[1])
        factors = [Factor("L", output.symbol, shape, output.gradient[:, np.newaxis])]
        running = [output.gradient]
        for position in range(len(self.links) - 1, 0 if name == "x" else first, -1):
            link, before = self.links[position], self.links[position - 1]
            shape = (self.rows, link.value.shape[1], before.value.shape[1])
            factors.append(Factor(link.symbol, before.symbol, shape, link.jacobian))
            running.append(before.gradient)
        if name == "x":
            return Path(
                self.links[0].symbol, name, tuple(factors), tuple(running), self.gradients["x"]
            )
        link, symbol, engine = self.links[first], self.symbols[name], self.gradients[name]
        shape = (self.rows, link.value.shape[1], engine.size)
        factors.append(Factor(link.symbol, symbol, shape, link.parameter_jacobian(name)))
        path, _, parameter = name.rpartition(".")
        step = next(step for step in link.steps if step.path == path)
        running.append(step.parameter_gradient(parameter, step.gradient))
        return Path(symbol, name, tuple(factors), tuple(running), engine)

    def compress(self, name: str) -> Compression:
        """Cancel neighbouring factors until one fraction is left, and prove it by numbers.

        The product of the explicit Jacobians is compared with what the engine's one pass gave.
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

    def influence(self, optimizer: Optimizer | None = None) -> Influence:
        """Measure how much each link passes on, forward and back, and say what is unusual.

        It looks for vanishing and exploding gradients, and where they begin; for units that are
        dead or saturated; and for updates that are too small or too large. Network and optimizer
        are not changed.

        Parameters
        ----------
        optimizer : Optimizer, optional
            Whose next step is compared with the weights; ``Adam()`` by default, as in :func:`fit`.
            It goes on from what it remembers of the network.

        Returns
        -------
        Influence

        Raises
        ------
        TypeError
            If it is no optimizer.

        Examples
        --------
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layers = [cr.Linear(8, 8), cr.Sigmoid()] * 8
        >>> X = np.random.default_rng(0).normal(size=(16, 8))
        >>> net = cr.Sequential(*layers, cr.Linear(8, 1), seed=0)
        >>> chain = cr.explain(net, cr.MSELoss(), X, X[:, 0])
        >>> [finding.kind for finding in chain.influence().findings]
        ['vanishing gradient']
        """
        return influence(self, optimizer)

    def plot(self, name: str | None = None) -> Figure:
        """Draw how signal and gradient change along the chain, or the factors of one path.

        Parameters
        ----------
        name : str, optional
            As for :meth:`path`, whose factors are drawn as heat maps then: their means over the
            rows.

        Returns
        -------
        matplotlib.figure.Figure
            ``figure.savefig("chain.png")`` writes it to a file.

        Raises
        ------
        ImportError
            Without matplotlib.
        ValueError
            If there is no such parameter.
        """
        return plots.chain(self.influence()) if name is None else plots.path(self.path(name))

    def find(self, name: str) -> str:
        """Return the name, such as ``"0.weight"``, of what a name or a symbol stands for."""
        if name in ("x", self.links[0].symbol):
            return "x"
        paths = {step.layer.name: step.path for link in self.links for step in link.steps}
        layer, _, parameter = name.rpartition(".")
        candidates = [name, f"{paths.get(layer)}.{parameter}"]
        candidates += [found for found, symbol in self.symbols.items() if symbol == name]
        for candidate in candidates:
            if candidate in self.symbols:
                return candidate
        known = ", ".join(f"{found} ({symbol})" for found, symbol in self.symbols.items())
        raise ValueError(f"There is no parameter {name!r}; there are: {known or 'none'}, and x.")

    def link_of(self, name: str) -> int:
        """Return the position of the link that a parameter belongs to."""
        path = name.rpartition(".")[0]
        return next(
            position
            for position, link in enumerate(self.links)
            if path in [step.path for step in link.steps]
        )

    def __str__(self) -> str:
        signs = notation.of_terminal()
        loss = f"L = {number(self.loss)}: {self.loss_function!r}, mean of {self.rows} row(s)."
        cells = []
        for link in reversed(self.links):
            owned = [
                signs.symbol(symbol)
                for name, symbol in self.symbols.items()
                if name.rpartition(".")[0] in [step.path for step in link.steps]
            ]
            norms = [number(float(np.linalg.norm(a))) for a in (link.value, link.gradient)]
            cells.append(
                [signs.symbol(link.symbol), str(link.value.shape[1]), *norms, ", ".join(owned)]
            )
        header = ["link", "size", "norm", f"norm of {signs.derivative('L', 'link')}", "parameters"]
        layers = [
            f"{signs.symbol(link.symbol)} = {link.description}" for link in reversed(self.links)
        ]
        return "\n".join(
            [loss, "", *table(header, cells), "", *map("\n".join, map(paragraph, layers))]
        )

    __repr__ = __str__


def explain(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: ArrayLike,
    *,
    merge: bool = True,
    max_elements: int = 1_000_000,
) -> Chain:
    """Lay the chain rule open for one network and one batch: each factor, and their products.

    The network is not changed, and not kept: the chain is that of this moment. It is computed in
    float64 from the NumPy twins, and compared with what the engine gives in the network's dtype.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    x : array of shape (n, ...)
        The batch; one row shows most.
    y : array
        What the loss takes.
    merge : bool
        Whether a link is a layer with parameters together with what follows it (its activation,
        say), unless that has a name of its own. Otherwise each layer is a link.
    max_elements : int
        A Jacobian of more elements, counted over all rows, is not built; what it does to a gradient
        is known all the same.

    Returns
    -------
    Chain

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 1), seed=0)
    >>> chain = cr.explain(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5]])
    >>> [link.symbol for link in chain.links]
    ['X', 'H', 'O']
    >>> chain.path("W1").gradient.shape
    (2, 3)
    """
    if not isinstance(net, Sequential):
        raise TypeError(f"net must be a Sequential, not {net!r}.")
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a loss such as cr.MSELoss(), not {loss!r}.")
    limit = integer(max_elements, "max_elements", least=0)
    return Chain(net, loss, x, y, merge=merge, max_elements=limit)

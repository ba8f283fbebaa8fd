"""Three methods to compute a gradient, run and timed on one network and batch.

Backward (reverse mode), forward (forward mode) and finite differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from chainrule.explain.step import Float64
from chainrule.utils.arrays import FloatArray

if TYPE_CHECKING:
    from chainrule.explain.links import Links

Result = TypeVar("Result")
LIMIT = 0.5  # seconds for each of the methods
ALL_ROWS = 2000  # rows times parameters up to which the forward product is measured on all rows


@dataclass(frozen=True)
class GradientMethod:
    """One method to compute the gradient, with its cost.

    Attributes
    ----------
    name : str
    multiply_adds : int
        Counted, for all parameters and all rows.
    seconds : float or None
        Measured, and scaled up to all parameters and rows; None where a Jacobian is too large.
    measured_parameters, measured_rows : int
        On how many of them it was measured.
    difference : float or None
        The largest difference from the engine's gradient among the measured parameters, relative to
        the gradient's largest entry; None for the engine's own method, or if not measured.
    """

    name: str
    multiply_adds: int
    seconds: float | None
    measured_parameters: int
    measured_rows: int
    difference: float | None


class ParameterEntries:
    """All entries of some of the parameters, numbered through.

    Attributes
    ----------
    size : int
        How many there are.
    drawn : array of int
        Their numbers in random order: where there is no time for all, the first of these are taken.
    """

    def __init__(self, chain: Links, names: list[str]) -> None:
        self._names = names
        self._ends = np.cumsum([0, *(chain.gradients[name].size for name in names)])
        self.size = int(self._ends[-1])
        self.drawn = np.random.default_rng(0).permutation(self.size)

    def place(self, entry: int) -> tuple[str, int]:
        """Return the parameter that an entry belongs to, and its place there."""
        position = int(np.searchsorted(self._ends, entry, side="right")) - 1
        return self._names[position], int(entry - self._ends[position])

    def by_parameter(self, entries: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """Yield each parameter that some of the sorted entries belong to, and their places."""
        bounds = np.searchsorted(entries, self._ends)
        for name, offset, start, end in zip(
            self._names, self._ends, bounds, bounds[1:], strict=False
        ):
            if start < end:
                yield name, entries[start:end] - offset

    def difference(
        self, gradients: dict[str, FloatArray], entries: NDArray[np.int64], found: Float64
    ) -> float:
        """Return by how much ``found`` differs at most, relative to the largest entry."""
        engine = np.concatenate([gradients[name].reshape(-1) for name in self._names])
        largest = np.abs(engine).max() or 1.0
        return float(np.abs(found - engine[entries]).max() / largest)


def from_the_loss(chain: Links, entries: ParameterEntries, multiply_adds: int) -> GradientMethod:
    """Time the engine: forward, loss and backward, always for all parameters."""
    name, engine = "from the loss backward", _Engine(chain)
    seconds = _seconds(engine.forward_and_backward)
    return GradientMethod(name, multiply_adds, seconds, entries.size, chain.rows, None)


def from_the_input(chain: Links, entries: ParameterEntries, multiply_adds: int) -> GradientMethod:
    """Time a forward pass, and the explicit Jacobians' product from the parameters to the loss."""
    name = "from the input forward"
    rows = chain.rows if chain.rows * entries.size <= ALL_ROWS else 1
    part = _first_rows(chain, rows)
    first = part.link_of(entries.place(0)[0])
    links = part.links[first:]
    jacobians = [jacobian for link in links[1:] if (jacobian := link.jacobian) is not None]
    widest = max(step.y.shape[1] for link in links for step in link.steps)
    most = min(entries.size, part.links[0].max_elements // (rows * widest))
    number, columns = min(8, most), None
    start = perf_counter()
    while len(jacobians) == len(links) - 1 and number:
        taken = np.sort(entries.drawn[:number])
        columns = _columns(part, entries, taken)
        # To find columns takes longer than to multiply them.
        if columns is None or number == most or perf_counter() - start > LIMIT / 2:
            break
        number = min(2 * number, most)
    if columns is None:
        return GradientMethod(name, multiply_adds, None, 0, 0, None)
    product = partial(_carry, jacobians, columns, links[-1].gradient)
    whole = _seconds(product) * (entries.size / number) * (chain.rows / rows)
    seconds = _seconds(_Engine(chain).loss) + whole
    difference = entries.difference(part.gradients, taken, product())
    return GradientMethod(name, multiply_adds, seconds, number, rows, difference)


def by_differences(chain: Links, entries: ParameterEntries, multiply_adds: int) -> GradientMethod:
    """Time forward passes of the engine, each with another entry changed."""
    engine = _Engine(chain)
    step = float(np.finfo(chain.network.dtype).eps) ** 0.5
    base = engine.loss()
    times, found = [], []
    start = perf_counter()
    for entry in entries.drawn:
        name, place = entries.place(entry)
        parameter = engine.parameters[name].reshape(-1)
        before = float(parameter[place])
        parameter[place] += step * max(1.0, abs(before))
        time, loss = _time_of(engine.loss)
        times.append(time)
        found.append((loss - base) / (float(parameter[place]) - before))
        parameter[place] = before
        if perf_counter() - start > LIMIT:
            break
    seconds = float(np.median(times)) * (entries.size + 1)
    difference = entries.difference(chain.gradients, entries.drawn[: len(found)], np.array(found))
    name, number = "finite differences", len(found)
    return GradientMethod(name, multiply_adds, seconds, number, chain.rows, difference)


class _Engine:
    """A copy of the chain's network, to be run again, with parameters that may be changed."""

    def __init__(self, chain: Links) -> None:
        self._net, self._loss = chain.network.copy(), chain.loss_function
        self._target = chain.target
        self._x = chain.x.astype(self._net.dtype)
        self.parameters = self._net.parameters()

    def loss(self) -> float:
        return self._loss(self._net.forward(self._x), self._target)[0]

    def forward_and_backward(self) -> None:
        self._net.backward(self._loss(self._net.forward(self._x), self._target)[1])


def _first_rows(chain: Links, rows: int) -> Links:
    """Return the chain of the first rows, with layers merged, so that it has fewer Jacobians."""
    return type(chain)(
        chain.network,
        chain.loss_function,
        chain.x[:rows],
        chain.target[:rows],
        merge=True,
        max_elements=chain.links[0].max_elements,
    )


def _columns(
    chain: Links, entries: ParameterEntries, taken: NDArray[np.int64]
) -> list[Float64] | None:
    """Return each link's derivative by those of its own parameters that are taken.

    The list begins at the first link that has any; None if a Jacobian is too large.
    """
    first = chain.link_of(entries.place(0)[0])
    blocks = [[np.empty((*link.value.shape, 0))] for link in chain.links[first:]]
    for name, places in entries.by_parameter(taken):
        position = chain.link_of(name)
        block = chain.links[position].parameter_jacobian(name, places)
        if block is None:
            return None
        blocks[position - first].append(block)
    return [np.concatenate(of_link, axis=2) for of_link in blocks]


def _carry(jacobians: list[Float64], columns: list[Float64], d_output: Float64) -> Float64:
    """Return the product, matrix times matrix, and a vector at the end."""
    carried = columns[0]
    for jacobian, column in zip(jacobians, columns[1:], strict=True):
        carried = np.concatenate([jacobian @ carried, column], axis=2)
    gradient: Float64 = (d_output[:, np.newaxis] @ carried).sum(axis=(0, 1))
    return gradient


def _seconds(function: Callable[[], object]) -> float:
    """Return the median time of a call, of as many as there is time for, after one to warm up."""
    function()
    times: list[float] = []
    start = perf_counter()
    while not times or perf_counter() - start < LIMIT / 2:
        times.append(_time_of(function)[0])
    return float(np.median(times))


def _time_of(function: Callable[[], Result]) -> tuple[float, Result]:
    start = perf_counter()
    result = function()
    return perf_counter() - start, result

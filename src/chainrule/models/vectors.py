"""The parameters, gradients and buffers of a network, each kind in one flat vector."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from chainrule.layers.container import Container
from chainrule.layers.graph import Graph
from chainrule.layers.layer import Element, Group
from chainrule.operations.operation import Shape
from chainrule.utils import arrays
from chainrule.utils.arrays import FloatArray


class NetworkVectors(Group):
    """The vectors of a network, and views of them by name.

    Attributes
    ----------
    layers : tuple of Layer or Group
    dtype : numpy.dtype
    params, grads : arrays of shape (number of parameters,)
    values : array
        All parameters, followed by all buffers.
    """

    dtype: np.dtype
    _graph: Graph

    def _make_vectors(self, rng: np.random.Generator) -> None:
        """Make the vectors for the layers of the graph, with their initial values."""
        self._shapes = self._graph.parameter_shapes()
        sizes = [prod(shape) for shape in self._shapes.values()]
        ends = np.cumsum([0, *sizes])
        self._offsets = dict(zip(self._shapes, map(int, ends[:-1]), strict=True))
        self._buffers = self._graph.buffers()
        sizes = [prod(buffer.shape) for buffer in self._buffers.values()]
        of_buffers = np.cumsum([0, *sizes])
        self._buffer_offsets = dict(zip(self._buffers, map(int, of_buffers[:-1]), strict=True))
        self._take_values(np.zeros(int(ends[-1] + of_buffers[-1]), self.dtype), int(ends[-1]))
        self._grads = np.zeros_like(self._params)
        self._initialize(rng)

    def _take_values(self, values: FloatArray, parameters: int) -> None:
        """Make a vector the network's memory, of which so many numbers are parameters."""
        self._values = values
        self._params, self._buffer_vector = values[:parameters], values[parameters:]

    def _initialize(self, rng: np.random.Generator) -> None:
        views = self.parameters()
        for name, first in self._graph.first_values(rng):
            with np.errstate(over="ignore"):
                views[name][...] = first
            if not arrays.all_finite(views[name]):
                raise ValueError(f"The initial values of {name} are not finite in {self.dtype}.")
        views = self.named_values()
        for name, buffer in self._buffers.items():
            views[name][...] = buffer.value
        owners = {node.path: node.owner for node in self._graph.nodes}
        # Where nested networks have a layer in common, the first network's parameters are used.
        for prefix, network in reversed(list(_networks(self.layers))):
            for name, view in network.named_values().items():
                path, _, parameter_name = name.rpartition(".")
                views[f"{owners[prefix + path]}.{parameter_name}"][...] = view

    @abstractmethod
    def invalidate_forward(self, by: str) -> None:
        """Note that ``by`` has changed the parameters."""

    @property
    def params(self) -> FloatArray:
        return self._params

    @params.setter
    def params(self, value: ArrayLike) -> None:
        self._copy_into(self._params, value, "params")
        self.invalidate_forward("net.params = ...")

    @property
    def grads(self) -> FloatArray:
        return self._grads

    @grads.setter
    def grads(self, value: ArrayLike) -> None:
        self._copy_into(self._grads, value, "grads")

    @property
    def values(self) -> FloatArray:
        return self._values

    @values.setter
    def values(self, value: ArrayLike) -> None:
        self._copy_into(self._values, value, "values")
        self.invalidate_forward("net.values = ...")

    def _copy_into(self, vector: FloatArray, value: ArrayLike, name: str) -> None:
        """Write ``value``, once it is checked, into the vector of that name."""
        checked = arrays.real_array(value, name, self.dtype)
        if checked.shape != vector.shape:
            raise ValueError(
                f"{name} must have shape {vector.shape}, but its shape is {checked.shape}."
            )
        vector[:] = checked

    def parameters(self) -> dict[str, FloatArray]:
        """Return each parameter by name, as a writable view into ``params``."""
        return self.views(self._params)

    def gradients(self) -> dict[str, FloatArray]:
        """Return each parameter's gradient by name, as a view into ``grads``."""
        return self.views(self.grads)

    def views(self, vector: FloatArray) -> dict[str, FloatArray]:
        """Return the part of a vector like ``params`` that belongs to each parameter, by name."""
        return _views(vector, self._shapes, self._offsets)

    def buffers(self) -> dict[str, FloatArray]:
        """Return by name what is saved with the parameters but not trained, as writable views.

        Examples
        --------
        >>> import chainrule as cr
        >>> list(cr.Sequential(cr.BatchNorm(3)).buffers())
        ['0.running_mean', '0.running_var', '0.num_batches_tracked']
        """
        shapes = {name: buffer.shape for name, buffer in self._buffers.items()}
        return _views(self._buffer_vector, shapes, self._buffer_offsets)

    def named_values(self) -> dict[str, FloatArray]:
        """Return each parameter and each buffer by name, as a writable view into ``values``."""
        return self.parameters() | self.buffers()

    @property
    def offsets(self) -> dict[str, int]:
        """Each parameter's position in ``params``, and each buffer's in theirs, by name."""
        return self._offsets | self._buffer_offsets


def _networks(
    elements: Iterable[Element], prefix: str = ""
) -> Iterator[tuple[str, NetworkVectors]]:
    """Yield each network among the elements, and the prefix of its layers' paths."""
    for position, element in enumerate(elements):
        path = f"{prefix}{position}."
        if isinstance(element, NetworkVectors):
            yield path, element
        elif isinstance(element, Container):
            yield from _networks(element.parts, path)


def _views(
    vector: FloatArray, shapes: Mapping[str, Shape], offsets: Mapping[str, int]
) -> dict[str, FloatArray]:
    """Return parts of a vector by name, each in its shape."""
    return {
        name: vector[offsets[name] : offsets[name] + prod(shape)].reshape(shape)
        for name, shape in shapes.items()
    }

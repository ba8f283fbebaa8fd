"""The parameters, gradients and buffers of a network, each kind in one flat vector."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from chainrule.layers.container import Container
from chainrule.layers.graph import Graph, layer_text
from chainrule.layers.layer import Element, Group
from chainrule.operations.operation import Shape
from chainrule.utils import arrays
from chainrule.utils.arrays import FloatArray
from chainrule.utils.patterns import matching


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
    _frozen: tuple[str, ...] = ()

    def _make_vectors(self, rng: np.random.Generator) -> None:
        """Make the vectors for the layers of the graph, with their initial values."""
        self._shapes = self._graph.parameter_shapes()
        self._offsets, parameters = _placed(self._shapes)
        self._buffers = self._graph.buffers()
        self._buffer_offsets, buffers = _placed({n: b.shape for n, b in self._buffers.items()})
        self._frozen = ()
        try:
            self._take_values(arrays.aligned_zeros(parameters + buffers, self.dtype), parameters)
            self._grads = arrays.aligned_zeros(parameters, self.dtype)
            self._initialize(rng)
        except MemoryError:
            raise MemoryError(self._what_is_large()) from None

    def _what_is_large(self) -> str:
        """Return how much memory the parameters need, and the largest of them."""

        def gigabytes(shape: Shape) -> str:
            return f"{prod(shape) * self.dtype.itemsize / 1e9:,.1f} GB"

        shapes = self._graph.shapes()
        name, shape = max(shapes.items(), key=lambda own: prod(own[1]))
        owner, _, own_name = name.rpartition(".")
        layer = next(node.layer for node in self._graph.nodes if node.path == owner)
        total = gigabytes((sum(map(prod, shapes.values())),))
        return (
            f"There is not enough memory for the network's parameters, which are {total} of "
            f"{self.dtype}, and for as many gradients. The largest is the {own_name} of "
            f"{layer_text(layer)} (layer {owner}), whose shape is {shape}: {gigabytes(shape)}."
        )

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
                own = f"{owners[prefix + path]}.{parameter_name}"
                views[own][...] = view
                if name in network.frozen:
                    self.freeze(own)

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

    @property
    def frozen(self) -> tuple[str, ...]:
        """The names of the parameters that :meth:`freeze` has frozen."""
        return self._frozen

    def freeze(self, *patterns: str) -> None:
        """Freeze parameters: no optimizer's step changes them, by decay and momentum neither.

        Training leaves out the backward pass where nothing trained lies before it. Gradients by
        frozen parameters become 0 in ``grads``, and are not computed; functions of derivatives,
        such as :func:`value_and_grad`, still compute those by all parameters. Buffers, such as the
        running means of a :class:`BatchNorm`, are not frozen. Copies, pickles and checkpoints of
        trainings know what is frozen, files of :meth:`save` do not. A network that becomes a part
        of another one stays frozen there.

        Parameters
        ----------
        *patterns : str
            Shell patterns (:mod:`fnmatch`) of names of :meth:`parameters`, such as ``"0.*"``.

        Raises
        ------
        ValueError, TypeError
            If there is no pattern, one matches no parameter, or is no string.

        Examples
        --------
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, 2), seed=0)
        >>> net.freeze("0.*")
        >>> net.frozen
        ('0.weight', '0.bias')
        >>> net.unfreeze("*.bias")
        >>> net.frozen
        ('0.weight',)
        """
        if not patterns:
            raise ValueError(
                "freeze needs patterns of names, such as net.freeze('0.*'), or net.freeze('*')."
            )
        self._set_frozen({*self._frozen, *self._matching(patterns, "freeze")})

    def unfreeze(self, *patterns: str) -> None:
        """Let parameters be trained again: those of the patterns, or all without any pattern.

        Parameters and errors are those of :meth:`freeze`.
        """
        self._set_frozen({*self._frozen} - {*self._matching(patterns or ("*",), "unfreeze")})

    def _matching(self, patterns: tuple[str, ...], what: str) -> list[str]:
        found: list[str] = []
        for pattern in patterns:
            if not isinstance(pattern, str):
                raise TypeError(f"{what} takes patterns of names such as '0.*', not {pattern!r}.")
            if self._shapes or pattern != "*":
                found += matching(pattern, self._shapes, what)
        return found

    def _set_frozen(self, names: set[str]) -> None:
        # Another tuple, by which optimizers notice the change.
        self._frozen = tuple([name for name in self._shapes if name in names])
        for begin, end in self.frozen_ranges():
            self._grads[begin:end] = 0

    def frozen_ranges(self) -> tuple[tuple[int, int], ...]:
        """Return begin and end in ``params`` of each frozen parameter."""
        begins = ((self._offsets[name], prod(self._shapes[name])) for name in self._frozen)
        return tuple((begin, begin + size) for begin, size in begins)

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


def _placed(shapes: Mapping[str, Shape]) -> tuple[dict[str, int], int]:
    """Return where each array begins in a vector of all, and how long that is."""
    *offsets, size = accumulate(map(prod, shapes.values()), initial=0)
    return dict(zip(shapes, offsets, strict=True)), size


def _views(
    vector: FloatArray, shapes: Mapping[str, Shape], offsets: Mapping[str, int]
) -> dict[str, FloatArray]:
    """Return parts of a vector by name, each in its shape."""
    return {
        name: vector[offsets[name] : offsets[name] + prod(shape)].reshape(shape)
        for name, shape in shapes.items()
    }

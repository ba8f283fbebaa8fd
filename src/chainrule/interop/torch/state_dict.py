"""State dicts: a network's parameters and buffers under PyTorch's names, in PyTorch's shapes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from chainrule.interop.torch.flattened import flattened_channels, has_columns, shapes_of_values
from chainrule.layers import Linear
from chainrule.models.errors import ModelFileError
from chainrule.models.other_files import not_safetensors
from chainrule.models.sequential import Sequential, check_network
from chainrule.operations.operation import Shape
from chainrule.utils import arrays
from chainrule.utils.arrays import FloatArray
from chainrule.utils.files import write_whole


class ParameterPlace(NamedTuple):
    """A place of a parameter or a buffer. A shared one has several.

    Attributes
    ----------
    name : str
        For PyTorch.
    parameter : str
        The network's name for it.
    axes : tuple of int, or None
        The order of the network's axes in PyTorch, if it differs.
    is_count : bool
        Whether PyTorch has it as an integer.
    """

    name: str
    parameter: str
    axes: tuple[int, ...] | None = None
    is_count: bool = False

    def transposed(self, array: FloatArray) -> FloatArray:
        """Return a view of the network's array with the axes in PyTorch's order."""
        return array if self.axes is None else array.transpose(self.axes)


def places_of(net: Sequential) -> list[ParameterPlace]:
    """Return the places of all parameters of the network, without its buffers."""
    return [
        ParameterPlace(f"{node.path}.{name}", f"{node.owner}.{name}", parameter.torch_axes)
        for node in net.graph.nodes
        for name, parameter in node.layer.parameters().items()
    ]


def buffers_of(net: Sequential) -> list[ParameterPlace]:
    """Return the places of all buffers of the network."""
    return [
        ParameterPlace(f"{node.path}.{name}", f"{node.owner}.{name}", is_count=buffer.is_count)
        for node in net.graph.nodes
        for name, buffer in node.layer.buffers().items()
    ]


def _values_of(net: Sequential) -> list[ParameterPlace]:
    """Return the places of all parameters and buffers, layer by layer, as in a state dict."""
    paths = [node.path for node in net.graph.nodes]
    places = [*places_of(net), *buffers_of(net)]
    return sorted(places, key=lambda place: paths.index(place.name.rpartition(".")[0]))


def _torch_views(
    net: Sequential, input_shape: Shape | None
) -> dict[str, tuple[FloatArray, tuple[int, ...]]]:
    """Return views of all values by PyTorch's names, with their shapes in PyTorch.

    Shared ones are there under each of their places.
    """
    values, views = net.named_values(), {}
    shapes = shapes_of_values(net, input_shape)
    flattened = {
        node.path: flattened_channels(net.graph, node, shapes)
        for node in net.graph.nodes
        if has_columns(node.layer)
    }
    linear = {node.path for node in net.graph.nodes if isinstance(node.layer, Linear)}
    for place in _values_of(net):
        view, path = place.transposed(values[place.parameter]), place.name.rpartition(".")[0]
        shape, channels = view.shape, flattened.get(path, 0)
        is_of_columns = view.ndim == 2 if path in linear else view.size > 1
        if channels and is_of_columns:  # an axis for the pixels, and one for their channels, first
            view = view.reshape(*shape[:-1], -1, channels).swapaxes(-1, -2)
        views[place.name] = view, shape
    return views


def to_state_dict(
    net: Sequential,
    *,
    framework: Literal["torch", "numpy"] = "torch",
    input_shape: Shape | None = None,
) -> dict[str, Any]:
    """Return a copy of all values for the ``load_state_dict`` of a PyTorch model.

    Parameters
    ----------
    net : Sequential
    framework : {"torch", "numpy"}
        Tensors, or arrays, which do not require torch.
    input_shape : tuple of int, optional
        The shape of a row of the network's input, channels last, such as ``(28, 28, 1)``; of
        several inputs, a tuple of shapes. It is required where images are flattened and no layer
        before tells how many channels they have. A network that begins with a :class:`Flatten`, or
        with activations before it, does not require it: the order of columns is the same in both
        libraries then, unless images have several channels.

    Returns
    -------
    dict
        Parameters and buffers, with the names of a ``torch.nn.Sequential`` of the same layers, such
        as ``"0.weight"``; weights of linear layers have shape (out, in), those of convolutions
        (out, in / groups, kernel height, kernel width). Behind a :class:`Flatten` of images, the
        weight of a linear layer is in the order in which PyTorch flattens them, channel by channel;
        so are the values of normalizations and of :class:`PReLU` between the two. For a model with
        other names in the same order:
        ``dict(zip(model.state_dict(), to_state_dict(net).values()))``.

    Raises
    ------
    TypeError, ValueError
        If net is no network, or there is no such framework; if, between a Flatten of images and
        a linear layer, there is anything that depends on the order of columns; if the number of
        their channels is not known; or if the network does not take ``input_shape``.
    ImportError
        If ``framework`` is "torch" and torch is not installed.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 3), cr.ReLU(), cr.Linear(3, 1), seed=0)
    >>> state = cr.interop.torch.to_state_dict(net, framework="numpy")
    >>> {name: array.shape for name, array in state.items()}
    {'0.weight': (3, 2), '0.bias': (3,), '2.weight': (1, 3), '2.bias': (1,)}
    """
    check_network(net)
    if framework not in ("torch", "numpy"):
        raise ValueError(f"framework must be 'torch' or 'numpy', not {framework!r}.")
    views = _torch_views(net, input_shape).items()
    copies = {name: np.array(view, order="C").reshape(shape) for name, (view, shape) in views}
    copies |= {p.name: copies[p.name].astype(np.int64) for p in buffers_of(net) if p.is_count}
    if framework == "numpy":
        return copies
    try:
        import torch
    except ImportError:
        raise ImportError(
            "A state dict of tensors needs torch (pip install torch); framework='numpy' does not."
        ) from None
    return {name: torch.from_numpy(copy) for name, copy in copies.items()}


def save_state_dict(
    net: Sequential, path: str | os.PathLike[str], *, input_shape: Shape | None = None
) -> None:
    """Write the parameters as in :func:`to_state_dict` into a safetensors file, without torch.

    PyTorch reads it with ``safetensors.torch.load_file``.

    Parameters
    ----------
    net : Sequential
    path : path of the file
        An existing file is replaced atomically.
    input_shape : tuple of int, optional
        See :func:`to_state_dict`.

    Raises
    ------
    TypeError, ValueError
        As :func:`to_state_dict` does.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 3), seed=0)
    >>> other = cr.Sequential(cr.Linear(2, 3), seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cr.interop.torch.save_state_dict(net, f"{folder}/state.safetensors")
    ...     cr.interop.torch.from_state_dict(other, f"{folder}/state.safetensors")
    >>> bool((other.params == net.params).all())
    True
    """
    from safetensors.numpy import save  # imported on first use: it takes time

    write_whole(path, save(to_state_dict(net, framework="numpy", input_shape=input_shape)))


def from_state_dict(
    net: Sequential,
    state: Mapping[str, Any] | str | os.PathLike[str],
    *,
    input_shape: Shape | None = None,
) -> None:
    """Copy the parameters and buffers of a PyTorch model of the same layers into the network.

    Names are those of a ``torch.nn.Sequential`` of the same layers (``"0.weight"``), optionally
    with a common prefix (``"layers.0.weight"``). Other names are matched in order, and each must
    have the kind (``weight``, ``bias``) and shape of the network's next parameter. A file has no
    order: names must then differ in their numbers only, as ``fc1.weight`` and ``fc2.weight`` do.

    Parameters
    ----------
    net : Sequential
    state : dict of tensors or arrays, or path of a .safetensors file
        Weights of linear layers have shape (out, in), and so on, see :func:`to_state_dict`.
    input_shape : tuple of int, optional
        See :func:`to_state_dict`.

    Raises
    ------
    ValueError, TypeError
        If parameters are missing, or too many, have other shapes, or hold NaN, infinity or no
        real numbers; or as :func:`to_state_dict` does; before anything is changed.
    ModelFileError
        If the file is no safetensors file, or a damaged one.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1))
    >>> state = {"layers.0.weight": np.array([[1.0, 2.0]]), "layers.0.bias": np.array([0.5])}
    >>> cr.interop.torch.from_state_dict(net, state)
    >>> net.predict([[3.0, 1.0]])
    array([[5.5]], dtype=float32)
    """
    check_network(net)
    is_file = isinstance(state, str | os.PathLike)
    found = _read(state) if isinstance(state, str | os.PathLike) else state
    if not isinstance(found, Mapping):
        hint = ": give module.state_dict()" if hasattr(found, "state_dict") else ""
        raise TypeError(
            f"state must be a dict of tensors, or a path, not {type(found).__name__}{hint}."
        )
    expected = _torch_views(net, input_shape)
    sources = _matched(net, list(found), ordered=not is_file)
    values: dict[str, FloatArray] = {}
    for name, source in sources.items():
        value = arrays.real_array(_plain(found[source]), f"state[{source!r}]", net.dtype)
        shape = expected[name][1]
        if value.shape != shape:
            raise ValueError(
                f"state[{source!r}] must have shape {shape} for {name}, but its shape is "
                f"{value.shape}."
            )
        values[name] = value
    _check_shared(net, values)
    for name, value in values.items():
        view, _ = expected[name]
        view[...] = value.reshape(view.shape)
    net.invalidate_forward("from_state_dict")


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    with open(path, "rb") as file:
        content = file.read()
    try:
        return load(content)
    except SafetensorError as error:
        raise not_safetensors(path, error) from None
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        # Its dtype is not one of NumPy's, or it is empty with a shape that NumPy cannot represent.
        raise ModelFileError(f"{path} has a tensor that is not readable: {error}") from None


def _plain(value: Any) -> Any:
    """Return a tensor that is part of a graph, or of a dtype that NumPy lacks, as an array."""
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    return (value if value.is_complex() else value.double()).numpy()


def _matched(net: Sequential, names: list[str], *, ordered: bool) -> dict[str, str]:
    """Return for each parameter and each buffer its name in the state."""
    if not all(isinstance(name, str) for name in names):
        raise TypeError("state must have names as its keys, such as '0.weight'.")
    places = _values_of(net)
    expected = list(dict.fromkeys(place.parameter for place in places))
    for prefix in _prefixes(names):
        by_name = {name.removeprefix(prefix): name for name in names}
        if by_name.keys() in ({place.name for place in places}, set(expected)):
            return by_name
    if not ordered:
        names, expected = (sorted(known, key=_place_in_order) for known in (names, expected))
        if len({re.sub(r"\d+", "#", name.rpartition(".")[0]) for name in names}) > 1:
            raise ValueError(
                f"The file's names, {_listed(names)}, are not those of the network, "
                f"{_listed(expected)}, and do not determine their order: give a dict in the "
                "layers' order."
            )
    if list(map(_kind, names)) != list(map(_kind, expected)):
        raise ValueError(_misfit(names, expected))
    return dict(zip(expected, names, strict=True))


def _misfit(names: list[str], expected: list[str]) -> str:
    """Return a message that tells which names are missing, and which the network does not have."""

    def known(prefix: str) -> set[str]:
        return {name.removeprefix(prefix) for name in names}.intersection(expected)

    prefix = max(_prefixes(names), key=lambda prefix: len(known(prefix)))
    missing = [name for name in expected if name not in known(prefix)]
    more = [name for name in names if name.removeprefix(prefix) not in known(prefix)]
    parts = [f"lacks {_listed(missing)}"] if missing else []
    parts += [f"has {_listed(more)}, which the network does not have"] if more else []
    return (
        f"state does not fit the network: it {' and '.join(parts) or 'has another order'}. "
        f"Expected are {_listed(expected)}; other names are taken in order, if each ends like the "
        "expected one."
    )


def _prefixes(names: list[str]) -> list[str]:
    """Return the common prefixes of all names, the empty one first."""
    first = names[0] if names else ""
    prefixes = ["", *(first[: i + 1] for i, letter in enumerate(first) if letter == ".")]
    return [prefix for prefix in prefixes if all(name.startswith(prefix) for name in names)]


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _place_in_order(name: str) -> tuple[list[int], bool, str]:
    """Return the key to sort names by their numbers, a layer's weight before its bias."""
    return [int(number) for number in re.findall(r"\d+", name)], _kind(name) != "weight", name


def _listed(names: list[str]) -> str:
    """Return the first names as text for a message."""
    few = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return few or "nothing"


def _check_shared(net: Sequential, values: Mapping[str, FloatArray]) -> None:
    """Raise ValueError if a shared parameter has different values in its places."""
    for place in _values_of(net):
        name, owner = place.name, place.parameter
        if name in values and not np.array_equal(values[name], values[owner]):
            raise ValueError(f"state has other values for {name} than for {owner}: it is shared.")

"""Saved models: layers and parameters in one safetensors file.

The file's header has the layers as JSON, and the tensors are the parameters by name. The state of a
training has another entry in the header, and tensors with a prefix that no parameter's name has.
Files are replaced atomically. Reading a file never runs code from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from chainrule.layers.graph import graph_of
from chainrule.layers.layer import Element
from chainrule.models.architecture import build, describe
from chainrule.models.errors import ModelFileError
from chainrule.models.other_files import not_safetensors
from chainrule.utils import json_values
from chainrule.utils.arrays import FloatArray, all_finite
from chainrule.utils.files import check_path, write_whole
from chainrule.utils.version import __version__

KEY, FORMAT = "chainrule", 2  # of the network's entry in the header
FORMATS = 1, FORMAT  # that can be read; format 1 has no checksum
TRAINING, CHECKSUM = "chainrule.training", "chainrule.crc32"  # keys of further entries
PREFIX = "training/"  # of the names of a training's tensors
DTYPES = {"float32": "F32", "float64": "F64"}  # their names in safetensors
# The most characters of JSON: a table of 20,000 columns needs 3 million, 100,000 layers need 10
# million, and safetensors reads headers of up to 100 million, in which escapes may double a text.
MOST_METADATA = 1 << 24


@dataclass
class Contents:
    """The contents of a file.

    Attributes
    ----------
    layers : list
        As ``architecture.describe`` returns them.
    dtype : str
    parameters : dict of arrays
        And buffers.
    metadata : dict
        The user's plain values.
    training, tensors : dict or None, dict of arrays
        The plain values and the arrays of a checkpoint.
    """

    layers: list[Any]
    dtype: str
    parameters: Mapping[str, FloatArray]
    metadata: dict[str, Any]
    training: dict[str, Any] | None = None
    tensors: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def contents(
    layers: Iterable[Element],
    dtype: np.dtype,
    parameters: Mapping[str, FloatArray],
    metadata: dict[str, Any] | None = None,
) -> Contents:
    """Return the contents of this model's file; errors are those of ``Sequential.save``."""
    for name, value in parameters.items():
        if not all_finite(value):
            raise ValueError(f"{name} holds NaN or infinity: it could not be loaded again.")
    metadata = {} if metadata is None else metadata
    check_metadata(metadata)
    return Contents(describe(layers), dtype.name, parameters, metadata)


def check_metadata(metadata: dict[str, Any]) -> None:
    """Raise the errors of ``Sequential.save`` unless ``metadata`` can be stored in a file."""
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict, not {metadata!r}.")
    json_values.check_plain(metadata, "metadata")
    size = len(json.dumps(metadata))
    if size > MOST_METADATA:
        raise ValueError(
            f"metadata must have at most {MOST_METADATA:,} characters as JSON, not {size:,}."
        )


def write_contents(path: str | os.PathLike[str], what: Contents) -> None:
    """Write a file that :func:`read_contents` reads."""
    from safetensors.numpy import save  # loads slowly

    about = {
        "format": FORMAT,
        "version": __version__,
        "dtype": what.dtype,
        "layers": what.layers,
    }
    if what.metadata:
        about["metadata"] = what.metadata
    header = {KEY: json.dumps(about)}
    if what.training is not None:
        header[TRAINING] = json.dumps(what.training)
    tensors = {name: np.asarray(value, order="C") for name, value in what.parameters.items()}
    tensors |= {PREFIX + name: np.asarray(value, order="C") for name, value in what.tensors.items()}
    header[CHECKSUM] = _checksum(header, tensors)
    write_whole(path, save(tensors, metadata=header))


def read_contents(path: str | os.PathLike[str]) -> Contents:
    """Return the contents of a file; errors are those of :func:`chainrule.load`."""
    from safetensors import SafetensorError, safe_open

    check_path(path)
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise ModelFileError(f"{path} is no regular file, so it cannot be read as a model.")
    with open(path, "rb"):  # raises OSError if the file is missing
        pass
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            header = file.metadata() or {}
            about = _about(header, path)
            training = _entry(header, TRAINING, path) if TRAINING in header else None
            others = _check_parameters(file, _shapes(about, path), about["dtype"], path)
            if others and training is None:
                raise ModelFileError(f"{path} has too many tensors: {others}.")
            tensors = _tensors(file, path)
    except SafetensorError as error:
        raise not_safetensors(path, error) from None
    expected = header.pop(CHECKSUM, None)
    if expected != (_checksum(header, tensors) if expected or about["format"] > 1 else None):
        raise ModelFileError(f"{path} is damaged: its content does not have its checksum.")
    found = {name.removeprefix(PREFIX): tensors.pop(name) for name in others}
    for name, tensor in tensors.items():
        if not all_finite(tensor):
            raise ModelFileError(f"{path} holds NaN or infinity in {name}.")
    metadata = about.get("metadata", {})
    return Contents(about["layers"], about["dtype"], tensors, metadata, training, found)


def _tensors(file: Any, path: Any) -> dict[str, NDArray[Any]]:
    try:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        # Its dtype is not one of NumPy's, or it is empty with a shape that NumPy cannot represent.
        raise ModelFileError(f"{path} has a tensor that is not readable: {error}") from None


def _checksum(header: Mapping[str, str], tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the CRC-32 of header and tensors, in the order of their names."""
    value = 0
    for name in sorted(header):
        value = crc32(header[name].encode(errors="surrogatepass"), crc32(name.encode(), value))
    for name in sorted(tensors):
        value = crc32(tensors[name].reshape(-1).view(np.uint8).data, crc32(name.encode(), value))
    return f"{value:08x}"


def _entry(header: Mapping[str, str], key: str, path: Any) -> dict[str, Any]:
    try:
        entry = json_values.parse(header[key])
    except ValueError as error:
        raise ModelFileError(f"{path} has a header that is not readable: {error}.") from None
    if not isinstance(entry, dict):
        raise ModelFileError(f"{path} has a header that is not readable: {key} is no dict.")
    return entry


def _about(header: Mapping[str, str], path: Any) -> dict[str, Any]:
    """Return the header's entry on the network."""
    if KEY not in header:
        raise ModelFileError(
            f"{path} was not saved by chainrule: its header has no layers. If it has the weights "
            "of a PyTorch model, cr.interop.torch.from_state_dict(net, path) reads them into a "
            "network with the same layers."
        )
    about = _entry(header, KEY, path)
    if about.get("format") not in FORMATS:
        raise ModelFileError(
            f"{path} has format {about.get('format')!r}, but this version of chainrule reads "
            f"formats up to {FORMAT}."
        )
    if str(about.get("dtype")) not in DTYPES:
        raise ModelFileError(f"{path} has dtype {about.get('dtype')!r}, not float32 or float64.")
    try:
        check_metadata(about.get("metadata", {}))
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{path} has metadata that is not readable: {error}") from None
    return about


def _shapes(about: dict[str, Any], path: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters and buffers that the layers have."""
    try:
        return graph_of(build(about.get("layers"))).shapes()
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} does not describe a network: {error}.") from None


def _check_parameters(
    file: Any, expected: dict[str, tuple[int, ...]], dtype: str, path: Any
) -> list[str]:
    """Compare the tensors' names and shapes with the layers, before a parameter is allocated.

    Returns the names of a training's tensors.
    """
    names = set(file.keys())
    others = sorted(name for name in names if name.startswith(PREFIX))
    if names - set(others) != expected.keys():
        missing, more = sorted(expected.keys() - names), sorted(names - expected.keys())
        raise ModelFileError(f"{path} lacks parameters {missing}, or has too many: {more}.")
    for name, shape in expected.items():
        tensor = file.get_slice(name)
        found = tuple(tensor.get_shape()), tensor.get_dtype()
        if found != (shape, DTYPES[dtype]):
            raise ModelFileError(
                f"{path} should hold {name} with shape {shape} and dtype {DTYPES[dtype]}, but has "
                f"shape {found[0]} and dtype {found[1]}."
            )
    return others

"""Saved models: layers and parameters in one safetensors file.

The layers stand in the file's header as JSON, the parameters under their names. Files are written
beside their place and renamed; reading one never runs code from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from chainrule._version import __version__
from chainrule.architecture import build, describe
from chainrule.arrays import FloatArray, all_finite
from chainrule.errors import ModelFileError
from chainrule.files import write_whole
from chainrule.layers.graph import graph_of
from chainrule.layers.layer import Element

KEY, FORMAT = "chainrule", 1  # of the entry in the header
DTYPES = {"float32": "F32", "float64": "F64"}  # as the file calls them


def write_model(
    path: str | os.PathLike[str],
    layers: Iterable[Element],
    dtype: np.dtype,
    parameters: Mapping[str, FloatArray],
) -> None:
    """Write what :func:`read_model` returns; errors are those of ``Sequential.save``."""
    from safetensors.numpy import save  # loads when it is needed

    for name, value in parameters.items():
        if not all_finite(value):
            raise ValueError(f"{name} holds NaN or infinity: it could not be loaded again.")
    about = {
        "format": FORMAT,
        "version": __version__,
        "dtype": dtype.name,
        "layers": describe(layers),
    }
    tensors = {name: np.ascontiguousarray(value) for name, value in parameters.items()}
    write_whole(path, save(tensors, metadata={KEY: json.dumps(about)}))


def read_model(path: str | os.PathLike[str]) -> tuple[Any, str, dict[str, FloatArray]]:
    """Return what ``architecture.build`` takes, the dtype, and the parameters by name.

    Errors are those of :func:`chainrule.load`.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):  # so that a missing file is an OSError as everywhere
        pass
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            about = _about(file.metadata(), path)
            _check_parameters(file, _shapes(about, path), about["dtype"], path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelFileError(f"{path} is no safetensors file, or a damaged one: {error}") from None
    for name, tensor in tensors.items():
        if not all_finite(tensor):
            raise ModelFileError(f"{path} holds NaN or infinity in {name}.")
    return about["layers"], about["dtype"], tensors


def _about(metadata: dict[str, str] | None, path: Any) -> dict[str, Any]:
    """Return what the header says of the network."""
    text = (metadata or {}).get(KEY)
    if text is None:
        raise ModelFileError(f"{path} was not saved by chainrule: it does not say which layers.")
    try:
        about = json.loads(text)
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise ModelFileError(f"{path} has a header that is not readable.")
    if about.get("format") != FORMAT:
        raise ModelFileError(
            f"{path} has format {about.get('format')!r}, but this version of chainrule reads "
            f"format {FORMAT}."
        )
    if about.get("dtype") not in DTYPES:
        raise ModelFileError(f"{path} has dtype {about.get('dtype')!r}, not float32 or float64.")
    return about


def _shapes(about: dict[str, Any], path: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters that the layers have."""
    try:
        return graph_of(build(about.get("layers"))).parameter_shapes()
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} does not describe a network: {error}.") from None


def _check_parameters(
    file: Any, expected: dict[str, tuple[int, ...]], dtype: str, path: Any
) -> None:
    """Compare the tensors with the layers before anything is allocated by what these say."""
    names = set(file.keys())
    if names != expected.keys():
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

"""Models of tables: a network, and in its file's metadata how a table becomes its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chainrule as cr
from chainrule.cli.tables import Encoding
from chainrule.layers.shapes import shape_text
from chainrule.models.errors import ModelFileError
from chainrule.models.model_file import check_metadata
from chainrule.models.saving import load_with_metadata

KEY = "table"  # of the metadata


def save(path: Path, net: cr.Sequential, encoding: Encoding | None) -> None:
    """Write what :func:`load` reads; without an encoding, a network that is of no table."""
    net.save(path, metadata=_metadata(encoding))


def check_saving(encoding: Encoding | None) -> None:
    """Raise ValueError if :func:`save` would refuse the encoding."""
    try:
        check_metadata(_metadata(encoding))
    except ValueError as error:
        raise ValueError(
            "A model file cannot hold all names of columns and categories "
            f"(--drop leaves columns out): {error}"
        ) from None


def _metadata(encoding: Encoding | None) -> dict[str, Any]:
    return {} if encoding is None else {KEY: encoding.to_json()}


def load(path: Path) -> tuple[cr.Sequential, Encoding]:
    """Return a network and its table's encoding.

    Raises
    ------
    ModelFileError
        If it is no model of a table, or the two do not fit together.
    OSError
        If it cannot be read.
    """
    net, metadata = load_with_metadata(path)
    try:
        encoding = Encoding.from_json(metadata.get(KEY))
    except ValueError as error:
        raise ModelFileError(f"{path} is no model of a table: {error}.") from None
    inputs, outputs = len(encoding.inputs), len(encoding.outputs)
    try:
        shapes = net.output_shapes((inputs,))
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{path} has columns that do not fit its network: {error}") from None
    if shapes != ((outputs,),):
        shown = ", ".join(map(shape_text, shapes))
        raise ModelFileError(
            f"{path} has {outputs} values to predict, but its network's output has shape {shown}."
        )
    return net, encoding

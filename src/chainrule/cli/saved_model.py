"""Saved models: a network, and in its file's metadata how data becomes its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chainrule as cr
from chainrule.cli.array_encoding import ArrayEncoding
from chainrule.cli.tables import Encoding
from chainrule.layers.shapes import shape_text
from chainrule.models.errors import ModelFileError
from chainrule.models.model_file import check_metadata
from chainrule.models.saving import load_with_metadata

# By the key of its metadata.
ENCODINGS: dict[str, type[Encoding] | type[ArrayEncoding]] = {
    "table": Encoding,
    "arrays": ArrayEncoding,
}


def save(path: Path, net: cr.Sequential, encoding: Encoding | ArrayEncoding) -> None:
    """Write what :func:`load` reads."""
    net.save(path, metadata=_metadata(encoding))


def check_saving(encoding: Encoding | ArrayEncoding) -> None:
    """Raise ValueError if :func:`save` would refuse the encoding."""
    try:
        check_metadata(_metadata(encoding))
    except ValueError as error:
        names = "names of columns and categories (--drop leaves columns out)"
        if isinstance(encoding, ArrayEncoding):
            names = "classes"
        raise ValueError(f"A model file cannot hold all {names}: {error}") from None


def _metadata(encoding: Encoding | ArrayEncoding) -> dict[str, Any]:
    return {
        key: encoding.to_json() for key, kind in ENCODINGS.items() if isinstance(encoding, kind)
    }


def load(path: Path) -> tuple[cr.Sequential, Encoding | ArrayEncoding | None]:
    """Return a network and its encoding; None for it if the file has none.

    Raises
    ------
    ModelFileError
        If it is no model, or the two do not fit together.
    OSError
        If it cannot be read.
    """
    net, metadata = load_with_metadata(path)
    for key, kind in ENCODINGS.items():
        if key in metadata:
            try:
                encoding = kind.from_json(metadata[key])
            except ValueError as error:
                raise ModelFileError(f"{path} has a damaged {key!r}: {error}.") from None
            _check_fit(path, net, encoding)
            return net, encoding
    return net, None


def _check_fit(path: Path, net: cr.Sequential, encoding: Encoding | ArrayEncoding) -> None:
    """Raise ModelFileError unless a network takes and gives what its encoding says."""
    outputs = len(encoding.outputs)
    try:
        shapes = net.output_shapes(encoding.input_shape)
    except (TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} is of {encoding.about} that do not fit its network: {error}"
        ) from None
    if shapes != ((outputs,),):
        shown = ", ".join(map(shape_text, shapes))
        raise ModelFileError(
            f"{path} has {outputs} values to predict, but its network's output has shape {shown}."
        )

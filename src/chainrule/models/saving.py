"""load: a network, or its metadata, from a file that ``net.save`` or a checkpoint wrote."""

from __future__ import annotations

import os
from typing import Any

from chainrule.layers.layer import Element
from chainrule.models.architecture import build
from chainrule.models.errors import ModelFileError
from chainrule.models.model_file import read_contents
from chainrule.models.sequential import Sequential


def load(path: str | os.PathLike[str], *, backend: str = "numba") -> Sequential:
    """Return the network that :meth:`Sequential.save` wrote. No code from the file is run.

    A checkpoint of :func:`fit` can be loaded too: the result is its network.

    Parameters
    ----------
    path : path of the file
    backend : "numba" or "numpy"
        The network's backend.

    Raises
    ------
    ModelFileError
        If the file is no saved model, or a damaged one.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 3, name="H"), cr.Tanh(), cr.Linear(3, 1), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(f"{folder}/model.safetensors")
    ...     same = cr.load(f"{folder}/model.safetensors")
    >>> bool((same.params == net.params).all()), same[0].name
    (True, 'H')
    """
    return load_with_metadata(path, backend=backend)[0]


def load_with_metadata(
    path: str | os.PathLike[str], *, backend: str = "numba"
) -> tuple[Sequential, dict[str, Any]]:
    """Return the results of :func:`load` and :func:`load_metadata` from one reading of the file.

    Between two readings, another process could replace it.
    """
    model = read_contents(path)

    def network(elements: list[Element]) -> Sequential:
        return Sequential(*elements, seed=0, dtype=model.dtype, backend=backend)

    try:
        net = network(build(model.layers, network))
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} has layers that do not fit together: {error}") from None
    for name, view in net.named_values().items():
        view[...] = model.parameters[name]
    return net, model.metadata


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the ``metadata`` that :meth:`Sequential.save` was given; empty if there was none.

    Parameters
    ----------
    path : path of the file

    Raises
    ------
    ModelFileError
        If the file is no saved model, or a damaged one.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(f"{folder}/model.safetensors", metadata={"columns": ["width", "height"]})
    ...     cr.load_metadata(f"{folder}/model.safetensors")
    {'columns': ['width', 'height']}
    """
    return read_contents(path).metadata

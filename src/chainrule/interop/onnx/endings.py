"""The nodes after a network: labels from its scores, and one column as a vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.interop.onnx.images import ones_behind, without_ones
from chainrule.interop.onnx.steps import BATCH, NodeView
from chainrule.operations.operation import Shape


@dataclass(frozen=True)
class Ending:
    """A node that is left out: the network's output is the value that the node takes.

    Attributes
    ----------
    label : str
        The node's name in messages.
    value : str
        The value that it takes.
    is_label : bool
        Whether it returns the position of the largest score.
    axis : int, optional
        The node's axis, which must be the last one.
    is_column : bool
        Whether a row of the value must have one element.
    """

    label: str
    value: str
    is_label: bool = False
    axis: int = -1
    is_column: bool = False

    def check(self, shape: Shape | None) -> None:
        """Raise ValueError unless the node accepts this shape of the value's rows."""
        if self.is_column and shape != (1,):
            raise ValueError(f"{self.label} is supported of rows of one element, not of {shape}")


def _arg_max(node: NodeView) -> Ending:
    node.attribute("keepdims", 1)
    node.attribute("select_last_index", 0)  # among equals
    return Ending(node.label, node.value(), is_label=True, axis=node.attribute("axis", 0))


def _binarizer(node: NodeView) -> Ending:
    node.attribute("threshold", 0.0)
    return Ending(node.label, node.value(), is_label=True)


def _zip_map(node: NodeView) -> Ending:
    """Read the operator that converts each row to a dict, with the classes as keys."""
    for name in ("classlabels_int64s", "classlabels_strings"):
        node.attribute(name, [])
    return Ending(node.label, node.value())


def _squeeze(node: NodeView) -> Ending | None:
    if ones_behind(node) > 0:
        return None
    if not node.is_constant(1) or len(axes := node.integers(1)) != 1:
        raise ValueError("is supported with one axis, the last, only")
    return Ending(node.label, node.value(), axis=axes[0], is_column=True)


def _reshape(node: NodeView) -> Ending | None:
    if not node.is_constant(1):
        return None
    if node.integers(1, are_lengths=True) not in ([-1], [BATCH], [node.batch]):
        return None
    node.attribute("allowzero", 0)
    flat = without_ones(node)
    value = node.value() if flat is None else node.add(flat)
    return Ending(node.label, value, is_column=True)


def _gather(node: NodeView) -> Ending | None:
    # Rows of a table, or several columns.
    if node.is_constant(0) or node.constant(1).ndim or ones_behind(node) > 0:
        return None
    if node.channels_last(node.value()) is not None:
        return None
    if node.integers(1) not in ([0], [-1]):
        raise ValueError("is supported as the only column, at the network's end")
    return Ending(node.label, node.value(), axis=node.attribute("axis", 0), is_column=True)


# The functions return None if the node is not an ending.
ENDINGS: dict[str, Callable[[NodeView], Ending | None]] = {
    "ArgMax": _arg_max,
    "Gather": _gather,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "ai.onnx.ml.Binarizer": _binarizer,
    "ai.onnx.ml.ZipMap": _zip_map,
}
# Operators that may follow an ending, and are ignored.
BEHIND = frozenset(
    {
        *("ArrayFeatureExtractor", "Cast", "Gather", "Identity", "Reshape", "Squeeze"),
        *("Unsqueeze", "ZipMap"),
    }
)

"""A warning where a loss takes logits, but the network ends in a layer that gives probabilities."""

from __future__ import annotations

from chainrule.layers import Dropout, Flatten, Identity
from chainrule.layers.graph import Graph, Node, layer_text
from chainrule.losses import Loss
from chainrule.losses.multi_loss import MultiLoss
from chainrule.models.sequential import Sequential
from chainrule.utils.warning import warn_caller

PASSING = (Dropout, Flatten, Identity)  # what comes out of them is as much a probability


def warn_of_probabilities(net: Sequential, loss: Loss) -> None:
    """Warn if an output of ``net`` passes through softmax or sigmoid twice, in layer and loss."""
    losses = loss.losses if isinstance(loss, MultiLoss) else (loss,)
    for output, its_loss in zip(net.graph.outputs, losses, strict=False):
        node = _last_that_counts(net.graph, output)
        if node is not None and node.layer.gives_probabilities and its_loss.takes_logits:
            name, layer = type(its_loss).__name__, layer_text(node.layer)
            warn_caller(
                f"{name} takes logits and computes the probabilities itself, but the network ends "
                f"in {layer} (layer {node.path}), so that it learns slowly. Leave the layer out of "
                "the training, and apply it to predictions."
            )


def _last_that_counts(graph: Graph, output: int) -> Node | None:
    """Return the last layer before an output, apart from those after it that pass its numbers."""
    while output >= 0:  # until an input of the network
        node = graph.nodes[output]
        if not isinstance(node.layer, PASSING):
            return node
        output = node.inputs[0]
    return None

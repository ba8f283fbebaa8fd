"""A warning where a loss takes logits, but the network ends in a layer that gives probabilities."""

from __future__ import annotations

import warnings

from chainrule.layers.graph import INPUT, layer_text
from chainrule.losses import Loss
from chainrule.losses.multi_loss import MultiLoss
from chainrule.models.sequential import Sequential


def warn_of_probabilities(net: Sequential, loss: Loss, *, stacklevel: int) -> None:
    """Warn if an output of ``net`` passes through softmax or sigmoid twice, in layer and loss.

    ``stacklevel`` is that of :func:`warnings.warn` in the function that calls this one.
    """
    losses = loss.losses if isinstance(loss, MultiLoss) else (loss,)
    for output, its_loss in zip(net.graph.outputs, losses, strict=False):
        node = None if output == INPUT else net.graph.nodes[output]
        if node is not None and node.layer.gives_probabilities and its_loss.takes_logits:
            name, layer = type(its_loss).__name__, layer_text(node.layer)
            warnings.warn(
                f"{name} takes logits and computes the probabilities itself, but the network ends "
                f"in {layer} (layer {node.path}), so that it learns slowly. Leave the layer out of "
                "the training, and apply it to predictions.",
                stacklevel=stacklevel + 1,
            )

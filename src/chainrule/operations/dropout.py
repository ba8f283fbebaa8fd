"""Dropout: elements left out at random, by a mask that is drawn again in the backward pass."""

from chainrule.kernels.dropout import dropout, dropout_backward
from chainrule.operations.operation import Operation, View, function

MASK = "p", "mask_key", "mask_draw", "number", "position"

OPERATION = Operation(
    "dropout",
    function(dropout, "x", "y", *MASK),
    {"x": function(dropout_backward, "dy", "dx", *MASK)},
    view=View.FLAT,
    sample={"number": 0},
)

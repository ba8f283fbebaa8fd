"""A product that is added to a value: ``y += x @ weight``, along the last axis."""

from chainrule.kernels.affine import linear_add
from chainrule.operations.linear import (
    BY_INPUT,
    BY_WEIGHT,
    SQUARE_NORMS,
    multiply_adds,
    scratch_bytes,
    tangent,
)
from chainrule.operations.operation import Operation, View, function

OPERATION = Operation(
    "linear_add",
    function(linear_add, "x", "weight", "scratch", "y"),
    {"x": BY_INPUT},
    gradients={"weight": BY_WEIGHT},
    view=View.LAST_AXIS,
    tangent=tangent,
    multiply_adds=multiply_adds,
    scratch_bytes=scratch_bytes,
    square_norms=SQUARE_NORMS,
    sample={"weight": (2, 2)},
)

"""Cross-entropy of logits and class labels, with label smoothing."""

from chainrule.kernels.loss import cross_entropy
from chainrule.kernels.loss_curvature import cross_entropy_curvature
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import function

OPERATION = LossOperation(
    "cross_entropy", function(cross_entropy), function(cross_entropy_curvature), terms="row"
)

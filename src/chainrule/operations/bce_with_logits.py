"""Binary cross-entropy of logits."""

from chainrule.kernels.loss import bce_with_logits
from chainrule.kernels.loss_curvature import bce_with_logits_curvature
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import function

OPERATION = LossOperation(
    "bce_with_logits", function(bce_with_logits), function(bce_with_logits_curvature)
)

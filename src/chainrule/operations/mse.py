"""The mean squared error."""

from chainrule.kernels.loss import mse
from chainrule.kernels.loss_curvature import mse_curvature
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import function

OPERATION = LossOperation("mse", function(mse), function(mse_curvature))

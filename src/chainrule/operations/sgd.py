"""Stochastic gradient descent, with momentum."""

from chainrule.kernels.update import sgd_update
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation

OPERATION = UpdateOperation("sgd", function(sgd_update), ("velocity",))

"""AdamW: Adam with decoupled weight decay."""

from chainrule.kernels.update import adamw_update
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation

OPERATION = UpdateOperation("adamw", function(adamw_update), ("mean", "square"))

"""Adam: steps by the running mean over the root of the running square."""

from chainrule.kernels.update import adam_update
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation

OPERATION = UpdateOperation("adam", function(adam_update), ("mean", "square"))

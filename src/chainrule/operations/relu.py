"""ReLU: ``max(x, 0)``."""

from chainrule.kernels.activation import relu, relu_backward
from chainrule.operations.elementwise import elementwise

OPERATION = elementwise("relu", relu, relu_backward)

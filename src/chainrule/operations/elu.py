"""ELU: x, or ``alpha * (exp(x) - 1)`` where x is negative."""

from chainrule.kernels.activation import elu, elu_backward
from chainrule.kernels.curvature import elu_second
from chainrule.operations.elementwise import elementwise

OPERATION = elementwise("elu", elu, elu_backward, elu_second)

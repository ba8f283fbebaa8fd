"""SiLU: ``x * sigmoid(x)``."""

from chainrule.kernels.activation import silu, silu_backward
from chainrule.kernels.curvature import silu_second, silu_third
from chainrule.operations.elementwise import elementwise

OPERATION = elementwise("silu", silu, silu_backward, silu_second, silu_third)

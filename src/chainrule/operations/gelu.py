"""GELU: x times the normal distribution function."""

from chainrule.kernels.activation import gelu, gelu_backward
from chainrule.kernels.curvature import gelu_second, gelu_third
from chainrule.operations.elementwise import elementwise

OPERATION = elementwise("gelu", gelu, gelu_backward, gelu_second, gelu_third)

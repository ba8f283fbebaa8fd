"""GELU, approximated by a tanh."""

from chainrule.kernels.activation import gelu_tanh, gelu_tanh_backward
from chainrule.kernels.curvature import gelu_tanh_second, gelu_tanh_third
from chainrule.operations.elementwise import elementwise

OPERATION = elementwise(
    "gelu_tanh", gelu_tanh, gelu_tanh_backward, gelu_tanh_second, gelu_tanh_third
)

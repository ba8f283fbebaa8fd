"""The hyperbolic tangent."""

from chainrule.kernels.activation import tanh, tanh_backward
from chainrule.kernels.curvature import tanh_second, tanh_third
from chainrule.operations.elementwise import elementwise

OPERATION = elementwise("tanh", tanh, tanh_backward, tanh_second, tanh_third)

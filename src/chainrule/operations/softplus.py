"""Softplus: ``log(1 + exp(x))``."""

from chainrule.kernels.activation import softplus, softplus_backward
from chainrule.kernels.curvature import softplus_second, softplus_third
from chainrule.operations.elementwise import elementwise

OPERATION = elementwise("softplus", softplus, softplus_backward, softplus_second, softplus_third)

"""Leaky ReLU: x, or ``slope * x`` where x is negative."""

from chainrule.kernels.activation import leaky_relu, leaky_relu_backward
from chainrule.operations.elementwise import elementwise

OPERATION = elementwise("leaky_relu", leaky_relu, leaky_relu_backward)

"""The logistic function."""

from chainrule.kernels.activation import sigmoid, sigmoid_backward
from chainrule.kernels.curvature import sigmoid_second, sigmoid_third
from chainrule.operations.elementwise import elementwise

OPERATION = elementwise("sigmoid", sigmoid, sigmoid_backward, sigmoid_second, sigmoid_third)

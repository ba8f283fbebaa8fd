"""Which kernel is an activation's, and which multiply by its derivatives.

Activations stand alone in a plan or are fused into a linear step; tangents need their derivatives.
"""

from chainrule.kernels.activation import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from chainrule.kernels.curvature import (
    elu_second,
    gelu_second,
    gelu_tanh_second,
    gelu_tanh_third,
    gelu_third,
    sigmoid_second,
    silu_second,
    silu_third,
    softplus_second,
    softplus_third,
    tanh_second,
)
from chainrule.kernels.jit import kernel
from chainrule.kernels.rescale import rescale
from chainrule.plan.instructions import Op


@kernel
def activate(op, x, y, alpha):
    if op == Op.RELU:
        relu(x, y)
    elif op == Op.LEAKY_RELU:
        leaky_relu(x, y, alpha)
    elif op == Op.TANH:
        tanh(x, y)
    elif op == Op.SIGMOID:
        sigmoid(x, y)
    elif op == Op.SOFTPLUS:
        softplus(x, y)
    elif op == Op.ELU:
        elu(x, y, alpha)
    elif op == Op.SILU:
        silu(x, y)
    elif op == Op.GELU:
        gelu(x, y)
    elif op == Op.GELU_TANH:
        gelu_tanh(x, y)


@kernel
def activate_backward(op, dy, saved, dx, alpha):
    if op == Op.RELU:
        relu_backward(dy, saved, dx)
    elif op == Op.LEAKY_RELU:
        leaky_relu_backward(dy, saved, dx, alpha)
    elif op == Op.TANH:
        tanh_backward(dy, saved, dx)
    elif op == Op.SIGMOID:
        sigmoid_backward(dy, saved, dx)
    elif op == Op.SOFTPLUS:
        softplus_backward(dy, saved, dx)
    elif op == Op.ELU:
        elu_backward(dy, saved, dx, alpha)
    elif op == Op.SILU:
        silu_backward(dy, saved, dx)
    elif op == Op.GELU:
        gelu_backward(dy, saved, dx)
    elif op == Op.GELU_TANH:
        gelu_tanh_backward(dy, saved, dx)


@kernel
def multiply_by_derivative(op, order, dy, saved, dx, alpha):
    """Multiply by an activation's derivative, as a function of ``saved``, or by its derivatives."""
    if order == 1:
        activate_backward(op, dy, saved, dx, alpha)
    elif order == 2:
        if op == Op.TANH:
            tanh_second(dy, saved, dx)
        elif op == Op.SIGMOID:
            sigmoid_second(dy, saved, dx)
        elif op == Op.SOFTPLUS:
            softplus_second(dy, saved, dx)
        elif op == Op.ELU:
            elu_second(dy, saved, dx)
        elif op == Op.SILU:
            silu_second(dy, saved, dx)
        elif op == Op.GELU:
            gelu_second(dy, saved, dx)
        elif op == Op.GELU_TANH:
            gelu_tanh_second(dy, saved, dx)
        else:  # piecewise linear
            rescale(dy, dx, 0.0, 0.0)
    elif op == Op.TANH or op == Op.SIGMOID:  # a square of what is saved
        rescale(dy, dx, -2.0, 0.0)
    elif op == Op.SOFTPLUS:
        softplus_third(dy, saved, dx)
    elif op == Op.SILU:
        silu_third(dy, saved, dx)
    elif op == Op.GELU:
        gelu_third(dy, saved, dx)
    elif op == Op.GELU_TANH:
        gelu_tanh_third(dy, saved, dx)
    else:
        rescale(dy, dx, 0.0, 0.0)

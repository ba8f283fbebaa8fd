"""Losses' second derivatives by operation, compiled apart from the interpreter."""

from chainrule.kernels.jit import kernel
from chainrule.kernels.loss_curvature import (
    bce_with_logits_curvature,
    cross_entropy_curvature,
    huber_curvature,
    mse_curvature,
)
from chainrule.plan.instructions import Op


@kernel
def curve(op, alpha, output, target, weight, total, direction, d_gradient):
    """Write the Hessian of a loss by its output, times a direction."""
    if op == Op.CROSS_ENTROPY:
        cross_entropy_curvature(output, weight, total, direction, d_gradient)
    elif op == Op.MSE:
        mse_curvature(output, target, weight, total, direction, d_gradient)
    elif op == Op.HUBER:
        huber_curvature(output, target, weight, total, direction, d_gradient, alpha)
    else:
        bce_with_logits_curvature(output, target, weight, total, direction, d_gradient)

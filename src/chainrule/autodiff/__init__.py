"""Derivatives of whole networks, as functions.

Names and the order of results follow ``torch.func`` and JAX; the network takes the place of the
function.
"""

from chainrule.autodiff.curvature import fisher_vp, gauss_newton_vp, hessian, hvp
from chainrule.autodiff.gradient import value_and_grad
from chainrule.autodiff.inputs import hessian_x, input_derivatives, input_gradient, laplacian
from chainrule.autodiff.jacobians import jacobian
from chainrule.autodiff.products import jvp, vjp
from chainrule.autodiff.samples import clipped_grad, per_sample_grad, per_sample_norms
from chainrule.models.methods import register_method

__all__ = [
    "clipped_grad",
    "fisher_vp",
    "gauss_newton_vp",
    "hessian",
    "hessian_x",
    "hvp",
    "input_derivatives",
    "input_gradient",
    "jacobian",
    "jvp",
    "laplacian",
    "per_sample_grad",
    "per_sample_norms",
    "value_and_grad",
    "vjp",
]

register_method("input_gradient", input_gradient)

"""Binary cross-entropy of logits, in which positive targets count by a weight."""

from collections.abc import Mapping
from typing import Any

from chainrule.kernels.elementary import sigmoid, softplus
from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import scale_rows
from chainrule.kernels.views import flat
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Function, function


@kernel
def weighted_bce_with_logits(output, target, weight, total, terms, d_output, pos_weight):
    zero, one = output.dtype.type(0), output.dtype.type(1)
    # Rows are mostly short: what is the same in all columns is computed over all rows at once.
    z, curves, smalls = flat(output), flat(terms), flat(d_output)
    for k in range(z.size):
        curves[k] = softplus(-abs(z[k]))
        smalls[k] = sigmoid(-abs(z[k]))
    for i in range(output.shape[0]):
        out, t, loss, gradient = output[i], target[i], terms[i], d_output[i]
        for j in range(out.size):
            curve, small, is_above = loss[j], gradient[j], out[j] > zero
            on_positive, on_negative = t[j] * pos_weight[j], one - t[j]
            if_positive = curve if is_above else curve - out[j]
            if_negative = curve + out[j] if is_above else curve
            loss[j] = on_positive * if_positive + on_negative * if_negative
            p, p_not = (one - small, small) if is_above else (small, one - small)
            gradient[j] = on_negative * p - on_positive * p_not
    scale_rows(d_output, weight, row_scale(total, output.shape[1]))


@kernel
def weighted_bce_with_logits_curvature(
    output, target, weight, total, direction, d_gradient, pos_weight
):
    one = output.dtype.type(1)
    for i in range(output.shape[0]):
        out, t, movement, change = output[i], target[i], direction[i], d_gradient[i]
        for j in range(out.size):
            slope = sigmoid(out[j]) * sigmoid(-out[j])
            change[j] = (t[j] * pos_weight[j] + one - t[j]) * slope * movement[j]
    scale_rows(d_gradient, weight, row_scale(total, output.shape[1]))


@kernel
def weighted_bce_with_logits_fisher(output, weight, total, direction, d_gradient, pos_weight):
    for i in range(output.shape[0]):
        out, movement, change = output[i], direction[i], d_gradient[i]
        for j in range(out.size):
            p, p_not = sigmoid(out[j]), sigmoid(-out[j])
            change[j] = (pos_weight[j] * p_not + p) * p * p_not * movement[j]
    scale_rows(d_gradient, weight, row_scale(total, output.shape[1]))


def _fisher(numbers: Mapping[str, Any]) -> tuple[Function, float]:
    """Return the mean over targets 1, which count by their weight, and 0, as probable as p says."""
    return function(weighted_bce_with_logits_fisher), 1.0


OPERATION = LossOperation(
    "weighted_bce_with_logits",
    function(weighted_bce_with_logits),
    function(weighted_bce_with_logits_curvature),
    _fisher,
    sample={"pos_weight": (1.0,)},
)

"""Losses, each with its gradient in the same pass.

All take some rows of the network's output, what they should have been, a weight for each row, and
the total weight of the batch; all write the gradient by the output and return these rows' part of
the batch's weighted mean, ``sum(weight * row_loss) / total``, accumulated in float64; 0 when the
total is 0.
"""

import math

from chainrule.kernels.jit import kernel
from chainrule.kernels.scalar import exp, sigmoid


@kernel
def row_scale(total, columns):
    return 1.0 / (total * columns) if total > 0.0 else 0.0


@kernel
def mse(output, target, weight, total, d_output):
    rows, columns = output.shape
    scale = row_scale(total, columns)
    two = output.dtype.type(2)
    loss = 0.0
    for i in range(rows):
        out, aim, gradient = output[i], target[i], d_output[i]
        factor = output.dtype.type(scale * weight[i])
        row_loss = 0.0
        for j in range(columns):
            error = out[j] - aim[j]
            row_loss += error * error
            gradient[j] = two * factor * error
        loss += weight[i] * row_loss
    return loss * scale


@kernel
def huber(output, target, weight, total, d_output, delta):
    rows, columns = output.shape
    scale = row_scale(total, columns)
    delta = output.dtype.type(delta)
    half = output.dtype.type(0.5)
    loss = 0.0
    for i in range(rows):
        out, aim, gradient = output[i], target[i], d_output[i]
        factor = output.dtype.type(scale * weight[i])
        row_loss = 0.0
        for j in range(columns):
            error = out[j] - aim[j]
            clipped = delta if error > delta else (-delta if error < -delta else error)
            # e**2 / 2 inside, delta * (|e| - delta / 2) outside, in one expression
            row_loss += clipped * (error - half * clipped)
            gradient[j] = factor * clipped
        loss += weight[i] * row_loss
    return loss * scale


@kernel
def bce_with_logits(output, target, weight, total, d_output):
    rows, columns = output.shape
    scale = row_scale(total, columns)
    zero = output.dtype.type(0)
    loss = 0.0
    for i in range(rows):
        out, aim, gradient = output[i], target[i], d_output[i]
        factor = output.dtype.type(scale * weight[i])
        row_loss = 0.0
        for j in range(columns):
            z = out[j]
            row_loss += (zero if z < zero else z) - z * aim[j] + math.log1p(exp(-abs(z)))
            gradient[j] = factor * (sigmoid(z) - aim[j])
        loss += weight[i] * row_loss
    return loss * scale


@kernel
def cross_entropy(output, label, weight, total, d_output, smoothing):
    rows, classes = output.shape
    scale = row_scale(total, 1)
    uniform = smoothing / classes
    loss = 0.0
    for i in range(rows):
        logits, gradient, true_class = output[i], d_output[i], label[i]
        largest = logits[0]
        for j in range(classes):
            largest = logits[j] if logits[j] > largest else largest
        total = output.dtype.type(0)
        for j in range(classes):
            gradient[j] = exp(logits[j] - largest)
            total += gradient[j]
        log_total = math.log(total) + largest
        row_loss = (1.0 - smoothing) * (log_total - logits[true_class])
        if smoothing > 0.0:
            mean_logit = 0.0
            for j in range(classes):
                mean_logit += logits[j]
            row_loss += smoothing * (log_total - mean_logit / classes)
        loss += weight[i] * row_loss
        # The fused derivative: softmax minus the target distribution.
        weighted = scale * weight[i]
        factor = output.dtype.type(weighted / total)
        offset = output.dtype.type(weighted * uniform)
        for j in range(classes):
            gradient[j] = gradient[j] * factor - offset
        gradient[true_class] -= output.dtype.type(weighted * (1.0 - smoothing))
    return loss * scale

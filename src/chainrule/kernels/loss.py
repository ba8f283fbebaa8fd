"""Losses, each with its gradient in the same pass.

All take some rows of the network's output, what they should have been, a weight for each row, and
the total weight of the batch; all write the gradient by the output and return these rows' part of
the batch's weighted mean, ``sum(weight * row_loss) / total``, accumulated in float64; 0 when the
total is 0.
"""

from chainrule.kernels.elementary import exp, log, sigmoid, softplus
from chainrule.kernels.jit import kernel
from chainrule.kernels.rows import scale_rows, subtract_largest, weighted_sum
from chainrule.kernels.views import flat


@kernel
def row_scale(total, columns):
    return 1.0 / (total * columns) if total > 0.0 else 0.0


@kernel
def _entries_of_one_weight(weight, columns):
    """Return how many entries weigh the same: one row's, or all of them.

    Rows are often short, and a loop over one is over before it has paid for its start.
    """
    differences = 0
    for i in range(weight.size):
        differences += weight[i] != weight[0]
    return columns if differences > 0 else max(1, weight.size) * columns


@kernel
def mse(output, target, weight, total, d_output):
    columns = output.shape[1]
    scale = row_scale(total, columns)
    two = output.dtype.type(2)
    outputs, targets, d_outputs = flat(output), flat(target), flat(d_output)
    length = _entries_of_one_weight(weight, columns)
    loss = 0.0
    for begin in range(0, outputs.size, length):
        end, w = begin + length, weight[begin // columns]
        out, aim, gradient = outputs[begin:end], targets[begin:end], d_outputs[begin:end]
        factor = output.dtype.type(scale * w)
        squares = 0.0
        for k in range(length):
            error = out[k] - aim[k]
            squares += error * error
            gradient[k] = two * factor * error
        loss += w * squares
    return loss * scale


@kernel
def huber(output, target, weight, total, d_output, delta):
    columns = output.shape[1]
    scale = row_scale(total, columns)
    delta = output.dtype.type(delta)
    half = output.dtype.type(0.5)
    outputs, targets, d_outputs = flat(output), flat(target), flat(d_output)
    length = _entries_of_one_weight(weight, columns)
    loss = 0.0
    for begin in range(0, outputs.size, length):
        end, w = begin + length, weight[begin // columns]
        out, aim, gradient = outputs[begin:end], targets[begin:end], d_outputs[begin:end]
        factor = output.dtype.type(scale * w)
        row_loss = 0.0
        for k in range(length):
            error = out[k] - aim[k]
            clipped = delta if error > delta else (-delta if error < -delta else error)
            # e**2 / 2 inside, delta * (|e| - delta / 2) outside, in one expression
            row_loss += clipped * (error - half * clipped)
            gradient[k] = factor * clipped
        loss += w * row_loss
    return loss * scale


@kernel
def bce_with_logits(output, target, weight, total, d_output):
    zero = output.dtype.type(0)
    scale = row_scale(total, output.shape[1])
    z, t, gradient = flat(output), flat(target), flat(d_output)
    for k in range(z.size):  # the losses, where their gradients will be
        gradient[k] = (zero if z[k] < zero else z[k]) - z[k] * t[k] + softplus(-abs(z[k]))
    loss = weighted_sum(d_output, weight)
    for k in range(z.size):
        gradient[k] = sigmoid(z[k]) - t[k]
    scale_rows(d_output, weight, scale)
    return loss * scale


@kernel
def cross_entropy(output, label, weight, total, d_output, smoothing):
    rows, classes = output.shape
    scale = row_scale(total, 1)
    on_label, on_each = 1.0 - smoothing, smoothing / classes
    # log(softmax) = x - log(sum(exp(x))) with x = output - max(output): the loss has the mean of
    # the first term over the target distribution ...
    loss = 0.0
    subtract_largest(output, d_output)
    for i in range(rows):
        loss -= weight[i] * on_label * d_output[i, label[i]]
    if smoothing > 0.0:
        loss -= on_each * weighted_sum(d_output, weight)
    vector = flat(d_output)
    for k in range(vector.size):
        vector[k] = exp(vector[k])
    # ... and the second one; its gradient is softmax minus the target distribution.
    for i in range(rows):
        row, share = d_output[i], scale * weight[i]
        denominator = output.dtype.type(0)
        for j in range(classes):
            denominator += row[j]
        loss += weight[i] * log(denominator)
        factor = output.dtype.type(share / denominator)
        offset = output.dtype.type(share * on_each)
        for j in range(classes):
            row[j] = row[j] * factor - offset
        row[label[i]] -= output.dtype.type(share * on_label)
    return loss * scale

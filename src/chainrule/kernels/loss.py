"""Losses, each with its gradient in the same pass.

All take some rows of the network's output, what they should have been, a weight for each row, and
the total weight of the batch. All write the terms of the loss, one for each element of the output
or one for each row, and the gradient by the output. The batch's loss is the weighted mean of all
its terms, ``weighted_sum(terms, weight) * row_scale(total, terms.shape[1])``, accumulated in
float64 over the whole batch in one pass: so it does not depend on how threads share the rows.

No loop both writes and adds up. LLVM vectorises such a loop only where the arrays lie far enough
apart, and the order of a sum would depend on where buffers lie.
"""

from chainrule.kernels.elementary import exp, log, sigmoid, softplus
from chainrule.kernels.jit import kernel
from chainrule.kernels.rows import (
    entries_of_one_weight,
    scale_rows,
    subtract_largest,
    weighted_sum,
)
from chainrule.kernels.views import flat


@kernel
def row_scale(total, columns):
    return 1.0 / (total * columns) if total > 0.0 else 0.0


@kernel
def mse(output, target, weight, total, terms, d_output):
    columns = output.shape[1]
    scale = row_scale(total, columns)
    two = output.dtype.type(2)
    outputs, targets, d_outputs, squares = flat(output), flat(target), flat(d_output), flat(terms)
    length = entries_of_one_weight(weight, columns)
    for begin in range(0, outputs.size, length):
        end = begin + length
        out, aim, gradient = outputs[begin:end], targets[begin:end], d_outputs[begin:end]
        square = squares[begin:end]
        factor = two * output.dtype.type(scale * weight[begin // columns])
        for k in range(length):
            error = out[k] - aim[k]
            square[k] = error * error
            gradient[k] = factor * error


@kernel
def huber(output, target, weight, total, terms, d_output, delta):
    columns = output.shape[1]
    scale = row_scale(total, columns)
    delta = output.dtype.type(delta)
    half = output.dtype.type(0.5)
    outputs, targets, d_outputs, losses = flat(output), flat(target), flat(d_output), flat(terms)
    length = entries_of_one_weight(weight, columns)
    for begin in range(0, outputs.size, length):
        end = begin + length
        out, aim, gradient = outputs[begin:end], targets[begin:end], d_outputs[begin:end]
        loss = losses[begin:end]
        factor = output.dtype.type(scale * weight[begin // columns])
        for k in range(length):
            error = out[k] - aim[k]
            clipped = delta if error > delta else (-delta if error < -delta else error)
            # e**2 / 2 inside, delta * (|e| - delta / 2) outside, in one expression
            loss[k] = clipped * (error - half * clipped)
            gradient[k] = factor * clipped


@kernel
def bce_with_logits(output, target, weight, total, terms, d_output):
    zero = output.dtype.type(0)
    z, t, gradient, loss = flat(output), flat(target), flat(d_output), flat(terms)
    for k in range(z.size):
        loss[k] = (zero if z[k] < zero else z[k]) - z[k] * t[k] + softplus(-abs(z[k]))
    for k in range(z.size):
        gradient[k] = sigmoid(z[k]) - t[k]
    scale_rows(d_output, weight, row_scale(total, output.shape[1]))


@kernel
def cross_entropy(output, label, weight, total, terms, d_output, smoothing):
    rows, classes = output.shape
    scale = row_scale(total, 1)
    on_label, on_each = 1.0 - smoothing, smoothing / classes
    # log(softmax) = x - log(sum(exp(x))) with x = output - max(output): the loss has the mean of
    # the first term over the target distribution ...
    subtract_largest(output, d_output)
    for i in range(rows):
        shifted = d_output[i]
        mean = on_label * shifted[label[i]]
        if smoothing > 0.0:
            total_shift = 0.0
            for j in range(classes):
                total_shift += shifted[j]
            mean += on_each * total_shift
        terms[i, 0] = mean
    vector = flat(d_output)
    for k in range(vector.size):
        vector[k] = exp(vector[k])
    # ... and the second one; its gradient is softmax minus the target distribution.
    for i in range(rows):
        row, share = d_output[i], scale * weight[i]
        denominator = output.dtype.type(0)
        for j in range(classes):
            denominator += row[j]
        terms[i, 0] = log(denominator) - terms[i, 0]
        factor = output.dtype.type(share / denominator)
        offset = output.dtype.type(share * on_each)
        for j in range(classes):
            row[j] = row[j] * factor - offset
        row[label[i]] -= output.dtype.type(share * on_label)


@kernel
def weigh_gradients(d_output, weight, total):
    scale_rows(d_output, weight, row_scale(total, 1))


@kernel
def add_loss(terms, weight, total, loss_weight, loss):
    loss[0] += loss_weight * (weighted_sum(terms, weight) * row_scale(total, terms.shape[1]))

"""Cross-entropy of logits and class labels, with label smoothing."""

from chainrule.kernels.elementary import exp, log
from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import scale_rows, subtract_largest
from chainrule.kernels.views import flat
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import function
from chainrule.operations.softmax import softmax


@kernel
def cross_entropy(output, label, weight, total, terms, d_output, label_smoothing):
    rows, classes = output.shape
    scale = row_scale(total, 1)
    on_label, on_each = 1.0 - label_smoothing, label_smoothing / classes
    # log(softmax) = x - log(sum(exp(x))) with x = output - max(output): the loss has the mean of
    # the first term over the target distribution ...
    subtract_largest(output, d_output)
    for i in range(rows):
        shifted = d_output[i]
        mean = on_label * shifted[label[i]]
        if label_smoothing > 0.0:
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
def cross_entropy_curvature(output, weight, total, direction, d_gradient):
    softmax(output, d_gradient)
    for i in range(output.shape[0]):
        movement, row = direction[i], d_gradient[i]
        mean = output.dtype.type(0)
        for j in range(row.size):
            mean += row[j] * movement[j]
        for j in range(row.size):
            row[j] *= movement[j] - mean
    scale_rows(d_gradient, weight, row_scale(total, 1))


OPERATION = LossOperation(
    "cross_entropy", function(cross_entropy), function(cross_entropy_curvature), terms="row"
)

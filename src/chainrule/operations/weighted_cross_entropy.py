"""Cross-entropy of logits and class labels, in which each class counts by a weight."""

from collections.abc import Mapping
from typing import Any

from chainrule.kernels.elementary import exp, log
from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import scale_rows, subtract_largest
from chainrule.kernels.views import flat
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Function, function
from chainrule.operations.softmax import softmax


@kernel
def weigh_classes(label, weight, class_weight):
    for i in range(weight.size):
        weight[i] *= class_weight[label[i]]


@kernel
def _target_of_class(class_weight, label, label_smoothing, j):
    """Return what class j has of a row's target distribution, by the row's weight.

    A row has its label's weight already; of what is spread over all classes, each has its own.
    """
    share = 1.0 - label_smoothing if j == label else 0.0
    if label_smoothing > 0.0:
        share += label_smoothing / class_weight.size * (class_weight[j] / class_weight[label])
    return share


@kernel
def weighted_cross_entropy(
    output, label, weight, total, terms, d_output, class_weight, label_smoothing
):
    rows, classes = output.shape
    scale = row_scale(total, 1)
    subtract_largest(output, d_output)
    for i in range(rows):
        shifted, mean = d_output[i], 0.0
        for j in range(classes):
            mean += _target_of_class(class_weight, label[i], label_smoothing, j) * shifted[j]
        terms[i, 0] = mean
    vector = flat(d_output)
    for k in range(vector.size):
        vector[k] = exp(vector[k])
    for i in range(rows):
        row, share = d_output[i], scale * weight[i]
        denominator = output.dtype.type(0)
        for j in range(classes):
            denominator += row[j]
        mass = 0.0
        for j in range(classes):
            mass += _target_of_class(class_weight, label[i], label_smoothing, j)
        terms[i, 0] = mass * log(denominator) - terms[i, 0]
        factor = output.dtype.type(share * mass / denominator)
        for j in range(classes):
            q = _target_of_class(class_weight, label[i], label_smoothing, j)
            row[j] = row[j] * factor - output.dtype.type(share * q)


@kernel
def weighted_cross_entropy_curvature(
    output, label, weight, total, direction, d_gradient, class_weight, label_smoothing
):
    softmax(output, d_gradient)
    for i in range(output.shape[0]):
        movement, row = direction[i], d_gradient[i]
        mean, mass = output.dtype.type(0), 0.0
        for j in range(row.size):
            mean += row[j] * movement[j]
        for j in range(row.size):
            mass += _target_of_class(class_weight, label[i], label_smoothing, j)
        factor = output.dtype.type(mass)
        for j in range(row.size):
            row[j] *= factor * (movement[j] - mean)
    scale_rows(d_gradient, weight, row_scale(total, 1))


@kernel
def weigh_expected_classes(output, weight, class_weight):
    for i in range(weight.size):
        row, total, mean = output[i], 0.0, 0.0
        largest = row[0]
        for j in range(row.size):
            largest = max(largest, row[j])
        for j in range(row.size):
            p = exp(row[j] - largest)
            total += p
            mean += p * class_weight[j]
        weight[i] *= mean / total


@kernel
def weighted_cross_entropy_fisher(output, weight, total, direction, d_gradient, class_weight):
    softmax(output, d_gradient)
    for i in range(output.shape[0]):
        movement, row = direction[i], d_gradient[i]
        # The same by p, the probabilities, and by q, in which each class counts by its weight.
        mass, mean, weighted_mean = 0.0, 0.0, 0.0
        for j in range(row.size):
            q = row[j] * class_weight[j]
            mass += q
            mean += row[j] * movement[j]
            weighted_mean += q * movement[j]
        if mass > 0.0:
            weighted_mean /= mass
        for j in range(row.size):
            p = row[j]
            q = p * class_weight[j] / mass if mass > 0.0 else 0.0
            row[j] = q * (movement[j] - mean) + p * (mean - weighted_mean)
    scale_rows(d_gradient, weight, row_scale(total, 1))


def _fisher(numbers: Mapping[str, Any]) -> tuple[Function, float]:
    """Return the mean over classes, each as probable as the network says, by their weights."""
    return function(weighted_cross_entropy_fisher), 1.0


OPERATION = LossOperation(
    "weighted_cross_entropy",
    function(weighted_cross_entropy),
    function(weighted_cross_entropy_curvature),
    _fisher,
    terms="row",
    row_weight=function(weigh_classes),
    fisher_row_weight=function(weigh_expected_classes),
    sample={"class_weight": (1.0, 1.0)},
)

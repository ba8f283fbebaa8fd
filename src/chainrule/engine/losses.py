"""What is compared with its target: each output of a batch, by its loss.

Each thread of a group does so for its own rows; what all have written is then added up.
"""

from chainrule.kernels.barrier import fail
from chainrule.kernels.foreign import call
from chainrule.kernels.gather import gather_rows, gather_values
from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import bce_with_logits, cross_entropy, huber, mse, row_scale
from chainrule.kernels.rescale import rescale_backward
from chainrule.kernels.rows import scale_rows, weighted_sum
from chainrule.kernels.views import matrix
from chainrule.plan.instructions import Op


@kernel
def sum_of_weights(weights, chosen):
    """Return the weight of the chosen rows; each weighs 1 where there are no weights."""
    if weights.size == 0:
        return float(chosen.size)
    total = 0.0
    for i in range(chosen.size):
        total += weights[chosen[i]]
    return total


@kernel
def evaluate_own_loss(head, output, target, label, weight, total, terms, d_output, group):
    """Let a user's function compute each row's loss and its gradient; weigh the gradient."""
    rows = output.shape[0]
    if rows == 0:
        return
    done = call(
        head["forward"],
        rows,
        output.ctypes.data,
        terms.ctypes.data,
        target.ctypes.data,
        label.ctypes.data,
        d_output.ctypes.data,
        0,
        0,
    )
    if done == 0:
        fail(group)
    scale_rows(d_output, weight, row_scale(total, 1))


@kernel
def evaluate_loss(head, place, arena, label, targets, labels, total, chosen, first, last, group):
    """Compare the rows from ``first`` to ``last`` of one output with what they should have been.

    Write the terms of their loss, and its gradient where ``backward`` starts.
    """
    op, alpha, n, t = head["op"], head["alpha"], head["output_size"], head["target_size"]
    mine, rows = chosen[first:last], last - first
    output_at, d_output_at = head["output"] + first * n, head["d_output"] + first * n
    output = matrix(arena[output_at : output_at + rows * n], rows, n)
    d_output = matrix(arena[d_output_at : d_output_at + rows * n], rows, n)
    target_at = head["target"] + first * t
    target = matrix(arena[target_at : target_at + rows * t], rows, t)
    terms_at, columns = head["terms"] + first * head["terms_size"], head["terms_size"]
    terms = matrix(arena[terms_at : terms_at + rows * columns], rows, columns)
    weight = arena[place["weight"] + first : place["weight"] + last]
    if t > 0:
        samples = targets.size // place["target_columns"]
        begin = head["target_column"] * samples
        gather_rows(matrix(targets[begin : begin + samples * t], samples, t), mine, target)
    else:
        samples = labels.size // place["label_columns"]
        begin = head["label_column"] * samples
        gather_values(labels[begin : begin + samples], mine, label[first:last])
    if op == Op.CROSS_ENTROPY:
        cross_entropy(output, label[first:last], weight, total, terms, d_output, alpha)
    elif op == Op.MSE:
        mse(output, target, weight, total, terms, d_output)
    elif op == Op.HUBER:
        huber(output, target, weight, total, terms, d_output, alpha)
    elif op == Op.FOREIGN_LOSS:
        evaluate_own_loss(
            head, output, target, label[first:last], weight, total, terms, d_output, group
        )
    else:
        bce_with_logits(output, target, weight, total, terms, d_output)
    if head["share"] != 1.0:
        d_outputs = arena[d_output_at : d_output_at + rows * n]
        rescale_backward(d_outputs, d_outputs, head["share"])


@kernel
def evaluate_losses(
    heads, place, arena, label, targets, labels, weights, total, chosen, first, last, group
):
    """Do so for all outputs; ``total`` is the weight of the whole batch."""
    weight = arena[place["weight"] + first : place["weight"] + last]
    if weights.size > 0:
        gather_values(weights, chosen[first:last], weight)
    else:
        weight[:] = 1
    for i in range(heads.size):
        if heads[i]["op"] != Op.NONE:
            evaluate_loss(
                heads[i], place, arena, label, targets, labels, total, chosen, first, last, group
            )


@kernel
def sum_losses(heads, place, arena, rows, total):
    """Return the loss of the whole batch, of the terms that all threads have written."""
    weight, loss = arena[place["weight"] : place["weight"] + rows], 0.0
    for i in range(heads.size):
        head = heads[i]
        if head["op"] != Op.NONE:
            at, columns = head["terms"], head["terms_size"]
            terms = matrix(arena[at : at + rows * columns], rows, columns)
            loss += head["share"] * (weighted_sum(terms, weight) * row_scale(total, columns))
    return loss

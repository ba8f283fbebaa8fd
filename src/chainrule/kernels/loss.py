"""What all losses have in common. Each is computed with its gradient in the same pass.

All take some rows of the network's output, what they should have been, a weight for each row, and
the total weight of the batch. All write the terms of the loss, one for each element of the output
or one for each row, and the gradient by the output. The batch's loss is the weighted mean of all
its terms, ``weighted_sum(terms, weight) * row_scale(total, terms.shape[1])``, accumulated in
float64 over the whole batch in one pass: so it does not depend on how threads share the rows.

No loop both writes and adds up. LLVM vectorises such a loop only where the arrays lie far enough
apart, and the order of a sum would depend on where buffers lie.
"""

from chainrule.kernels.jit import kernel
from chainrule.kernels.rows import scale_rows, weighted_sum


@kernel
def row_scale(total, columns):
    return 1.0 / (total * columns) if total > 0.0 else 0.0


@kernel
def weigh_gradients(d_output, weight, total):
    scale_rows(d_output, weight, row_scale(total, 1))


@kernel
def add_loss(terms, weight, total, loss_weight, loss):
    loss[0] += loss_weight * (weighted_sum(terms, weight) * row_scale(total, terms.shape[1]))

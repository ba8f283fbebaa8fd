"""What all losses have in common: they compute gradients too, for some rows of a batch.

The batch's loss is the mean of the terms, each with its row's weight: the sum of ``weight * term``
over all rows and columns of ``terms``, times ``row_scale(total, columns)``. ``total`` is the weight
of all rows of the batch. Gradients are scaled likewise, row by row.

A ``*_curvature`` writes the Hessian by the output times a direction, ``direction``, scaled in the
same way: how the gradient changes while the output moves so.
"""

from chainrule.reference.rows import scale_rows, weighted_sum


def row_scale(total, columns):
    """Return one entry's weight in the mean, before its row's weight; 0 if all weights are 0."""
    return 1 / (total * columns) if total > 0 else 0.0


def weigh_gradients(d_output, weight, total):
    """Turn the gradients of rows' own losses into that of their weighted mean."""
    scale_rows(d_output, weight, row_scale(total, 1))


def add_loss(terms, weight, total, loss_weight, loss):
    """Add the batch's loss to ``loss[0]``: the terms' weighted mean, times ``loss_weight``."""
    loss[0] += loss_weight * weighted_sum(terms, weight) * row_scale(total, terms.shape[1])

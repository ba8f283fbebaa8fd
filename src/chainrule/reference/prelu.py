"""PReLU: x times 1 where it is positive, else times a weight, one for all columns or for each."""

import numpy as np


def prelu(x, other, weight, positive, y):
    """``y = x * positive`` where the other operand, which is x as well, is positive.

    Elsewhere ``y = x * weight``.
    """
    y[...] = x * np.where(other > 0, positive, weight)


def prelu_backward(dy, x, other, weight, positive, dx, d_weight):
    """``dx = dy * positive``, or ``dy * weight``; ``d_weight`` sums ``dy * x`` over the latter."""
    dx[...] = dy * np.where(other > 0, positive, weight)
    of_columns = np.where(other > 0, 0, dy * x).sum(axis=0)
    d_weight[...] = of_columns if weight.size > 1 else of_columns.sum()

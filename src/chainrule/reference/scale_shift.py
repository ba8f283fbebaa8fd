"""A weight and maybe a bias for each column."""


def scale_shift(x, weight, bias, y):
    """``y = x * weight + bias``; an empty bias is none."""
    y[...] = x * weight + bias if bias.size else x * weight


def scale_shift_backward(dy, x, weight, dx, d_weight, d_bias):
    """``dx = dy * weight``; the sums of ``dy * x`` and of ``dy`` over the rows."""
    dx[...] = dy * weight
    d_weight[...] = (dy * x).sum(axis=0)
    if d_bias.size:
        d_bias[...] = dy.sum(axis=0)

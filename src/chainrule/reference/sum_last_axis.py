"""The sum along the last axis, in each place of that axis."""


def sum_last_axis(x, y):
    """Give each element of y the sum of its row of x; its backward pass is the same again."""
    y[...] = x.sum(axis=1, keepdims=True)

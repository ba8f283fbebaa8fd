"""The sum over a group of channels, and all places of a sample, in each of these places."""


def sum_groups(x, groups, channels, scratch, y):
    """Give each element of y the sum of its group of x; its backward pass is the same again."""
    shape = len(x), -1, groups, channels // groups
    y.reshape(shape)[...] = x.reshape(shape).sum(axis=(1, 3), keepdims=True)

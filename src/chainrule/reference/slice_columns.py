"""Some columns of a value, of its last axis."""


def slice_columns(x, column, y):
    """Make y what stands in the columns of x that begin at ``column``."""
    y[...] = x[:, column : column + y.shape[1]]


def put_columns_among_zeros(dy, column, dx):
    """Make dy the columns of dx that begin at ``column``; the others are 0."""
    dx[...] = 0
    dx[:, column : column + dy.shape[1]] = dy

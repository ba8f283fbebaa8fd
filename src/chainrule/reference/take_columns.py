"""Some columns of a matrix; the forward pass's twin is in :mod:`chainrule.reference.combine`."""


def put_columns_among_zeros(dy, column, dx):
    """Make dy the columns of dx that begin at ``column``; the others are 0."""
    dx[...] = 0
    dx[:, column : column + dy.shape[1]] = dy

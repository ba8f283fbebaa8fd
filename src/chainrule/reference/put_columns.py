"""A value as some columns of a wider one; several steps fill all of it."""


def put_columns(x, column, y):
    """Make x the columns of y that begin at ``column``."""
    y[:, column : column + x.shape[1]] = x

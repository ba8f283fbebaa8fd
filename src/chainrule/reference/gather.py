"""Copy the rows of a mini-batch to where the plan expects them."""


def gather_rows(source, order, out):
    """``out = source[order]``, for matrices."""
    out[...] = source[order]


def gather_values(source, order, out):
    """``out = source[order]``, for vectors."""
    out[...] = source[order]

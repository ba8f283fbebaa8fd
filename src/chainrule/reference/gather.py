"""Copy rows: those of a mini-batch to where the plan expects them, and outputs to the caller."""


def gather_rows(source, order, out):
    """``out = source[order]``, for matrices."""
    out[...] = source[order]


def gather_values(source, order, out):
    """``out = source[order]``, for vectors."""
    out[...] = source[order]


def copy_rows(source, out):
    """``out = source``."""
    out[...] = source

"""The transpose of a matrix."""


def transpose(a, out):
    """``out = a.T``."""
    out[...] = a.T

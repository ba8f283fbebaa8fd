"""What operations that work on each element by itself have in common."""


def multiply_by_zero(dy, y, dx):
    """``dx = dy * 0``: the derivative of a slope that is piecewise constant."""
    dx[...] = dy * 0

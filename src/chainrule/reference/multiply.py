"""The product of two values of one shape, elementwise."""

import numpy as np


def multiply(x, other, y):
    """``y = x * other``; each gets y's gradient times the other one: again such a product."""
    np.multiply(x, other, out=y)

"""GLU: ``x = [value, gate]`` along the last axis."""

import numpy as np

from chainrule.reference.elementary import sigmoid


def glu(x, y):
    """``y = value * sigmoid(gate)``."""
    value, gate = np.split(x, 2, axis=1)
    y[...] = value * sigmoid(gate)


def glu_backward(dy, x, dx):
    """``dx = [dy * s, dy * value * s * (1 - s)]`` with ``s = sigmoid(gate)``."""
    value, gate = np.split(x, 2, axis=1)
    s = sigmoid(gate)
    dx[...] = np.hstack([dy * s, dy * value * s * sigmoid(-gate)])

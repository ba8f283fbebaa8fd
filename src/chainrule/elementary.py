"""Elementary functions of one number that vectorise, for compiled functions of your own.

In a loop that Numba compiles, ``np.exp`` and ``np.tanh`` are a call for each number. These are
computed for as many numbers at once as the processor's vectors hold, by the formulas of the
built-in activations, in the precision of their argument, which must be a float.

Importing this module loads Numba.

Examples
--------
>>> import numpy as np
>>> import chainrule as cr
>>> from chainrule.elementary import sigmoid
>>> def quick_gelu(x):
...     return x * sigmoid(1.702 * x)
>>> def slope(x):
...     s = sigmoid(1.702 * x)
...     return s * (1.0 + 1.702 * x * (1.0 - s))
>>> net = cr.Sequential(cr.Linear(3, 4), cr.Activation(quick_gelu, slope), seed=0)
>>> cr.gradcheck(net, cr.MSELoss(), np.ones((5, 3)), np.zeros((5, 4))).passed
True
"""

from chainrule.kernels.elementary import (
    erf,
    exp,
    expm1,
    log,
    normal_cdf,
    normal_pdf,
    sigmoid,
    softplus,
    tanh,
)
from chainrule.utils.public import listing

__all__ = [
    "erf",
    "exp",
    "expm1",
    "log",
    "normal_cdf",
    "normal_pdf",
    "sigmoid",
    "softplus",
    "tanh",
]

__dir__ = listing(__all__)

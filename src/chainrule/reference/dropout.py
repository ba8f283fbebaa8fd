"""Dropout: elements that are left out at random, by a mask that is drawn, not kept."""

import numpy as np

from chainrule.reference.random import philox


def dropout(x, y, p, key, step, number, first):
    """``y = x * mask / (1 - p)``, where the mask is 0 with probability p, else 1.

    Element i of all has word ``i % 4`` of those that Philox makes of the counter ``(i // 4,
    number, step)`` and the key; x begins at element ``first``, a multiple of 4. (Srivastava et al.,
    *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*, JMLR 15, 2014.)
    """
    group = (first // 4 + np.arange(-(-x.size // 4))).astype(np.uint64)
    words = philox(group, number, step % 2**32, step >> 32, key % 2**32, key >> 32)
    mask = np.stack(words, axis=1).reshape(-1)[: x.size] >= np.uint64(p * 2**32)
    y[...] = x * (mask * x.dtype.type(1 / (1 - p)))


def dropout_backward(dy, dx, p, key, step, number, first):
    """``dx = dy * mask / (1 - p)``: the mask of the forward pass."""
    dropout(dy, dx, p, key, step, number, first)

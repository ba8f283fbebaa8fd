"""Gradient clipping: to a largest element, or to a largest norm."""

import numpy as np

NORM_BLOCK = 4096


def sum_squares(x, squares):
    """Write the sum of squares of each block of ``NORM_BLOCK`` elements, in float64.

    The blocks are the same whoever sums them, so their total is, too, to the bit.
    """
    for block in range(squares.size):
        part = x[block * NORM_BLOCK : (block + 1) * NORM_BLOCK]
        squares[block] = np.square(part, dtype=float).sum()


def sum_squares_of_partition(x, squares, thread, threads):
    """Do so for the blocks that are one thread's."""
    sum_squares(x, squares)


def clip_to_value(grads, limit):
    """Bring each element into the range from -limit to limit; a NaN stays one."""
    np.clip(grads, -limit, limit, out=grads)


def clip_to_norm(grads, squares, limit):
    """Shorten a vector, the sum of whose ``squares`` is known, to the norm ``limit``.

    It is ``torch.nn.utils.clip_grad_norm_``'s formula (Pascanu et al., *On the Difficulty of
    Training Recurrent Neural Networks*, ICML 2013). A norm that overflows makes the vector NaN.
    """
    norm = np.sqrt(squares.sum(dtype=float))
    scale = limit / (norm + 1e-6) if np.isfinite(norm) else np.nan
    if not scale >= 1:
        grads *= scale

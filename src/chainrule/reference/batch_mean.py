"""The mean of each column over the rows of the batch, in each row."""

import numpy as np


def batch_mean_sums(x, chunk_sums):
    """Write how many rows there are, and the sum of each column."""
    chunk_sums[...] = np.stack([np.full_like(x[0], len(x)), x.sum(axis=0)])


def batch_mean(sums, scratch, y):
    """Give each row of y the mean over the rows of all chunks; its backward pass is the same."""
    y[...] = sums[:, 1].sum(axis=0) / sums[:, 0, 0].sum()

"""Sums of gradients: over the paths from a value to the loss, and over chunks of the batch."""


def accumulate(x, y):
    """``y += x``: the chain rule's sum over the paths from a value to the loss."""
    y += x


def add_up(parts, column, adds, out):
    """Write or add the sum of the rows of ``parts``, from ``column`` on."""
    total = parts[:, column : column + out.size].sum(axis=0)
    out[...] = out + total if adds else total

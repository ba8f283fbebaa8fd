"""Norms of single samples' gradients, where a batch's gradient is their sum."""

from chainrule.kernels.jit import kernel
from chainrule.kernels.norm import sum_of_squares


@kernel
def square_norms_of_products(x, dy, has_bias, squares):
    for i in range(squares.size):
        squares[i] += sum_of_squares(dy[i]) * (sum_of_squares(x[i]) + has_bias)

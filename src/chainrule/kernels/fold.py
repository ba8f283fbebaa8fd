"""A linear step's weight and bias with what scales and shifts its columns afterwards."""

from chainrule.kernels.jit import kernel


@kernel
def start_fold(bias, scale, shift):
    one, zero = scale.dtype.type(1), scale.dtype.type(0)
    for j in range(scale.size):
        scale[j] = one
        shift[j] = bias[j] if bias.size > 0 else zero


@kernel
def fold(weight, scale, shift, thread, threads, folded, folded_bias):
    for i in range(thread, weight.shape[0], threads):
        row, out = weight[i], folded[i]
        for j in range(scale.size):
            out[j] = row[j] * scale[j]
    if thread == 0:
        for j in range(scale.size):
            folded_bias[j] = shift[j]

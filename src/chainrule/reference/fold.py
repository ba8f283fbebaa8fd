"""A linear step's weight and bias with what scales and shifts its columns afterwards."""


def start_fold(bias, scale, shift):
    """Begin with no scale, and the bias as the shift; an empty one is none."""
    scale[...] = 1
    shift[...] = bias if bias.size else 0


def fold(weight, scale, shift, thread, threads, folded, folded_bias):
    """Write the thread's rows of ``weight * scale``; the first thread writes the bias."""
    folded[thread::threads] = weight[thread::threads] * scale
    if thread == 0:
        folded_bias[...] = shift

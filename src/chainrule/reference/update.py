"""What comes before and after an optimizer's rule: rates, gradients that are left out, averages."""


def scale_lr(lr, factor, scaled):
    """Write the learning rate of some parameters: ``lr * factor``."""
    scaled[0] = lr * factor


def fill_zeros(grads):
    """Write 0 everywhere: gradients of frozen parameters have no part in the norm."""
    grads[:] = 0


def average_update(params, average, decay):
    """Let an exponential moving average follow: ``average += (1 - decay) * (params - average)``."""
    average += (1 - decay) * (params - average)

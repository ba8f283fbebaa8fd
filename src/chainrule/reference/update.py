"""The average that follows the parameters, after an optimizer's step."""


def average_update(params, average, decay):
    """Let an exponential moving average follow: ``average += (1 - decay) * (params - average)``."""
    average += (1 - decay) * (params - average)

"""An average of the parameters, over the steps of a training."""

from chainrule.models.sequential import Sequential, check_network
from chainrule.utils.arguments import fraction_below_one


class ExponentialMovingAverage:
    """A network whose parameters follow another's: ``average += (1 - decay) * (params - average)``.

    Pass it to :func:`fit` as ``average``: it is then updated after each step, inside compiled code.
    In a loop of your own, call :meth:`update` after each step. It starts from the network's present
    parameters, like PyTorch's ``AveragedModel`` with ``get_ema_multi_avg_fn(decay)`` after its
    first update. Buffers, such as the running means of :class:`BatchNorm`, are not averaged but
    copied, as there.

    Parameters
    ----------
    net : Sequential
        The network to follow.
    decay : float
        The weight of the old average in each update, at least 0 and less than 1.

    Attributes
    ----------
    network : Sequential
        A separate network, whose parameters are the average.
    source : Sequential
        The network that it follows.
    decay : float

    Raises
    ------
    ValueError, TypeError
        If ``decay`` is out of range, or ``net`` is no network.

    References
    ----------
    Polyak and Juditsky, *Acceleration of Stochastic Approximation by Averaging*, SIAM Journal on
    Control and Optimization 30, 1992.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1))
    >>> net.params = [0.0, 0.0]
    >>> average = cr.ExponentialMovingAverage(net, decay=0.75)
    >>> net.params = [4.0, 8.0]
    >>> average.update()
    >>> average.network.params
    array([1., 2.], dtype=float32)
    """

    def __init__(self, net: Sequential, decay: float = 0.999) -> None:
        check_network(net)
        self.decay = fraction_below_one(decay, "ExponentialMovingAverage's decay")
        self.source, self.network = net, net.copy()

    def update(self) -> None:
        """Update the average with the network's present parameters."""
        self.source.updates.average(self.network.params, self.decay)
        self.copy_buffers()
        self.network.invalidate_forward("ExponentialMovingAverage.update")

    def copy_buffers(self) -> None:
        """Give the average the buffers that the network has now."""
        self.network.values[self.network.params.size :] = self.source.values[
            self.source.params.size :
        ]

    def __repr__(self) -> str:
        return f"ExponentialMovingAverage({self.source!r}, decay={self.decay})"

"""An average of the parameters, over the steps of a training."""

from chainrule.models.sequential import Sequential, check_network
from chainrule.utils.arguments import share_below_one


class ExponentialMovingAverage:
    """A network whose parameters follow another's: ``average += (1 - decay) * (params - average)``.

    Give it to :func:`fit` as ``average``: it then follows after each step, inside compiled code. In
    a loop of your own, call :meth:`update` after each. It begins with the parameters as they are,
    like PyTorch's ``AveragedModel`` with ``get_ema_multi_avg_fn(decay)`` after its first update.

    Parameters
    ----------
    net : Sequential
        The network to follow.
    decay : float
        How much of the average each step keeps, at least 0 and less than 1.

    Attributes
    ----------
    network : Sequential
        A network of its own; its parameters are the average.
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
        self.decay = share_below_one(decay, "ExponentialMovingAverage's decay")
        self.source, self.network = net, net.copy()

    def update(self) -> None:
        """Follow the network's parameters as they are now."""
        self.source.updates.average(self.network.params, self.decay)
        self.network.outdate_forward("ExponentialMovingAverage.update")

    def __repr__(self) -> str:
        return f"ExponentialMovingAverage({self.source!r}, decay={self.decay})"

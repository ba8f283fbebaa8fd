"""Gradient clipping, for training loops written by hand."""

from chainrule.models.sequential import Sequential, check_network
from chainrule.utils.arguments import above_zero


def clip_grad_norm(net: Sequential, max_norm: float) -> float:
    """Scale the gradient over all parameters to the norm ``max_norm``, if its norm is larger.

    ``g = g * min(1, max_norm / (norm + 1e-6))``, as in ``torch.nn.utils.clip_grad_norm_``.
    :func:`fit` does it with ``clip_norm``. The gradients of frozen parameters become 0 first.

    Parameters
    ----------
    net : Sequential
        Its ``grads`` are changed in place.
    max_norm : float
        More than 0.

    Returns
    -------
    float
        The gradient's Euclidean norm before. If it is infinite, the gradient becomes NaN.

    Raises
    ------
    ValueError, TypeError
        If ``max_norm`` is not a finite number above 0 in the network's dtype, or ``net`` is no
        network.

    References
    ----------
    Pascanu et al., *On the Difficulty of Training Recurrent Neural Networks*, ICML 2013.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1))
    >>> net.grads[:] = [3.0, 4.0]
    >>> cr.clip_grad_norm(net, 0.5)
    5.0
    >>> print(net.grads.round(3))
    [0.3 0.4]
    """
    check_network(net)
    max_norm = above_zero(max_norm, "max_norm", net.dtype)
    for begin, end in net.frozen_ranges():
        net.grads[begin:end] = 0
    return net.updates.clip(max_norm, 0.0)


def clip_grad_value(net: Sequential, clip_value: float) -> None:
    """Clip each element of the gradient to the range from ``-clip_value`` to ``clip_value``.

    :func:`fit` does it with ``clip_value``.

    Parameters
    ----------
    net : Sequential
        Its ``grads`` are changed in place.
    clip_value : float
        More than 0.

    Raises
    ------
    ValueError, TypeError
        If ``clip_value`` is not a finite number above 0 in the network's dtype, or ``net`` is no
        network.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1))
    >>> net.grads[:] = [-3.0, 0.25]
    >>> cr.clip_grad_value(net, 0.5)
    >>> net.grads
    array([-0.5 ,  0.25], dtype=float32)
    """
    check_network(net)
    net.updates.clip(0.0, above_zero(clip_value, "clip_value", net.dtype))

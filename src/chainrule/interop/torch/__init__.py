"""PyTorch: parameters from and to its models, and a network as one of its modules."""

from __future__ import annotations

from typing import Any

from chainrule.interop.torch.state_dict import from_state_dict, save_state_dict, to_state_dict
from chainrule.models.sequential import Sequential, check_network
from chainrule.utils.public import listing

__all__ = ["as_torch", "from_state_dict", "save_state_dict", "to_state_dict"]

__dir__ = listing(__all__)


def as_torch(net: Sequential) -> Any:
    """Return the network as a ``torch.nn.Module``, to use inside a PyTorch model.

    Its parameters are views of the network's memory, with PyTorch's names and shapes: an update by
    an optimizer of either library changes both; those that are frozen do not require gradients.
    chainrule computes the gradients by the parameters and by x, which PyTorch accumulates as usual.
    Each forward pass has its own memory until its backward pass, so there may be several forward
    passes before a backward pass, and changes of the parameters in between have no effect on it.
    ``torch.compile`` compiles the model around it, and under ``torch.autocast`` it computes in its
    own dtype.

    Parameters
    ----------
    net : Sequential

    Returns
    -------
    torch.nn.Module
        On the CPU, in the network's dtype. It takes what :meth:`Sequential.predict` takes, as a
        tensor; a tensor for each of several inputs. A copy of it has a copy of the network.

    Raises
    ------
    TypeError
        If net is not a network; and later, if the module's dtype or device is changed.
    ImportError
        Without torch.
    RuntimeError
        Later, for unsupported uses: second derivatives, ``torch.func``, forward mode,
        ``torch.export`` and ``torch.jit``; and in training mode, if the network has a
        layer that does something else in training, such as :class:`Dropout`.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> net = cr.Sequential(cr.Linear(8, 16), cr.Tanh(), seed=0)  # doctest: +SKIP
    >>> inside = cr.interop.torch.as_torch(net)  # doctest: +SKIP
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), inside)  # doctest: +SKIP
    >>> model(torch.ones(3, 4)).sum().backward()  # doctest: +SKIP
    """
    check_network(net)
    from chainrule.interop.torch.module import NetworkModule

    return NetworkModule(net)

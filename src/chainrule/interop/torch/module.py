"""A network as a PyTorch module."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

try:
    import torch
except ImportError:
    raise ImportError("as_torch needs torch: pip install torch") from None

from chainrule.autodiff.products import vjp
from chainrule.interop.torch.state_dict import places_of
from chainrule.layers import Dropout
from chainrule.network import Sequential


class NetworkModule(torch.nn.Module):
    """What :func:`chainrule.interop.torch.as_torch` returns."""

    def __init__(self, net: Sequential) -> None:
        super().__init__()
        self.net = net
        self._drops = any(isinstance(node.layer, Dropout) for node in net.graph.nodes)
        self._own: list[tuple[torch.nn.Module, str]] = []  # where each parameter lies
        self._addresses: list[int] = []
        by_home: dict[str, torch.nn.Parameter] = {}
        views = net.parameters()
        for place in places_of(net):
            module, name = self._module_of(place.name)
            if place.home not in by_home:
                tensor = torch.from_numpy(place.turned(views[place.home]))
                by_home[place.home] = torch.nn.Parameter(tensor)
                self._own.append((module, name))
                self._addresses.append(tensor.data_ptr())
            module.register_parameter(name, by_home[place.home])

    def _module_of(self, path: str) -> tuple[torch.nn.Module, str]:
        """Return the module, among modules as in a ``torch.nn.Sequential``, and the last name."""
        *numbers, name = path.split(".")
        module: torch.nn.Module = self
        for number in numbers:
            if number not in module._modules:
                module.add_module(number, torch.nn.Module())
            module = module._modules[number]
        return module, name

    def forward(self, x: torch.Tensor) -> Any:
        """Return the network's output, a tuple of them if it ends in a Branch."""
        parameters = [module._parameters[name] for module, name in self._own]
        if [parameter.data_ptr() for parameter in parameters] != self._addresses:
            raise RuntimeError(
                "The module's parameters are not the network's memory any more; make another "
                "module by as_torch, and change parameters in place (as load_state_dict does)."
            )
        if self.training and self._drops:
            raise RuntimeError(
                "Dropout inside a network has no masks here: call eval() on the module, "
                "where it leaves nothing out, or put a torch.nn.Dropout beside it."
            )
        if not torch.is_grad_enabled() or not any(t.requires_grad for t in (x, *parameters)):
            return _tensors(self.net.predict(x.detach().numpy()))
        return _Walk.apply(self.net, x, *parameters)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Refuse what would move the parameters, such as ``double()``, before it does."""
        before = torch.from_numpy(np.empty(0, self.net.dtype))
        after = fn(before)
        if (after.dtype, after.device, after.is_shared()) != (before.dtype, before.device, False):
            raise TypeError(
                f"A chainrule network stays on the CPU, in {self.net.dtype}: as_torch(net.copy("
                "dtype=...)) has another dtype."
            )
        return super()._apply(fn, recurse)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a copy have a copy of the network, which its parameters share."""
        needed = [parameter.requires_grad for parameter in self.parameters()]
        return _rebuilt, (self.net, self.training, needed)


def _rebuilt(net: Sequential, training: bool, needed: list[bool]) -> NetworkModule:
    module = NetworkModule(net)
    module.train(training)
    for parameter, requires_grad in zip(module.parameters(), needed, strict=True):
        parameter.requires_grad_(requires_grad)
    return module


class _Walk(torch.autograd.Function):
    """One walk forward, and the way back from it."""

    @staticmethod
    def forward(ctx: Any, net: Sequential, x: torch.Tensor, *parameters: torch.Tensor) -> Any:
        output, ctx.pullback = vjp(net, x.detach().numpy())
        ctx.net, ctx.lock = net, Lock()  # several threads may walk back
        return _tensors(output)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *d_outputs: torch.Tensor) -> Any:
        arrays = tuple(d_output.numpy() for d_output in d_outputs)
        with ctx.lock:
            d_params, dx = ctx.pullback(arrays[0] if len(arrays) == 1 else arrays)
        gradients = ctx.net.views(d_params)
        first_places = (place for place in places_of(ctx.net) if place.name == place.home)
        turned = (place.turned(gradients[place.home]) for place in first_places)
        return None, torch.from_numpy(dx), *map(torch.from_numpy, turned)


def _tensors(output: Any) -> Any:
    """Return arrays as tensors of the same memory."""
    if isinstance(output, tuple):
        return tuple(map(torch.from_numpy, output))
    return torch.from_numpy(output)

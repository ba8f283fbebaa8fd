"""A network as a PyTorch module."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

try:
    import torch
    from torch.autograd.forward_ad import unpack_dual
except ImportError:
    raise ImportError("as_torch needs torch: pip install torch") from None

from chainrule.autodiff.products import vjp
from chainrule.interop.torch.state_dict import buffers_of, places_of
from chainrule.models.sequential import Sequential
from chainrule.utils.inputs import input_names, one_or_tuple
from chainrule.utils.wording import plural


class NetworkModule(torch.nn.Module):
    """The module that :func:`chainrule.interop.torch.as_torch` returns."""

    def __init__(self, net: Sequential) -> None:
        super().__init__()
        self.net = net
        self._own: list[tuple[torch.nn.Module, str]] = []  # the module and name of each parameter
        self._addresses: list[int] = []
        by_parameter: dict[str, torch.nn.Parameter] = {}
        views = net.parameters()
        for place in places_of(net):
            module, name = self._module_of(place.name)
            if place.parameter not in by_parameter:
                tensor = torch.from_numpy(place.transposed(views[place.parameter]))
                trained = place.parameter not in net.frozen
                by_parameter[place.parameter] = torch.nn.Parameter(tensor, trained)
                self._own.append((module, name))
                self._addresses.append(tensor.data_ptr())
            module.register_parameter(name, by_parameter[place.parameter])
        buffers = net.buffers()
        for place in buffers_of(net):
            module, name = self._module_of(place.name)
            module.register_buffer(name, torch.from_numpy(buffers[place.parameter]))

    def _module_of(self, path: str) -> tuple[torch.nn.Module, str]:
        """Return the module, among modules as in a ``torch.nn.Sequential``, and the last name."""
        *numbers, name = path.split(".")
        module: torch.nn.Module = self
        for number in numbers:
            if number not in module._modules:
                module.add_module(number, torch.nn.Module())
            module = module._modules[number]
        return module, name

    # It computes on NumPy arrays, which torch.compile cannot look into.
    @torch.compiler.disable
    def forward(self, x: torch.Tensor, *others: torch.Tensor) -> Any:
        """Return the network's output, a tuple of them if it ends in a Branch.

        It takes a tensor for each input: several, if the network begins with Inputs.
        """
        given, inputs = (x, *others), self.net.graph.inputs
        if len(given) != inputs:
            raise TypeError(
                f"The network has {plural(inputs, 'input')}: the module takes as many tensors, as "
                f"arguments of their own, not {len(given)}."
            )
        for tensor, name in zip(given, input_names("x", inputs), strict=True):
            if not isinstance(tensor, torch.Tensor):
                raise TypeError(f"{name} must be a tensor, not {type(tensor).__name__}.")
        _refuse_transforms(*given)
        parameters = [getattr(module, name) for module, name in self._own]
        if [parameter.data_ptr() for parameter in parameters] != self._addresses:
            raise RuntimeError(
                "The module's parameters no longer share the network's memory; make another module "
                "by as_torch, and change parameters in place (as load_state_dict does)."
            )
        if self.training and self.net.graph.differs_in_training:
            raise RuntimeError(
                "Dropout inside a network draws no masks here, random shifts, flips and crops draw "
                "nothing, and BatchNorm has no statistics of the batch: call eval() on the module, "
                "where they do what they do in predict, or use PyTorch's own layers outside the "
                "network."
            )
        if not torch.is_grad_enabled() or not any(t.requires_grad for t in (*given, *parameters)):
            return _tensors(self.net.predict(_arrays(given)))
        return _Forward.apply(self.net, *given, *parameters)

    def __prepare_scriptable__(self) -> Any:
        """Refuse ``torch.jit.script``, which calls this method."""
        raise RuntimeError(NOT_TRACED)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Refuse methods that would replace the parameters, such as ``double()``."""
        before = torch.from_numpy(np.empty(0, self.net.dtype))
        after = fn(before)
        if (after.dtype, after.device, after.is_shared()) != (before.dtype, before.device, False):
            raise TypeError(
                f"A chainrule network stays on the CPU, in {self.net.dtype}: as_torch(net.copy("
                "dtype=...)) has another dtype."
            )
        return super()._apply(fn, recurse)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy or pickle the network; the new module's parameters are views of its memory."""
        trained = [parameter.requires_grad for parameter in self.parameters()]
        return _rebuilt, (self.net, self.training, trained)


def _rebuilt(net: Sequential, training: bool, trained: list[bool]) -> NetworkModule:
    module = NetworkModule(net)
    module.train(training)
    for parameter, requires_grad in zip(module.parameters(), trained, strict=True):
        parameter.requires_grad_(requires_grad)
    return module


class _Forward(torch.autograd.Function):
    """The network as a function in PyTorch's graph."""

    @staticmethod
    def forward(ctx: Any, net: Sequential, *tensors: torch.Tensor) -> Any:
        """Take the network's inputs, then its parameters."""
        output, ctx.pullback = vjp(net, _arrays(tensors[: net.graph.inputs]))
        ctx.net, ctx.lock = net, Lock()  # several threads may run the backward pass
        # save_for_backward would refuse a backward pass after an optimizer's step.
        ctx.inputs = tensors
        return _tensors(output)

    @staticmethod
    def backward(ctx: Any, *d_outputs: torch.Tensor) -> Any:
        _refuse_transforms(*d_outputs)
        return None, *_Backward.apply(ctx, *d_outputs, *ctx.inputs)


class _Backward(torch.autograd.Function):
    """The backward pass as a function in PyTorch's graph, so that second derivatives are an error.

    The inputs are arguments too: with ``once_differentiable`` instead, ``torch.autograd.grad`` by
    the inputs would return a second derivative of 0 without an error.
    """

    @staticmethod
    def forward(ctx: Any, first: Any, *tensors: torch.Tensor) -> Any:
        with first.lock:
            d_params, dx = first.pullback(_arrays(tensors[: -len(first.inputs)]))
        gradients = first.net.views(d_params)
        first_places = (place for place in places_of(first.net) if place.name == place.parameter)
        transposed = (place.transposed(gradients[place.parameter]) for place in first_places)
        by_inputs = dx if isinstance(dx, tuple) else (dx,)
        return *map(torch.from_numpy, by_inputs), *map(torch.from_numpy, transposed)

    @staticmethod
    def backward(ctx: Any, *d_gradients: torch.Tensor) -> Any:
        raise RuntimeError(
            "PyTorch cannot compute second derivatives of a chainrule network; cr.hvp, cr.hessian, "
            "cr.hessian_x and cr.input_derivatives compute them."
        )


NOT_TRACED = (
    "A chainrule network is computed outside of PyTorch, so it is not exported with a PyTorch "
    "model: net.to_onnx(path) writes it as ONNX, and to_state_dict(net) has its parameters for a "
    "torch.nn.Sequential of the same layers."
)


def _refuse_transforms(*tensors: torch.Tensor) -> None:
    """Raise RuntimeError under transforms that would treat the output as a constant."""
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        raise RuntimeError(NOT_TRACED)
    # PyTorch has no public functions for these checks, except the last.
    if (
        torch._C._are_functorch_transforms_active()
        or any(map(torch._C._functorch.is_legacy_batchedtensor, tensors))
        or any(unpack_dual(tensor).tangent is not None for tensor in tensors)
    ):
        raise RuntimeError(
            "torch.func (grad, vmap, jvp, ...), forward mode and batched gradients do not support "
            "a chainrule network: use torch.autograd.grad or backward(), or cr.vjp, cr.jvp, "
            "cr.jacobian and cr.per_sample_grad of the network."
        )


def _array(tensor: torch.Tensor) -> Any:
    """Return a tensor's values as an array, of its own memory if NumPy has its dtype."""
    tensor = tensor.detach()
    is_half = tensor.is_floating_point() and tensor.element_size() < 4  # as autocast makes them
    return (tensor.float() if is_half else tensor).numpy()


def _arrays(tensors: Sequence[torch.Tensor]) -> Any:
    """Return the values of the only tensor, or a tuple of those of several."""
    return one_or_tuple(list(map(_array, tensors)))


def _tensors(output: Any) -> Any:
    """Return arrays as tensors of the same memory."""
    if isinstance(output, tuple):
        return tuple(map(torch.from_numpy, output))
    return torch.from_numpy(output)

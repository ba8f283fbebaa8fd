"""Normalizations that are no operator of opset 17: how they are written as several, and read.

RMSNorm is ``x / sqrt(mean(x * x) + eps) * weight``, and LayerNorm, which older files write so, the
same of ``x - mean(x)``, plus a bias. GroupNorm is InstanceNormalization of a value
whose groups have one axis, with what stands in a group behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.activations import Writer
from chainrule.interop.onnx.images import read_mean_of_places
from chainrule.interop.onnx.layouts import channels_first, flattened_images, in_file_order
from chainrule.interop.onnx.normalization import (
    features_first,
    features_last,
    parameter_or,
    shortest,
)
from chainrule.interop.onnx.steps import Array, ImportStep, NodeView, Part, lengths_text
from chainrule.layers.layer import Layer


def _rms_norm(writer: Writer, layer: layers.RMSNorm, x: str) -> str:
    square = writer.add("ReduceMean", writer.add("Mul", x, x), axes=[-1], keepdims=1)
    eps = writer.number(layer.eps_in(writer.dtype))
    root = writer.add("Sqrt", writer.add("Add", square, eps))
    weight = parameter_or(writer, layer, "weight", 1.0)  # which tells how many features there are
    return writer.add("Mul", writer.add("Div", x, root), weight)


def _group_norm(writer: Writer, layer: layers.GroupNorm, x: str) -> str:
    *places, features = writer.shape
    rank, groups = len(writer.shape) + 1, layer.groups
    if places:
        x = writer.add("Transpose", x, perm=features_first(rank))
    x = writer.add("Reshape", x, writer.integers([0, groups, -1]))
    one, zero = (writer.number(np.full(groups, value)) for value in (1.0, 0.0))
    x = writer.add("InstanceNormalization", x, one, zero, epsilon=layer.eps)
    x = writer.add("Reshape", x, writer.integers([0, features, *places]))
    if places:
        x = writer.add("Transpose", x, perm=features_last(rank))
    if not layer.affine:
        return x
    return writer.add("Add", writer.add("Mul", x, writer.parameter("weight")),
                      writer.parameter("bias"))  # fmt: skip


def _read_reduce_mean(node: NodeView) -> ImportStep:
    """Read the mean along the last axis, also of squares, or of images with channels first."""
    if (step := read_mean_of_places(node)) is not None:
        return step
    axes = node.integers(1) if node.has(1) else node.attribute("axes", [0])
    node.expect(keepdims=1, noop_with_empty_axes=0)
    square = node.step_before(0)
    if len(axes) != 1:
        raise ValueError(f"has axes={axes}, where one is supported, as a part of a normalization")
    part = Part("average", node.value())
    if square is not None and square.squared is not None:
        part = Part("mean", square.squared)
    return ImportStep(node.label, (node.value(),), axis=axes[0], part=part)


def read_centered(node: NodeView) -> ImportStep | None:
    """Return a value minus its mean along the last axis; None if it is something else."""
    before, x = node.step_before(1), node.value(0)
    if before is None or before.part is None or before.part[:2] != ("average", x):
        return None
    return replace(before, label=node.label, inputs=(x,), part=Part("centered", x))


def read_sum_with_number(node: NodeView, value: int, constant: int) -> ImportStep | None:
    """Return a mean square plus eps as a step; None if it is something else."""
    before = node.step_before(value)
    if before is None or before.part is None or before.part.kind != "mean":
        return None
    part = before.part._replace(kind="variance", eps=node.number(constant))
    return replace(before, label=node.label, inputs=(node.value(value),), part=part)


def read_root(node: NodeView, function: Callable[..., Array], value: int = 0) -> ImportStep | None:
    """Return the root of a mean square, or one over it, as a step; None if it is something else."""
    before = node.step_before(value)
    old, new = ("variance", "root") if function is np.sqrt else ("root", "scale")
    if before is None or before.part is None or before.part.kind != old:
        return None
    part = before.part._replace(kind=new)
    return replace(before, label=node.label, inputs=(node.value(value),), part=part)


def read_normalized(node: NodeView, value: int, other: int, kind: str) -> ImportStep | None:
    """Return a value by its root mean square, or times one over it; None if it is not that."""
    before = node.step_before(other)
    if before is None or before.part is None or before.part.kind != kind:
        return None
    if before.part.x != node.value(value):
        return None
    part = before.part._replace(kind="normalized")
    return replace(before, label=node.label, inputs=(node.value(value),), part=part)


def read_scaled(node: NodeView, value: int, constant: int) -> ImportStep | None:
    """Return a normalized value times a weight as a layer; None if it is something else."""
    x, before = node.value(value), node.step_before(value)
    if before is None or node.constant(constant).ndim == 0:
        return None
    weight, part = node.constant(constant).reshape(-1), before.part
    if part is not None and part.kind == "normalized" and part.groups == 0:
        eps = shortest(part.eps) if weight.dtype == np.float32 else part.eps
        is_default = weight.dtype.type(eps) == np.finfo(weight.dtype).eps
        layer: Layer = layers.RMSNorm(weight.size, None if is_default else eps)
        x, centered = part.x, node.step_of(part.x)
        if centered is not None and centered.part is not None and centered.part.kind == "centered":
            if centered.axis != before.axis:
                raise ValueError("is of a value minus its mean along another axis")
            layer, x = layers.LayerNorm(weight.size, eps, bias=False), centered.part.x
        names, parameters = (node.inputs[constant], repr(layer)), {"weight": weight}
        node.row(constant, beside=x)
        return ImportStep(node.label, (x,), (layer,), parameters, names, axis=before.axis)
    own = before.transposed or before
    bare = _group_norm_of(own, weight.size)
    if bare is None or bare.affine:
        return None
    node.row(constant, beside=x)
    names = node.inputs[constant], repr(bare)
    parameters = {"weight": weight, "bias": np.zeros_like(weight)}
    inputs, affine = (own.inputs if part is None else (part.x,)), replace(bare, affine=True)
    step = ImportStep(node.label, inputs, (affine,), parameters, names, axis=own.axis)
    return step if before.transposed is None else channels_first(step)


def _group_norm_of(step: ImportStep, features: int) -> layers.GroupNorm | None:
    """Return the layer of so many features that a step is, if it is one."""
    if step.part is not None and step.part.kind == "normalized":
        return layers.GroupNorm(step.part.groups, features, step.part.eps, affine=False)
    layer = step.layers[0] if len(step.layers) == 1 else None
    fits = isinstance(layer, layers.GroupNorm) and layer.features == features
    return layer if isinstance(layer, layers.GroupNorm) and fits else None


def read_shifted(node: NodeView, value: int, constant: int) -> ImportStep | None:
    """Return a GroupNorm or a LayerNorm with a bias; None if the value is something else."""
    before, bias = node.step_before(value), node.constant(constant)
    own = None if before is None else before.transposed or before
    if before is None or own is None or not own.parameters:
        return None
    layer, names = own.layers[0], own.names[:2]
    if isinstance(layer, layers.LayerNorm) and not layer.bias:
        if bias.shape[-1:] != (layer.features,):
            return None
        layer = layers.LayerNorm(layer.features, layer.eps)
    elif len(own.names) > 2 or _group_norm_of(own, bias.size) is None:
        return None
    node.row(constant, beside=node.value(value))
    parameters = {**own.parameters, "bias": bias.reshape(-1)}
    step = ImportStep(
        *(node.label, own.inputs, (layer,), parameters, (*names, node.inputs[constant])),
        axis=own.axis,
    )
    return step if before.transposed is None else channels_first(step)


def read_groups(node: NodeView, row: list[int]) -> ImportStep | None:
    """Return a Reshape of rows to groups of one axis; None if ``row`` is no shape of these."""
    if len(row) != 2 or row[0] < 1:
        return None
    last = node.channels_last(node.value())
    shape = node.shape(node.value() if last is None else last)
    known = [n for n in shape or () if n is not None]
    is_whole = len(known) == len(shape or (None,)) and row[0] * row[1] == prod(known)
    if row[1] != -1 and not is_whole:
        return None
    x = in_file_order(node, node.value()) if last is None else last
    part = Part("groups", x, groups=row[0], is_transposed=last is not None)
    return ImportStep(node.label, (x,), part=part)


def read_reshape_back(node: NodeView) -> ImportStep | None:
    """Return a Reshape behind InstanceNormalization, to the shape that there was before the groups.

    None if it is another one.
    """
    before = node.step_before(0)
    part = None if before is None else before.part
    if part is None or part.kind != "of groups":
        return None
    if not node.is_constant(1):
        shape_of = node.step_before(1)
        if shape_of is None or shape_of.part is None or shape_of.part[:2] != ("shape", part.x):
            raise ValueError("reshapes to anything but the shape before InstanceNormalization")
        part = part._replace(kind="normalized")
        return ImportStep(node.label, (part.x,), axis=1, part=part)
    row, known = node.reshaped_rows(1), node.shape(part.x)
    if part.is_transposed and len(row) == 1:  # of images that are flattened before
        x = in_file_order(node, node.add(flattened_images(node, part.x)))
        part, known = part._replace(x=x, is_transposed=False), node.shape(x)
    if known is not None:
        first = known[-1], *known[:-1]
        pairs = list(zip(first, row, strict=False))
        if len(first) != len(row) or any(n != m for n, m in pairs if n and m > 0):
            raise ValueError(f"reshapes rows to {lengths_text(row)}, which had {first} before")
    features = known[-1] if known and row[0] == -1 else row[0]
    if not features or features < 1 or (len(row) > 1) != part.is_transposed:
        raise ValueError(f"reshapes rows to {lengths_text(row)} behind InstanceNormalization")
    layer = layers.GroupNorm(part.groups, features, part.eps, affine=False)
    step = ImportStep(node.label, (part.x,), (layer,), axis=-1 if part.is_transposed else 1)
    return channels_first(step) if part.is_transposed else step


def _read_shape(node: NodeView) -> ImportStep:
    node.expect(start=0)
    return ImportStep(node.label, (node.value(),), part=Part("shape", node.value()))


def _read_instance_norm(node: NodeView) -> ImportStep:
    before, eps = node.step_before(0), shortest(node.attribute("epsilon", 1e-5))
    if node.channels_last(node.value()) is not None:
        return _of_channels(node, None, eps)
    if before is None or before.part is None or before.part.kind != "groups":
        raise ValueError(
            "is supported of images or signals with their channels first, or behind a Reshape to "
            "(n, groups, -1), as of GroupNorm"
        )
    if not (node.row(1) == 1).all() or node.row(2).any():
        raise ValueError("has a scale and a bias of groups")
    part = before.part._replace(kind="of groups", eps=eps)
    return replace(before, label=node.label, inputs=(node.value(),), part=part)


def _read_group_norm(node: NodeView) -> ImportStep:
    """Read the operator; before opset 21, its scale and bias have a number for each group."""
    node.expect(stash_type=1)
    groups, eps = node.attribute("num_groups", 0), shortest(node.attribute("epsilon", 1e-5))
    return _of_channels(node, groups, eps)


def _of_channels(node: NodeView, groups: int | None, eps: float) -> ImportStep:
    """Return a GroupNorm of the axis after the batch; without ``groups``, each channel is one."""
    last = node.channels_last(node.value())
    x = in_file_order(node, node.value()) if last is None else last
    shape, weight, bias = node.shape(x), node.constant(1), node.constant(2)
    features = shape[-1] if shape else None
    if features is None or (last is None and len(shape or ()) != 1):
        raise ValueError("takes a value whose channels are not known")
    groups = features if groups is None else groups
    if weight.shape != bias.shape or weight.shape not in ((groups,), (features,)):
        raise ValueError(f"has a scale of shape {weight.shape} for {features} channels")
    layer = layers.GroupNorm(groups, features, eps)
    weight, bias = (np.repeat(array, features // len(array)) for array in (weight, bias))
    parameters, names = {"weight": weight, "bias": bias}, (*node.inputs[1:], repr(layer))
    axis = -1 if last is not None else 1
    step = ImportStep(node.label, (x,), (layer,), parameters, names, axis=axis)
    return channels_first(step) if last is not None else step


WRITERS: dict[type[Layer], Callable[..., str]] = {
    layers.GroupNorm: _group_norm,
    layers.RMSNorm: _rms_norm,
}
READERS: dict[str, Callable[[NodeView], Any]] = {
    "GroupNormalization": _read_group_norm,
    "InstanceNormalization": _read_instance_norm,
    "ReduceMean": _read_reduce_mean,
    "Shape": _read_shape,
}

"""Tensors of an ONNX file as arrays: nothing is read elsewhere, and nothing believed of a size."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

DTYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
    TensorProto.INT64: "int64",
    TensorProto.INT32: "int32",
    TensorProto.BOOL: "bool",
}
FIELDS = {"float32": "float_data", "float64": "double_data", "int64": "int64_data"}


def to_array(tensor: onnx.TensorProto) -> NDArray[Any]:
    """Return a tensor's values; ValueError if they are not in it, or not as it says."""
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ValueError(f"tensor {tensor.name} lies in another file, which is not read")
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None:
        raise ValueError(f"tensor {tensor.name} has type {tensor.data_type}, not understood")
    shape = tuple(tensor.dims)
    size = prod(shape)
    if tensor.HasField("raw_data"):
        found = len(tensor.raw_data) / np.dtype(dtype).itemsize
    else:
        found = len(getattr(tensor, FIELDS.get(dtype, "int32_data")))
    if found != size or min(shape, default=1) < 0:
        raise ValueError(f"tensor {tensor.name} says shape {shape}, but has {found:g} elements")
    array: NDArray[Any] = numpy_helper.to_array(tensor)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"tensor {tensor.name} holds NaN or infinity")
    return array


def constant_of(node: onnx.NodeProto) -> NDArray[Any]:
    """Return what a Constant node holds; ValueError if that is not understood."""
    values = {attribute.name: attribute for attribute in node.attribute}
    if len(values) == 1:
        ((name, attribute),) = values.items()
        if name == "value":
            return to_array(attribute.t)
        if name in ("value_float", "value_floats"):
            return np.array(attribute.f if name == "value_float" else attribute.floats, np.float32)
        if name in ("value_int", "value_ints"):
            return np.array(attribute.i if name == "value_int" else attribute.ints, np.int64)
    raise ValueError(f"has {', '.join(values) or 'nothing'} as its value")

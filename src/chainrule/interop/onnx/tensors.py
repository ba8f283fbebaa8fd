"""Tensors of an ONNX file, and of external files, as arrays, with checks of all sizes."""

from __future__ import annotations

import os
import stat
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
MOST_EXTRA_BYTES = 1 << 24  # that layers or constants may take, whatever the file's size
FIELDS = {"float32": "float_data", "float64": "double_data", "int64": "int64_data"}


class Tensors:
    """Reads tensors of a model in ``folder``. Errors are ValueError.

    Attributes
    ----------
    beside : dict of str to int
        The external files with tensors, and their sizes in bytes.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.realpath(folder)
        self.beside: dict[str, int] = {}
        self._read = 0  # bytes read from external files

    def array(self, tensor: onnx.TensorProto) -> NDArray[Any]:
        """Return a tensor's values; ValueError if they do not have its type and shape."""
        dtype = DTYPES.get(tensor.data_type)
        if dtype is None:
            raise ValueError(
                f"tensor {tensor.name} has type {type_name(tensor.data_type)}, not supported"
            )
        shape = tuple(tensor.dims)
        size = prod(shape)
        if min(shape, default=1) < 0:
            raise ValueError(f"tensor {tensor.name} says shape {shape}")
        array: NDArray[Any]
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            content = self._content_beside(tensor, size * np.dtype(dtype).itemsize)
            array = np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).reshape(shape)
            array = array.astype(dtype, copy=False)
        else:
            if tensor.HasField("raw_data"):
                found = len(tensor.raw_data) / np.dtype(dtype).itemsize
            else:
                found = len(getattr(tensor, FIELDS.get(dtype, "int32_data")))
            if found != size:
                raise ValueError(
                    f"tensor {tensor.name} should have shape {shape}, but has {found:g} elements"
                )
            array = numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"tensor {tensor.name} holds NaN or infinity")
        return array

    def constant(self, node: onnx.NodeProto) -> NDArray[Any]:
        """Return what a Constant node holds; an error if that is not supported."""
        values = {attribute.name: attribute for attribute in node.attribute}
        if len(values) == 1:
            ((name, attribute),) = values.items()
            if name == "value":
                return self.array(attribute.t)
            if name in ("value_float", "value_floats"):
                value = attribute.f if name == "value_float" else attribute.floats
                return np.array(value, np.float32)
            if name in ("value_int", "value_ints"):
                return np.array(attribute.i if name == "value_int" else attribute.ints, np.int64)
        raise ValueError(f"has {', '.join(values) or 'nothing'} as its value")

    def _content_beside(self, tensor: onnx.TensorProto, size: int) -> bytes:
        """Return a tensor's bytes from an external file, in the model's folder or below."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        path = os.path.realpath(os.path.join(self._folder, location))
        label = f"tensor {tensor.name} lies in the file {location!r}"
        if os.path.commonpath([self._folder, path]) != self._folder:
            raise ValueError(f"{label}, which is not in the model's folder, and is not read")
        try:
            status = os.stat(path)
        except FileNotFoundError:
            raise ValueError(
                f"{label}, which is missing: it belongs beside the model, under the name that it "
                "had when both were written"
            ) from None
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{label}, which is no regular file")
        self.beside[path] = status.st_size
        begin, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        if begin < 0 or length != size or begin + size > status.st_size:
            raise ValueError(
                f"{label}, and needs {size:,} bytes: it says {length:,}, from {begin:,} on, but "
                f"the file has {status.st_size:,}"
            )
        self._read += size
        if self._read > sum(self.beside.values()):
            raise ValueError(f"{label}, where more is to be read than there is")
        with open(path, "rb") as file:
            file.seek(begin)
            content = file.read(size)
        if len(content) < size:
            raise ValueError(f"{label}, which became shorter while it was read")
        return content


def type_name(number: int) -> str:
    """Return ONNX's name of an element type."""
    known = TensorProto.DataType.values()
    return str(TensorProto.DataType.Name(number)) if number in known else str(number)

"""ONNX: networks that other runtimes can run, and such files as networks.

What is written is opset 17 in IR version 8, both of 2022, so that runtimes of some age run it. What
is read is opset 13 or later, from where on softmax means what it does today.
"""

try:
    import onnx  # noqa: F401 - so that its absence is told here, once
except ImportError:
    raise ImportError('ONNX files need onnx: pip install "chainrule[onnx]"') from None

from chainrule.interop.onnx.restore import from_onnx
from chainrule.utils.public import listing

__all__ = ["from_onnx"]

__dir__ = listing(__all__)

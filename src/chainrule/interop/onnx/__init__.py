"""ONNX: writing networks for other runtimes, and reading such files as networks.

Files are written in opset 17 and IR version 8, both of 2022, so that older runtimes can run them.
Files of opset 13 or later can be read; in earlier ones, softmax has another meaning.
"""

try:
    import onnx  # noqa: F401 - check that it is installed
except ImportError:
    raise ImportError('ONNX files need onnx: pip install "chainrule[onnx]"') from None

from chainrule.interop.onnx.restore import from_onnx
from chainrule.utils.public import listing

__all__ = ["from_onnx"]

__dir__ = listing(__all__)

"""What a file is that was given for a safetensors file, and how to get one."""

from __future__ import annotations

import os
from pathlib import Path

from chainrule.models.errors import ModelFileError

OF_TORCH = (".pt", ".pth", ".bin", ".ckpt")
PICKLE = b"\x80"  # how pickles begin, such as those of torch.save before PyTorch 1.6
HINT_OF_TORCH = (
    " It looks like a file of torch.save, which holds a pickle. In PyTorch, "
    'safetensors.torch.save_file(model.state_dict(), "weights.safetensors") writes a file for '
    "cr.interop.torch.from_state_dict(net, path)."
)


def not_safetensors(path: str | os.PathLike[str], error: Exception) -> ModelFileError:
    """Return the error for a file that the safetensors library cannot read, and says why."""
    what = f"{path} is no safetensors file, or a damaged one: {error}"
    return ModelFileError(f"{what.rstrip('.')}.{_hint(path)}")


def _hint(path: str | os.PathLike[str]) -> str:
    suffix = Path(os.fsdecode(path)).suffix.lower()
    if suffix == ".onnx":
        return " cr.from_onnx(path) reads ONNX files."
    with open(path, "rb") as file:
        is_pickle = file.read(1) == PICKLE
    return HINT_OF_TORCH if suffix in OF_TORCH or is_pickle else ""

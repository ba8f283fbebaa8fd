"""PyTorch, or tests are skipped; and a module for networks that are no sequence."""

import pytest

torch = pytest.importorskip("torch")


class Of(torch.nn.Module):
    """A module of a function that takes it, and its parts by name."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *x):
        return self.function(self, *x)

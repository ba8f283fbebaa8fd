"""The textbook in plain NumPy: a twin for each kernel, in the file of the same name.

Kernels are in ``chainrule.kernels`` and ``chainrule.operations``; a twin has a kernel's name and
arguments, and writes its result into the array that it is given for it. What is exported here is
the twin of ``chainrule.ops``: plain functions on arrays.
"""

from chainrule.reference.ops import FUNCTIONS

__all__ = sorted(FUNCTIONS)
globals().update(FUNCTIONS)


def __dir__() -> list[str]:
    """Name what is public."""
    return sorted(__all__)

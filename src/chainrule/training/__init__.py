"""Training: what ``fit`` is made of."""

from chainrule.training.checkpoint import Checkpoint
from chainrule.training.fit import fit

__all__ = ["Checkpoint", "fit"]

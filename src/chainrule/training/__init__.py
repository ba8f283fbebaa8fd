"""Training: what ``fit`` is made of."""

from chainrule.training.fit import fit

__all__ = ["fit"]

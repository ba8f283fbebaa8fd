"""For SciPy's optimizers: the loss as a function of the parameters."""

from chainrule.interop.scipy.objective import Objective, objective
from chainrule.utils.public import listing

__all__ = ["Objective", "objective"]

__dir__ = listing(__all__)

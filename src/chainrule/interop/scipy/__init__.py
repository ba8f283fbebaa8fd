"""For SciPy's optimizers: the loss as a function of the parameters."""

from chainrule.interop.scipy.objective import Objective, objective

__all__ = ["Objective", "objective"]

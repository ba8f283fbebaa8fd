"""Optimizers: rules that turn gradients into steps.

Formulas and defaults are torch.optim's; :class:`Lion`, which is not there, has its authors'. Each
file's ``__all__`` names the optimizers that it adds to the public ones.
"""

from chainrule.optimizers import adagrad, adam, lion, nadam, rmsprop, sgd
from chainrule.optimizers.adagrad import *
from chainrule.optimizers.adam import *
from chainrule.optimizers.lion import *
from chainrule.optimizers.nadam import *
from chainrule.optimizers.optimizer import Optimizer as Optimizer
from chainrule.optimizers.rmsprop import *
from chainrule.optimizers.sgd import *
from chainrule.optimizers.state import OptimizerState as OptimizerState
from chainrule.utils.public import listing

__all__: list[str] = []
__all__ += adagrad.__all__
__all__ += adam.__all__
__all__ += lion.__all__
__all__ += nadam.__all__
__all__ += rmsprop.__all__
__all__ += sgd.__all__

__dir__ = listing(__all__)

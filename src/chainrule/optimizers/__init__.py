"""Optimizers: rules that turn gradients into steps.

Formulas and defaults are torch.optim's; :class:`Lion`, which is not there, has its authors'.
"""

from chainrule.optimizers.adagrad import Adagrad
from chainrule.optimizers.adam import Adam, AdamW
from chainrule.optimizers.lion import Lion
from chainrule.optimizers.nadam import NAdam
from chainrule.optimizers.optimizer import Optimizer as Optimizer
from chainrule.optimizers.rmsprop import RMSprop
from chainrule.optimizers.sgd import SGD
from chainrule.optimizers.state import OptimizerState as OptimizerState

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "NAdam", "RMSprop"]

"""Losses: the distance between outputs and targets as one number, and its gradient."""

from chainrule.losses import classification, regression
from chainrule.losses.classification import *
from chainrule.losses.loss import Loss as Loss
from chainrule.losses.loss import OutputLoss as OutputLoss
from chainrule.losses.loss import Targets as Targets
from chainrule.losses.regression import *
from chainrule.utils.public import listing

__all__: list[str] = []
__all__ += classification.__all__
__all__ += regression.__all__

__dir__ = listing(__all__)

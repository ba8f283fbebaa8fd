"""Losses: how far the output is from what it should be, as one number and its gradient."""

from chainrule.losses.loss import BCEWithLogitsLoss, CrossEntropyLoss, HuberLoss, MSELoss
from chainrule.losses.loss import Loss as Loss
from chainrule.losses.loss import OutputLoss as OutputLoss
from chainrule.losses.loss import Targets as Targets

__all__ = ["BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "MSELoss"]

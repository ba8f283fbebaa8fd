"""From layers to a table of instructions and the layout of one arena."""

from chainrule.plan.builder import Instruction, PlanBuilder, Tensor
from chainrule.plan.plan import ForeignLoss, Head, Plan, make_plan

__all__ = ["ForeignLoss", "Head", "Instruction", "Plan", "PlanBuilder", "Tensor", "make_plan"]

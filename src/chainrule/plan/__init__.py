"""From layers to a table of instructions and the layout of one arena."""

from chainrule.plan.builder import Instruction, PlanBuilder, Tensor
from chainrule.plan.plan import Head, Plan, make_plan

__all__ = ["Head", "Instruction", "Plan", "PlanBuilder", "Tensor", "make_plan"]

"""From layers to a program of calls and the layout of one arena."""

from chainrule.operations.operation import Step, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.plan.loss import Head
from chainrule.plan.plan import Plan, make_plan

__all__ = ["Head", "Plan", "PlanBuilder", "Step", "Tensor", "make_plan"]

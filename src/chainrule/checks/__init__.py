"""Checks of gradients and of second derivatives, by finite differences."""

from chainrule.checks.gradcheck import gradcheck
from chainrule.checks.gradgradcheck import gradgradcheck
from chainrule.checks.gradient_report import GradientMismatch, GradientReport, ParameterReport

__all__ = ["GradientMismatch", "GradientReport", "ParameterReport", "gradcheck", "gradgradcheck"]

"""The chain rule made visible, on the user's own network and numbers."""

from chainrule.explain.chain import Chain, explain
from chainrule.explain.compression import Compression
from chainrule.explain.diagnosis import Finding
from chainrule.explain.flow import Flow, GradientFlow
from chainrule.explain.gradient_methods import GradientMethod
from chainrule.explain.influence import Influence
from chainrule.explain.inline_page import Page
from chainrule.explain.link import Link
from chainrule.explain.nudge import Nudge, nudge
from chainrule.explain.order import Order
from chainrule.explain.path import Factor, Path
from chainrule.explain.trace import Route, Trace
from chainrule.utils.public import listing

__all__ = [
    "Chain",
    "Compression",
    "Factor",
    "Finding",
    "Flow",
    "GradientFlow",
    "GradientMethod",
    "Influence",
    "Link",
    "Nudge",
    "Order",
    "Page",
    "Path",
    "Route",
    "Trace",
    "explain",
    "nudge",
]

__dir__ = listing(__all__)

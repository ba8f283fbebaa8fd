"""The chain rule made visible, on the user's own network and numbers."""

from chainrule.explain.chain import Chain, Link, explain
from chainrule.explain.compression import Compression
from chainrule.explain.nudge import Nudge, nudge
from chainrule.explain.order import Order
from chainrule.explain.path import Factor, Path
from chainrule.explain.trace import Route, Trace
from chainrule.explain.ways import Way

__all__ = [
    "Chain",
    "Compression",
    "Factor",
    "Link",
    "Nudge",
    "Order",
    "Path",
    "Route",
    "Trace",
    "Way",
    "explain",
    "nudge",
]

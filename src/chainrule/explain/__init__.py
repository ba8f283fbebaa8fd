"""The chain rule made visible, on the user's own network and numbers."""

from chainrule.explain.chain import Chain, Link, explain
from chainrule.explain.compression import Compression
from chainrule.explain.diagnosis import Finding
from chainrule.explain.flow import Flow, GradientFlow
from chainrule.explain.influence import Influence
from chainrule.explain.path import Factor, Path

__all__ = [
    "Chain",
    "Compression",
    "Factor",
    "Finding",
    "Flow",
    "GradientFlow",
    "Influence",
    "Link",
    "Path",
    "explain",
]

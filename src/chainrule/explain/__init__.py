"""The chain rule made visible, on the user's own network and numbers."""

from chainrule.explain.chain import Chain, Link, explain
from chainrule.explain.compression import Compression
from chainrule.explain.nudge import Nudge, nudge
from chainrule.explain.path import Factor, Path

__all__ = ["Chain", "Compression", "Factor", "Link", "Nudge", "Path", "explain", "nudge"]

"""Warnings that name the user's line, however many calls of the package lie between."""

import sys
import warnings

OWN = ("chainrule", "contextlib")  # the latter's decorators lie around functions of the package


def warn_caller(message: str) -> None:
    """Give a UserWarning, attributed to the line that called the package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in OWN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)

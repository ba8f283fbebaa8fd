"""Text from files on a terminal: control characters are escaped."""

from __future__ import annotations

import re

# Control characters except tab and line feed, such as the start of escape sequences, which move the
# cursor or set the window's title; and characters that change the direction of the text.
_CONTROLLING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return ``text`` with control characters as Python's escape sequences.

    >>> print(printable("red: \x1b[31m"))
    red: \x1b[31m
    """
    return _CONTROLLING.sub(lambda found: repr(found[0])[1:-1], text)

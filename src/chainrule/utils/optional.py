"""Packages that only a part of chainrule needs."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def from_extra(what: str, package: str, extra: str) -> Iterator[None]:
    """Import in a ``with`` block; an ImportError says which extra brings the package.

    >>> with from_extra("Flight", "wings", "sky"):
    ...     import wings
    Traceback (most recent call last):
    ImportError: Flight needs wings: pip install "chainrule[sky]".
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{what} needs {package}: pip install "chainrule[{extra}]".') from error

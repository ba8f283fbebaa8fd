"""The ``__dir__`` of public modules, so that completion in a shell offers public names only."""

from collections.abc import Callable, Iterable


def listing(names: Iterable[str]) -> Callable[[], list[str]]:
    """Return a ``__dir__`` for a module with these public names.

    >>> listing(["b", "a"])()
    ['a', 'b']
    """
    return lambda: sorted(names)

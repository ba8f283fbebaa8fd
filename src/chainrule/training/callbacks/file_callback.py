"""What callbacks have in common that write files while a training runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from chainrule.training.callbacks.callback import Callback, Training


class FileCallback(Callback):
    """A callback that writes files.

    What cannot be written before the first step is an error. Later, as on a disk that has become
    full, it is a warning, once in a training, which goes on.
    """

    _has_warned = False

    def on_fit_begin(self, training: Training) -> None:
        self._has_warned = False

    def attempt(self, write: Callable[[], object]) -> bool:
        """Call ``write``, and return whether that went well."""
        try:
            write()
        except OSError as error:
            if error.errno is None:  # not the system's: a handler of a signal has raised it
                raise
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"{self!r} could not write: {error}. The training goes on, and it is tried "
                    "again.",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return False
        return True

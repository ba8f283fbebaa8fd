"""The base class of callbacks that write files, or to a server."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from chainrule.training.callbacks.callback import Callback, Training


class FileCallback(Callback):
    """A callback that writes files, or to a server.

    If a file cannot be written before the first step, that is an error. Later, as on a disk that
    has become full, there is one warning, and the training continues.
    """

    _has_warned = False
    _failures: tuple[type[Exception], ...] = (OSError,)  # of writing

    def on_fit_begin(self, training: Training) -> None:
        self._has_warned = False

    def attempt(self, write: Callable[[], object]) -> bool:
        """Call ``write``, and return whether it succeeded."""
        try:
            write()
        except self._failures as error:
            if isinstance(error, OSError) and error.errno is None:  # a signal handler raised it
                raise
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"{self!r} could not write: {error}. The training continues, and writing is "
                    "tried again.",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return False
        return True

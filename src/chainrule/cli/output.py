"""The streams that commands print to: an error in printing does not end the command's work."""

import os
from collections.abc import Callable
from contextlib import suppress
from io import StringIO, TextIOWrapper
from typing import Any, TextIO


class Unread(Exception):  # noqa: N818 - named for what happened
    """Nobody reads what a command prints, and it has no other result."""


class Output:
    """A text stream that records the first error, and discards everything written after it.

    So a command finishes its work if the reader of a pipe has exited, or the disk is full.

    Parameters
    ----------
    stream : text stream or None
        None, if it was closed before the program started: everything is discarded.

    Attributes
    ----------
    error : OSError or None
    is_all : bool
        Whether the command has no other result, so that an error raises :class:`Unread`.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = StringIO() if stream is None else stream
        self.error: OSError | None = None
        self.is_all = False
        if isinstance(stream, TextIOWrapper):  # class names may have characters of any script
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write; after an error, discard the text."""
        self._do(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._do(self._stream.flush)

    def _do(self, action: Callable[[], Any]) -> None:
        if self.error is None:
            try:
                action()
            except OSError as error:
                self.error = error
                self._redirect_to_null()
                if self.is_all:
                    raise Unread from None

    def _redirect_to_null(self) -> None:
        """Redirect the stream to the null device: Python flushes its buffer again at exit."""
        with suppress(OSError):  # not every stream has a file descriptor
            null = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(null, self._stream.fileno())
            finally:
                os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

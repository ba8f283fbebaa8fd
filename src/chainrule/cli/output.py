"""The streams that commands print to: what cannot be printed loses no work."""

import os
from collections.abc import Callable
from contextlib import suppress
from io import StringIO, TextIOWrapper
from typing import Any, TextIO


class Unread(Exception):  # noqa: N818 - named for what happened
    """Nobody reads what a command prints, and it has no other result."""


class Output:
    """A text stream that keeps the first error, and drops what is written after it.

    So a command ends its work where the reader of a pipe has left, or the disk is full.

    Parameters
    ----------
    stream : text stream or None
        None, where whoever started this has closed it, takes all and shows nothing.

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
        if isinstance(stream, TextIOWrapper):  # names of classes may be in any script
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write; or drop it, after an error."""
        self._do(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what is written so far."""
        self._do(self._stream.flush)

    def _do(self, action: Callable[[], Any]) -> None:
        if self.error is None:
            try:
                action()
            except OSError as error:
                self.error = error
                self._lead_nowhere()
                if self.is_all:
                    raise Unread from None

    def _lead_nowhere(self) -> None:
        """Let what the stream still holds go nowhere, else Python would try again at its end."""
        with suppress(OSError):  # a stream that is no file has none
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, self._stream.fileno())
            finally:
                os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

"""Output of a command that also writes a file, which must not be lost because nobody reads on."""

from typing import Any, TextIO


class PatientOutput:
    """A text stream that keeps the first error, and drops what is written after it.

    So a command ends its work where the reader of a pipe has left, or the disk is full. Whoever
    made it raises :attr:`error` then.

    Attributes
    ----------
    error : OSError or None
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.error = stream, None  # type: TextIO, OSError | None

    def write(self, text: str) -> int:
        """Write; or drop it, after an error."""
        self._do(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what is written so far, unless there was an error."""
        self._do(self._stream.flush)

    def _do(self, action: Any) -> None:
        if self.error is None:
            try:
                action()
            except OSError as error:
                self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

"""A text file with a line for each epoch, which stays valid if the process is killed."""

from __future__ import annotations

import os
from abc import abstractmethod
from io import FileIO
from pathlib import Path
from typing import Any

from chainrule.training.callbacks.callback import Training
from chainrule.training.callbacks.file_callback import FileCallback
from chainrule.utils.files import check_path, open_special
from chainrule.utils.wording import possessive


class EpochLog(FileCallback):
    """Write a line after each epoch.

    A line is written before the next epoch begins. Text that cannot be written is retained, and
    written before the next line. A resumed training continues the same file: an incomplete last
    line, and lines of epochs that are repeated, are removed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(check_path(path, f"{possessive(type(self).__name__)} path"))
        self._file: FileIO | None = None
        self._pending = b""
        self._older: int | None = None  # bytes of an older file that stay

    @abstractmethod
    def header(self, names: tuple[str, ...]) -> str:
        """Return the text before the first line."""

    @abstractmethod
    def line(self, values: dict[str, float | int]) -> str:
        """Return an epoch's line, with its end."""

    @abstractmethod
    def epoch_of(self, line: str) -> int:
        """Return a line's epoch, 0 for the header; ValueError if it is not a line of this log."""

    def on_fit_begin(self, training: Training) -> None:
        super().on_fit_begin(training)
        self._names = ("epoch", *training.metric_names, "seconds")
        special = open_special(self.path)
        kept = self._lines_until(training.epoch) if training.epoch and special is None else b""
        header = self.header(self._names).encode()
        if kept and not kept.startswith(header):
            raise ValueError(f"{self.path} is a log of other metrics than {self._names}.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = FileIO(os.fspath(self.path), "a") if special is None else FileIO(special, "w")
        # The file is truncated when the first line is written, not here: if another callback
        # refuses the training, an older file is not lost.
        self._older = None if special is not None else len(kept)
        self._pending = b"" if kept else header

    def _write(self) -> None:
        assert self._file is not None
        if self._older is not None:
            self._file.truncate(self._older)
            self._older = None
        while self._pending:  # a disk that becomes full may accept a part of it
            self._pending = self._pending[self._file.write(self._pending) or 0 :]

    def _lines_until(self, epoch: int) -> bytes:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return b""
        kept = 0
        for line in content.splitlines(keepends=True):
            try:
                if not line.endswith(b"\n") or self.epoch_of(line.decode()) > epoch:
                    break
            except ValueError:
                break
            kept += len(line)
        return content[:kept]

    def on_epoch_end(self, training: Training) -> None:
        metrics = training.history.latest()
        values: dict[str, float | int] = {"epoch": training.epoch}
        values |= {name: metrics[name] for name in self._names[1:-1]}
        self._pending += self.line(values | {"seconds": training.history.seconds[-1]}).encode()
        self.attempt(self._write)

    def on_fit_end(self, training: Training) -> None:
        assert self._file is not None
        with self._file:
            if training.step:
                self.attempt(self._write)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the file, which belongs to this process."""
        return self.__dict__ | {"_file": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

"""A text file with a line an epoch, that survives the death of the process that writes it."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import IO

from chainrule.callbacks.callback import Callback, Training
from chainrule.files import open_special


class EpochLog(Callback):
    """Write a line after each epoch.

    A line is handed to the system before the next epoch begins. A training that is resumed goes on
    in the same file: a half-written last line, and lines of epochs that come again, are taken away.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: IO[str] | None = None

    @abstractmethod
    def header(self, names: tuple[str, ...]) -> str:
        """Return what stands before the first line."""

    @abstractmethod
    def line(self, values: dict[str, float | int]) -> str:
        """Return an epoch's line, with its end."""

    @abstractmethod
    def epoch_of(self, line: str) -> int:
        """Return a line's epoch, 0 for the header; ValueError if the line is none of ours."""

    def on_fit_begin(self, training: Training) -> None:
        self.on_fit_end(training)
        self._names = ("epoch", *training.figure_names, "seconds")
        special = open_special(self.path)
        kept = self._lines_until(training.epoch) if training.epoch and special is None else ""
        header = self.header(self._names)
        if kept and not kept.startswith(header):
            raise ValueError(f"{self.path} is a log of other figures than {self._names}.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Cut it where it ends to be ours: to write it anew could lose it.
        self._file = open(  # noqa: SIM115 - open for the whole training
            self.path if special is None else special,
            "r+" if kept else "w",
            encoding="utf-8",
            newline="",
        )
        if kept:
            self._file.seek(len(kept.encode()))
            self._file.truncate()
        else:
            self._file.write(header)
            self._file.flush()

    def _lines_until(self, epoch: int) -> str:
        try:
            content = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        kept = ""
        for line in content.splitlines(keepends=True):
            try:
                if not line.endswith("\n") or self.epoch_of(line) > epoch:
                    break
            except ValueError:
                break
            kept += line
        return kept

    def on_epoch_end(self, training: Training) -> None:
        assert self._file is not None
        figures = training.history.latest()
        values: dict[str, float | int] = {"epoch": training.epoch}
        values |= {name: figures[name] for name in self._names[1:-1]}
        self._file.write(self.line(values | {"seconds": training.history.seconds[-1]}))
        self._file.flush()

    def on_fit_end(self, training: Training) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

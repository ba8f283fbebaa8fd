"""CSVLogger: a table of a training's metrics."""

from __future__ import annotations

from chainrule.training.callbacks.epoch_log import EpochLog


class CSVLogger(EpochLog):
    """Write a row of metrics after each epoch, under a row with their names.

    The first column is the epoch, from 1, the last one its time in seconds. Numbers are written
    with all digits. An existing file is overwritten after the first epoch; a resumed training
    continues it, after removing an incomplete last row of a killed run. If a row cannot be written,
    as on a full disk, there is one warning in a training, and the row is tried again with the next
    one.

    Parameters
    ----------
    path : path
        Missing folders are made.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import chainrule as cr
    >>> X, y = cr.datasets.load_digits()
    >>> net = cr.Sequential(cr.Linear(64, 10), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = cr.callbacks.CSVLogger(f"{folder}/log.csv")
    ...     history = cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), epochs=2, callbacks=[log],
    ...                      progress=False)
    ...     header, *rows = Path(f"{folder}/log.csv").read_text().splitlines()
    >>> header, len(rows)
    ('epoch,loss,lr,seconds', 2)
    """

    def header(self, names: tuple[str, ...]) -> str:
        return self._row(names)

    def line(self, values: dict[str, float | int]) -> str:
        return self._row([repr(value) for value in values.values()])

    def epoch_of(self, line: str) -> int:
        first = line.split(",")[0]
        return 0 if first == "epoch" else int(first)

    @staticmethod
    def _row(cells: tuple[str, ...] | list[str]) -> str:
        return ",".join(cells) + "\n"

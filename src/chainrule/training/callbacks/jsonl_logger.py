"""JSONLLogger: a training's metrics as JSON lines."""

from __future__ import annotations

import json

from chainrule.training.callbacks.epoch_log import EpochLog


class JSONLLogger(EpochLog):
    """Write a JSON object on a line of its own after each epoch.

    Its keys are ``epoch``, from 1, the names of the metrics, and ``seconds``; values that are not
    finite are ``null``. Existing files and resuming are treated as in :class:`CSVLogger`.

    Parameters
    ----------
    path : path
        Missing folders are made.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import chainrule as cr
    >>> X, y = cr.datasets.load_digits()
    >>> net = cr.Sequential(cr.Linear(64, 10), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = cr.callbacks.JSONLLogger(f"{folder}/log.jsonl")
    ...     history = cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), epochs=2, callbacks=[log],
    ...                      progress=False)
    ...     lines = Path(f"{folder}/log.jsonl").read_text().splitlines()
    >>> [json.loads(line)["loss"] for line in lines] == history.loss
    True
    """

    def header(self, names: tuple[str, ...]) -> str:
        return ""

    def line(self, values: dict[str, float | int]) -> str:
        finite = {k: v if abs(v) < float("inf") else None for k, v in values.items()}
        return json.dumps(finite) + "\n"

    def epoch_of(self, line: str) -> int:
        values = json.loads(line)  # its JSONDecodeError is a ValueError
        if not isinstance(values, dict) or not isinstance(values.get("epoch"), int):
            raise ValueError("no line of a log")
        epoch: int = values["epoch"]
        return epoch

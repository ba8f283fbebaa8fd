"""TensorBoard: a training's metrics for TensorBoard's charts, through tensorboardX."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from socket import gethostname
from typing import Any

from chainrule.training.callbacks.callback import Training
from chainrule.training.callbacks.file_callback import FileCallback
from chainrule.utils.files import check_path
from chainrule.utils.optional import from_extra


class TensorBoard(FileCallback):
    """Write each metric as a scalar after each epoch; ``tensorboard --logdir runs`` shows them.

    If they cannot be written, as on a full disk, there is one warning in a training, and they are
    tried again after the next epoch.

    Parameters
    ----------
    folder : path
        A folder for this training's events, such as ``"runs/first"``.

    Raises
    ------
    ImportError
        Without tensorboardX: ``pip install "chainrule[tensorboard]"``.

    Examples
    --------
    >>> import chainrule as cr
    >>> watching = cr.callbacks.TensorBoard("runs/first")  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        with from_extra("TensorBoard", "tensorboardX", "tensorboard"):
            import tensorboardX  # noqa: F401 - check that it is installed
        self.folder = check_path(folder, "TensorBoard's folder")
        self._file: Any = None
        self._pending: list[Any] = []  # events

    def on_fit_begin(self, training: Training) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.record_writer import directory_check

        super().on_fit_begin(training)
        directory_check(self.folder)  # makes it
        self._pending.clear()
        if training.epoch:
            # TensorBoard hides older events from this one on, which a resumed training repeats.
            log = SessionLog(status=SessionLog.START)
            self._pending.append(Event(step=training.epoch + 1, session_log=log))
        self._write()

    def _write(self) -> None:
        """Write the pending events, into a new file if there is none, or after an error."""
        try:
            if self._file is None:
                self._file = self._new_file()
            for event in self._pending:
                self._file.write(event.SerializeToString())
            self._file.flush()
        except OSError:  # a part may have been written
            self._close()
            raise
        self._pending.clear()

    def _new_file(self) -> Any:
        # Not a SummaryWriter: its thread dies at an error, and close() then waits for it forever.
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        now = time.time_ns()  # the next training may begin within the same second
        name = f"events.out.tfevents.{now // 10**9}.{gethostname()}.{now}"
        file = RecordWriter(os.path.join(self.folder, name))
        file.write(Event(wall_time=now / 1e9, file_version="brain.Event:2").SerializeToString())
        return file

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def on_epoch_end(self, training: Training) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in training.history.latest().items():
            summary = scalar(name, value)
            event = Event(wall_time=time.time(), step=training.epoch, summary=summary)
            self._pending.append(event)
        self.attempt(self._write)

    def on_fit_end(self, training: Training) -> None:
        if self._pending:
            self.attempt(self._write)
        self._close()

    def __repr__(self) -> str:
        return f"TensorBoard({self.folder!r})"

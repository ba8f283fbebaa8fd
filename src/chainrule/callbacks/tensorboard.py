"""TensorBoard: a training's figures for TensorBoard's charts, through tensorboardX."""

from __future__ import annotations

import os
from typing import Any

from chainrule.callbacks.callback import Callback, Training


class TensorBoard(Callback):
    """Write each figure as a scalar after each epoch; ``tensorboard --logdir runs`` shows them.

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
        try:
            import tensorboardX
        except ImportError as error:
            raise ImportError(
                'TensorBoard needs tensorboardX: pip install "chainrule[tensorboard]".'
            ) from error
        self._make_writer = tensorboardX.SummaryWriter
        self.folder = os.fspath(folder)
        self._writer: Any = None

    def on_fit_begin(self, training: Training) -> None:
        # Events after this one, which a training that is resumed repeats, are hidden by the reader.
        purge = {"purge_step": training.epoch + 1} if training.epoch else {}
        self._writer = self._make_writer(self.folder, **purge)

    def on_epoch_end(self, training: Training) -> None:
        for name, value in training.history.latest().items():
            self._writer.add_scalar(name, value, training.epoch)
        self._writer.flush()

    def on_fit_end(self, training: Training) -> None:
        self._writer.close()
        self._writer = None

    def __repr__(self) -> str:
        return f"TensorBoard({self.folder!r})"

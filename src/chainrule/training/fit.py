"""fit: checks what it is given, makes a trainer of it, and trains epoch by epoch."""

from __future__ import annotations

import os
from collections.abc import Sequence

from numpy.typing import ArrayLike

from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.optimizers import Optimizer
from chainrule.training.assembly import make_trainer
from chainrule.training.averaging import ExponentialMovingAverage
from chainrule.training.callbacks import Callback
from chainrule.training.checkpoint import Checkpoint
from chainrule.training.history import History
from chainrule.training.loop import train
from chainrule.training.metrics import Metrics, Validation
from chainrule.training.options import checked_options
from chainrule.training.schedules import ReduceLROnPlateau, Schedule
from chainrule.training.streams import Batches
from chainrule.utils.arguments import flag, optional
from chainrule.utils.interruption import interruption


@interruption()  # from the beginning: an exception would get lost where a weak reference dies
def fit(
    net: Sequential,
    X: ArrayLike | Batches,
    y: ArrayLike | tuple[ArrayLike, ...] | None = None,
    *,
    loss: Loss,
    optimizer: Optimizer | None = None,
    epochs: int = 10,
    batch_size: int | None = None,
    shuffle: bool | None = None,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
    validation: Validation | None = None,
    metrics: Metrics = (),
    schedule: Schedule | ReduceLROnPlateau | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    average: ExponentialMovingAverage | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    backend: str | None = None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> History:
    """Train ``net`` on the rows of X and y, or on the batches of an iterable.

    The same seed gives the same parameters and losses to the bit, with any number of threads.
    Ctrl-C ends the training after the current slice of a tenth of a second; what was trained until
    then stays, and ``interrupted`` is True in the history.

    Parameters
    ----------
    net : Sequential
        Its parameters are changed in place.
    X : array of shape (n, ...)
        Real numbers: floats, integers or booleans, in memory or memory-mapped; or whatever speaks
        ``__array__``, DLPack or the buffer protocol: tensors, tables, memory views. Each batch is
        converted to the network's dtype when its turn comes; X itself is not copied, unless the
        numbers of a row do not lie side by side (as in Fortran order, which most tables are in),
        or are longdouble or not in the machine's byte order.

        Without y, an iterable of batches (x, y) or (x, y, sample_weight), which each epoch goes
        through anew, a step for each batch: a list, a ``DataLoader``, or a function that returns a
        fresh generator. Batches may have any number of rows, and are copied as they come.
    y : array, optional
        Class labels of shape (n,) for ``CrossEntropyLoss``, else targets of the output's shape; a
        tuple of them, one for each output, for ``MultiLoss``. Labels are copied, as
        ``sample_weight`` is; targets are not, if they have the network's dtype.
    loss : Loss
    optimizer : Optimizer, optional
        ``Adam()`` by default. It goes on from where it was, if it has stepped this network before.
    epochs : int
        How often each row is seen, at least 1.
    batch_size : int, optional
        Rows a step, at least 1; 32 by default. If there are fewer rows, each step takes them all,
        and a warning says so. The last batch of an epoch may be shorter. Not for an iterable, nor
        are ``shuffle``, ``sample_weight`` and ``checkpoint``.
    shuffle : bool, optional
        Whether each epoch has an order of its own, as by default.
    seed : int
        Seed of the orders, and of what :class:`Dropout` leaves out; 0 or more. Both go on with the
        optimizer: two calls of one epoch with the same optimizer are one call of two, to the bit.
        A new optimizer, also the default one, begins anew.
    sample_weight : array of shape (n,), optional
        One weight a row, not negative, nor 0 for all; see :class:`Loss`.
    validation : (X, y) or (X, y, sample_weight), optional
        Data to measure loss and accuracy on after each epoch, both by the rows' weights if there
        are any; of several outputs, it is the accuracy of the only one that is a classification.
    metrics : list of functions, or dict of names and functions
        Further figures of the validation data, such as ``[cr.metrics.r2_score]``: each function
        takes the output and y, of several outputs a list and a tuple, and returns a number; all
        rows count the same to it. They are kept in ``history.metrics``; where the loss of the
        validation is not finite, they are NaN, as the accuracy is.
    schedule : Schedule or ReduceLROnPlateau, optional
        The learning rate of each step, instead of the optimizer's, which is set to it, whatever
        callbacks have set; see ``cr.schedules``.
    clip_norm : float, optional
        The gradient over all parameters is shortened to this norm where it is longer
        (:func:`clip_grad_norm`).
    clip_value : float, optional
        Each element of the gradient is brought into the range from ``-clip_value`` to
        ``clip_value``, before ``clip_norm`` counts (:func:`clip_grad_value`).
    average : ExponentialMovingAverage, optional
        It follows the parameters after each step. Validation and callbacks see the network itself.
    callbacks : list of Callback
        What to do while it trains, such as ``[cr.callbacks.EarlyStopping()]``.
    progress : bool
        Whether to show a progress bar.
    backend : "numba" or "numpy", optional
        Instead of the network's.
    checkpoint : path or Checkpoint, optional
        The file that keeps the state of the training: written before the first step; after epochs,
        as often as it takes no more than 3 % of the time, or as :class:`Checkpoint` says; and at
        the end. What cannot be written while it trains is a warning, and is tried again.
    resume : bool
        Go on from that file, bit for bit as if the training had never stopped; begin anew if it is
        not there. A training that was finished returns at once with its history.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or the checkpoint is that of another training; nothing has been
        changed then. If a batch of an iterable is wrong that is not the first one; what was trained
        until then stays.
    ModelFileError
        If the checkpoint is damaged; nothing has been changed.
    OSError
        If the checkpoint cannot be read, or written before the first step.
    NonFiniteError
        If the loss, or a parameter, becomes NaN or infinite; the network keeps its last finite
        parameters, or gets those that :class:`EarlyStopping` restores. The error's ``history`` has
        what happened until then.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> net = cr.Sequential(cr.Linear(1, 16), cr.Tanh(), cr.Linear(16, 1), seed=0)
    >>> options = {"loss": cr.MSELoss(), "optimizer": cr.Adam(lr=0.01), "progress": False}
    >>> history = cr.fit(net, X, X**2, epochs=100, **options)
    >>> history.loss[-1] < 0.01 * history.loss[0]
    True
    """
    shuffle = optional(flag)(shuffle, "shuffle", None)
    progress = flag(progress, "progress")
    options = checked_options(
        net,
        loss,
        optimizer=optimizer,
        epochs=epochs,
        seed=seed,
        validation=validation,
        metrics=metrics,
        schedule=schedule,
        clip_norm=clip_norm,
        clip_value=clip_value,
        average=average,
        callbacks=callbacks,
        backend=backend,
        checkpoint=checkpoint,
        resume=resume,
    )
    trainer = make_trainer(
        net,
        X,
        y,
        options,
        batch_size=batch_size,
        shuffle=shuffle,
        sample_weight=sample_weight,
        stacklevel=4,  # of the caller: interruption's wrapper lies between
    )
    history = train(trainer, options, progress=progress)
    trainer.put_machines_back()
    return history

"""fit: checks its arguments, builds a runner of epochs, and trains epoch by epoch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from numpy.typing import ArrayLike

from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.optimizers import Optimizer
from chainrule.training.assembly import make_runner
from chainrule.training.averaging import ExponentialMovingAverage
from chainrule.training.callbacks import Callback
from chainrule.training.checkpoint import Checkpoint
from chainrule.training.class_weights import ClassWeight
from chainrule.training.history import History
from chainrule.training.logits import warn_of_probabilities
from chainrule.training.loop import train
from chainrule.training.metrics import Metrics, Validation
from chainrule.training.options import checked_options
from chainrule.training.schedules import ReduceLROnPlateau, Schedule
from chainrule.training.streams import Batches
from chainrule.utils.arguments import choice, flag, optional
from chainrule.utils.interruption import interruption


@interruption()  # from the start: Python would swallow the exception in a weak reference's callback
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
    class_weight: ClassWeight | None = None,
    validation: Validation | None = None,
    validation_split: float | None = None,
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
    interrupt: Literal["raise", "stop"] = "raise",
) -> History:
    """Train ``net`` on the rows of X and y, or on the batches of an iterable.

    The same seed gives the same parameters and losses to the bit, with any number of threads.
    Ctrl-C ends the training after the current slice of a tenth of a second. The network keeps the
    parameters of that moment; see ``interrupt``.

    Parameters
    ----------
    net : Sequential
        Its parameters are changed in place.
    X : array of shape (n, ...)
        Real numbers: floats, integers or booleans, in memory or memory-mapped; or an object with
        ``__array__``, DLPack or the buffer protocol: a tensor, a table, a memory view. Each batch
        is converted to the network's dtype when it is used. X itself is copied only if its rows are
        not contiguous (as in Fortran order, which most tables have), or its dtype is longdouble or
        not in native byte order. If the network begins with :class:`Inputs`, a tuple or a list of
        such arrays, one for each input, with the same number of rows.

        Without y, an iterable of batches (x, y) or (x, y, sample_weight), with a step for each
        batch: a list, a ``DataLoader``, or a function that returns a new generator. Each epoch
        iterates over it again. Batches may have any number of rows, and are copied.
    y : array, optional
        Class labels of shape (n,) for ``CrossEntropyLoss``, else targets of the output's shape; a
        tuple of them, one for each output, for ``MultiLoss``. Labels are copied, as
        ``sample_weight`` is; targets are not, if they have the network's dtype.
    loss : Loss
    optimizer : Optimizer, optional
        ``Adam()`` by default. If it has stepped this network before, it continues with its state.
    epochs : int
        Passes over the data, at least 1.
    batch_size : int, optional
        Rows in a step, at least 1; 32 by default. If there are fewer rows, each step takes them
        all. The last batch of an epoch may be shorter. ``batch_size``, ``shuffle``,
        ``sample_weight``, ``class_weight``, ``validation_split`` and ``checkpoint`` are not for an
        iterable.
    shuffle : bool, optional
        Whether the rows are shuffled in each epoch; True by default.
    seed : int
        Seed of the shuffling and of the :class:`Dropout` masks; 0 or more. Both continue with the
        optimizer: two calls of one epoch with the same optimizer equal one call of two, to the bit.
        A new optimizer, also the default one, starts from the beginning.
    sample_weight : array of shape (n,), optional
        One weight a row, not 0 for all; a negative one makes the row's loss larger, see
        :class:`Loss`. Those of the validation are not negative.
    class_weight : dict or "balanced", optional
        A weight for each class, such as ``{1: 5.0}``, 1 for those that the dict leaves out, by
        which the weights of its rows are multiplied; with ``"balanced"``, all classes have the same
        total weight. For one output with class labels, or with 0 and 1 for
        ``BCEWithLogitsLoss``. It does not apply to the validation.
    validation : (X, y) or (X, y, sample_weight), optional
        Data on which loss and accuracy are measured after each epoch, weighted by its
        ``sample_weight``. With several outputs, the accuracy is that of the only classification.
    validation_split : float, optional
        The fraction of the rows that are held out as validation data, more than 0 and less than 1.
        They are chosen at random; the same ``seed`` chooses the same rows. The rows are copied.
    metrics : list of functions, or dict of names and functions
        Further metrics of the validation data, such as ``[cr.metrics.r2_score]``. Each function
        takes y and the output (with several outputs, a tuple and a list), as scikit-learn's metrics
        take y_true and y_pred, and returns a number; rows are not weighted. The values are in
        ``history.metrics``; where the validation loss is not finite, they and the accuracy are NaN.
    schedule : Schedule or ReduceLROnPlateau, optional
        Sets the optimizer's learning rate before each step, also where a callback has set another
        one; see ``cr.schedules``. A warning says where it falls to nothing long before the end.
    clip_norm : float, optional
        Upper limit of the gradient's norm over all parameters: a longer gradient is scaled to it
        (:func:`clip_grad_norm`).
    clip_value : float, optional
        Each element of the gradient is clipped to the range from ``-clip_value`` to
        ``clip_value``, before ``clip_norm`` applies (:func:`clip_grad_value`).
    average : ExponentialMovingAverage, optional
        Updated after each step. Validation and callbacks use the network itself.
    callbacks : list of Callback
        Called while the network is trained, such as ``[cr.callbacks.EarlyStopping()]``.
    progress : bool
        Whether to show a progress bar.
    backend : "numba" or "numpy", optional
        Instead of the network's.
    checkpoint : path or Checkpoint, optional
        The file for the state of the training. It is written before the first step; after epochs,
        as often as that takes no more than 3 % of the time, or as :class:`Checkpoint` specifies;
        and at the end. If it cannot be written during the training, a warning is given, and it is
        tried again.
    resume : bool
        Continue from that file, bit for bit as if the training had never stopped; start from the
        beginning if the file does not exist. A finished training returns its history at once.
    interrupt : "raise" or "stop"
        What follows after Ctrl-C has ended the training, callbacks have been told, and the
        checkpoint is written: KeyboardInterrupt, which also ends a loop around ``fit``; or, with
        "stop", ``fit`` returns as after the last epoch, with ``interrupted`` True in the history.
        A second Ctrl-C interrupts at once, within a second also the next ``fit``.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or the checkpoint belongs to another training: before anything is
        changed. If a later batch of an iterable is wrong: the network keeps the parameters of that
        moment.
    ModelFileError
        If the checkpoint is damaged; nothing has been changed.
    OSError
        If the checkpoint cannot be read, or written before the first step.
    KeyboardInterrupt
        After Ctrl-C, unless ``interrupt`` is "stop".
    NonFiniteError
        If the loss or a parameter becomes NaN or infinite. The network keeps its last finite
        parameters, or gets those that :class:`EarlyStopping` restores. The error has the
        ``history`` until then.

    Warns
    -----
    UserWarning
        If a schedule's rate falls to nothing before the end; if the loss takes logits, but the
        network ends in :class:`Softmax` or :class:`Sigmoid`; if X holds whole numbers up to 255
        or 65,535, as pixels are, 64 or more in a row (any number of uint8), and a linear layer or a
        convolution takes them without :class:`Rescale` or a layer that normalizes before it; if
        only the validation's X does; or if :class:`Rescale` is for such numbers, but X has those
        from 0 to 1.

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
    raises_on_ctrl_c = choice(interrupt, "interrupt", ("raise", "stop")) == "raise"
    options = checked_options(
        net,
        loss,
        optimizer=optimizer,
        epochs=epochs,
        seed=seed,
        validation=validation,
        validation_split=validation_split,
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
    warn_of_probabilities(net, loss)
    runner, options = make_runner(
        net,
        X,
        y,
        options,
        batch_size=batch_size,
        shuffle=shuffle,
        sample_weight=sample_weight,
        class_weight=class_weight,
    )
    history = train(runner, options, progress=progress, raises_on_ctrl_c=raises_on_ctrl_c)
    runner.put_machines_back()
    return history

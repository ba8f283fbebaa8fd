"""A whole training step in one call, for training loops written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.validation import check_loss
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.losses import Loss
from chainrule.models.batch_passes import BatchMachine
from chainrule.models.sequential import Sequential
from chainrule.models.updates import UpdateRun
from chainrule.optimizers import Optimizer
from chainrule.optimizers.state import OptimizerState
from chainrule.utils import arrays
from chainrule.utils.arguments import shortened

STEP = Phase.FORWARD | Phase.BACKWARD | Phase.UPDATE


def train_step(net: Sequential, loss: Loss, optimizer: Optimizer) -> Callable[..., float]:
    """Return the function ``(x, y, sample_weight=None) -> loss`` that does one training step.

    It does what ``net.forward``, the loss, ``net.backward`` and ``optimizer.step`` do one after
    the other, with the same result to the bit, in one run of compiled code. (To rounding, if a
    :class:`MultiLoss` has a loss with class weights.) What does not change from step to step is
    checked and prepared once.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    optimizer : Optimizer
        Its learning rate, and its other numbers, may change between the steps.

    Returns
    -------
    function of ``(x, y, sample_weight=None)``
        It takes a batch x of shape (n, ...), what the loss takes as y, and optionally a weight of
        each sample, shape (n,). It changes the network's parameters and gradients in place and
        returns the loss before the step, as a float. A loss that is not finite is returned, and
        changes nothing.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; also when the function is called, before anything is changed.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(1, 1), seed=0)
    >>> step = cr.train_step(net, cr.MSELoss(), cr.SGD(lr=0.1))
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> for _ in range(200):
    ...     value = step(x, 3 * x + 1)
    >>> value < 1e-6
    True
    """
    check_loss(net, loss)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be an optimizer such as cr.Adam(), not {shortened(optimizer)}."
        )
    return _TrainStep(net, loss, optimizer)


class _TrainStep:
    """What :func:`train_step` returns: it keeps a machine for the shape of the latest batch."""

    def __init__(self, net: Sequential, loss: Loss, optimizer: Optimizer) -> None:
        self._net, self._loss, self._optimizer = net, loss, optimizer
        self._losses = np.zeros((1, 2))
        self._kept: BatchMachine | None = None
        self._prepared: UpdateRun | None = None

    def __repr__(self) -> str:
        return f"train_step({self._net!r}, {self._loss!r}, {self._optimizer!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the machine, which is made again."""
        return self.__dict__ | {"_kept": None, "_prepared": None}

    def __call__(self, x: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Do one training step with a batch, and return the loss before it."""
        net = self._net
        batch = net.check_input(x, "x")
        rows, *shape = batch.shape
        if net.training:
            net.check_training_batch(rows, tuple(shape))
        outputs = [(rows, *of_row) for of_row in net.output_shapes(tuple(shape))]
        targets = self._loss.check_targets(y, outputs, net.dtype)
        weights = arrays.weight_array(sample_weight, rows, net.dtype)
        state = self._optimizer.state(net)
        step = self._step_for(batch.shape, state)
        net.invalidate_forward("A training step")
        data = make_data(net.dtype, batch, weights=weights, **targets.arguments())
        results = step.run.machine.results(losses=self._losses)
        step.run(rows, step.vectors, data, results, lr=state.lr, masks=net.draw_masks())
        return self._losses.item(1)

    def _step_for(self, shape: tuple[int, ...], state: OptimizerState) -> UpdateRun:
        """Return the run for a batch of this shape, prepared before where nothing has changed."""
        net, prepared = self._net, self._prepared
        kept = self._kept = net.batch_machine(self._kept, shape, self._loss)
        machine = kept.machine
        if prepared is None or not prepared.is_for(machine, state):
            prepared = UpdateRun.prepare(machine, STEP, net.params, net.grads, state)
            self._prepared = prepared
        return prepared

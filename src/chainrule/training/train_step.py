"""A whole training step in one call, for training loops written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike

from chainrule.autodiff.validation import check_loss
from chainrule.engine.backends import threads_for
from chainrule.engine.batch_run import BatchRun
from chainrule.engine.records import make_data
from chainrule.kernels.context import NOT_FINITE, Phase
from chainrule.losses import Loss, OutputLoss
from chainrule.losses.loss import TargetCheck
from chainrule.models.batch_passes import BatchMachine
from chainrule.models.sequential import Sequential
from chainrule.models.updates import UpdateRun
from chainrule.optimizers import Optimizer
from chainrule.optimizers.state import OptimizerState
from chainrule.training.logits import warn_of_probabilities
from chainrule.utils import arrays
from chainrule.utils.arguments import kind_hint, shortened

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

    Warns
    -----
    UserWarning
        If the loss takes logits, but the network ends in :class:`Softmax` or :class:`Sigmoid`.

    Examples
    --------
    >>>     >>> import chainrule as cr
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
            f"{kind_hint(optimizer)}"
        )
    warn_of_probabilities(net, loss, stacklevel=2)
    return _TrainStep(net, loss, optimizer)


class _TrainStep:
    """What :func:`train_step` returns: it keeps a machine for the shape of the latest batch."""

    def __init__(self, net: Sequential, loss: Loss, optimizer: Optimizer) -> None:
        self._net, self._loss, self._optimizer = net, loss, optimizer
        self._kept: BatchMachine | None = None
        self._prepared: UpdateRun | None = None
        self._again: tuple[BatchRun, TargetCheck] | None = None  # for batches like the latest one

    def __repr__(self) -> str:
        return f"train_step({self._net!r}, {self._loss!r}, {self._optimizer!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the machine, which is made again."""
        return self.__dict__ | {"_kept": None, "_prepared": None, "_again": None}

    def __call__(self, x: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Do one training step with a batch, and return the loss before it."""
        value = self._repeat(x, y, sample_weight)
        return self._checked(x, y, sample_weight) if value is None else value

    def _repeat(self, x: Any, y: Any, sample_weight: ArrayLike | None) -> float | None:
        """Do it with a batch like the one before; return None if it is none, or not finite."""
        net, step, kept, again = self._net, self._prepared, self._kept, self._again
        if step is None or kept is None or again is None:
            return None
        run, check_target = again
        state = self._optimizer.state(net)
        if not (
            run.takes(x)
            and step.is_for(kept.machine, state)
            and kept.is_for(threads_for(net.backend), net.training)
        ):
            return None
        targets, labels = check_target(y)
        weights = arrays.weight_array(sample_weight, len(x), net.dtype)
        try:
            data = x, targets, labels, weights
            done = run(step.vectors, *data, lr=state.lr, masks=net.next_masks)
        except BaseException:
            net.invalidate_forward("A training step")
            raise
        if done == NOT_FINITE:
            return None
        net.invalidate_forward("A training step")
        net.draw_masks()
        return run.losses.item(1)

    def _checked(self, x: ArrayLike, y: Any, sample_weight: ArrayLike | None) -> float:
        """Do it with any batch."""
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
        machine = step.run.machine
        losses = machine.losses_for(1)
        results = machine.results(losses=losses)
        step.run(rows, step.vectors, data, results, lr=state.lr, masks=net.draw_masks())
        self._again = None
        if BatchRun.can_use(machine) and isinstance(self._loss, OutputLoss) and not net.takes_codes:
            check = TargetCheck(self._loss, outputs[0], net.dtype)
            self._again = BatchRun(step.run, batch.shape), check
        return losses.item(1)

    def _step_for(self, shape: tuple[int, ...], state: OptimizerState) -> UpdateRun:
        """Return the run for a batch of this shape, prepared before where nothing has changed."""
        net, prepared = self._net, self._prepared
        kept = self._kept = net.batch_machine(self._kept, shape, self._loss)
        machine = kept.machine
        if prepared is None or not prepared.is_for(machine, state):
            prepared = UpdateRun.prepare(machine, STEP, net.params, net.grads, state)
            self._prepared = prepared
        return prepared

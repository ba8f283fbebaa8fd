"""A whole training step in one call, for training loops written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from chainrule.autodiff.validation import check_loss
from chainrule.engine.batch_run import BatchRun, ByShape
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
from chainrule.training.pixels import warn_of_pixels
from chainrule.utils import arrays
from chainrule.utils.arguments import kind_hint, shortened
from chainrule.utils.inputs import shape_of

STEP = Phase.FORWARD | Phase.BACKWARD | Phase.UPDATE


def train_step(net: Sequential, loss: Loss, optimizer: Optimizer) -> Callable[..., float]:
    """Return the function ``(x, y, sample_weight=None) -> loss`` that does one training step.

    It does what ``net.forward``, the loss, ``net.backward`` and ``optimizer.step`` do one after
    the other, with the same result to the bit, in one run of compiled code. (With a
    :class:`MultiLoss` to rounding: it adds up its losses in another order.) What does not change
    from step to step is checked and prepared once.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    optimizer : Optimizer
        Its learning rate, and its other numbers, may change between the steps.

    Returns
    -------
    function of ``(x, y, sample_weight=None)``
        It takes a batch x of shape (n, ...), or a tuple of them for :class:`Inputs`; what the loss
        takes as y; and optionally a weight of each sample, shape (n,). It changes the network's
        parameters and gradients in place and returns the loss before the step, as a float. A loss
        that is not finite is returned, and changes nothing.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; also when the function is called, before anything is changed.

    Warns
    -----
    UserWarning
        If the loss takes logits, but the network ends in :class:`Softmax` or :class:`Sigmoid`; at
        the first step, of pixels that are not scaled, or scaled twice, as :func:`fit` does.

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
            f"{kind_hint(optimizer)}"
        )
    warn_of_probabilities(net, loss)
    return _TrainStep(net, loss, optimizer)


class _Again(NamedTuple):
    """What is prepared for batches of one shape."""

    kept: BatchMachine
    step: UpdateRun
    run: BatchRun
    check_target: TargetCheck


class _TrainStep:
    """What :func:`train_step` returns: it keeps a machine, and what it needs for a few shapes."""

    def __init__(self, net: Sequential, loss: Loss, optimizer: Optimizer) -> None:
        self._net, self._loss, self._optimizer = net, loss, optimizer
        self._clear()

    def _clear(self) -> None:
        self._kept: BatchMachine | None = None
        self._step: UpdateRun | None = None
        self._by_shape: ByShape[_Again] = ByShape()

    def __repr__(self) -> str:
        return f"train_step({self._net!r}, {self._loss!r}, {self._optimizer!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the machine, which is made again."""
        return {name: vars(self)[name] for name in ("_net", "_loss", "_optimizer")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear()

    def __call__(self, x: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Do one training step with a batch, and return the loss before it."""
        again = self._by_shape.get(shape_of(x))
        value = None if again is None else self._repeat(again, x, y, sample_weight)
        return self._checked(x, y, sample_weight) if value is None else value

    def _repeat(
        self, again: _Again, x: Any, y: Any, sample_weight: ArrayLike | None
    ) -> float | None:
        """Do it with a batch of a shape that is prepared for.

        Return None if it needs a closer look, or something else has changed.
        """
        kept, step, run, check_target = again
        net, batch = self._net, run.ready(x)
        state = self._optimizer.state(net)
        if (
            batch is None
            or not step.is_for(kept.machine, state)
            or not kept.is_for(*net.pass_options)
        ):
            return None
        targets, labels = check_target(y)
        weights = arrays.weight_array(sample_weight, run.rows, net.dtype)
        try:
            data = batch, targets, labels, weights
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
        if self._kept is None:  # the first step
            warn_of_pixels(net, batch, "x")
        kept, step = self._step_for(batch.shape, state)
        net.invalidate_forward("A training step")
        data = make_data(net.dtype, batch, weights=weights, **targets.arguments())
        losses = kept.machine.losses_for(1)
        results = kept.machine.results(losses=losses)
        step.run(rows, step.vectors, data, results, lr=state.lr, masks=net.draw_masks())
        self._prepare(batch.shape, kept, step, outputs[0])
        return losses.item(1)

    def _step_for(
        self, shape: tuple[int, ...], state: OptimizerState
    ) -> tuple[BatchMachine, UpdateRun]:
        """Return a machine for this shape, and its run: those from before, if nothing changed."""
        net, step = self._net, self._step
        kept = self._kept = net.batch_machine(self._kept, shape, self._loss)
        if step is None or not step.is_for(kept.machine, state):
            step = UpdateRun.prepare(kept.machine, STEP, net.params, net.grads, state)
            self._step = step
        return kept, step

    def _prepare(
        self,
        shape: tuple[Any, ...],
        kept: BatchMachine,
        step: UpdateRun,
        output_shape: tuple[int, ...],
    ) -> None:
        """Prepare for further batches of this shape."""
        net, before = self._net, self._by_shape.get(shape)
        if before is not None and before.step is step:
            return
        if not isinstance(self._loss, OutputLoss) or net.takes_codes:
            return
        if BatchRun.can_use(kept.machine):
            check = TargetCheck(self._loss, output_shape, net.dtype)
            self._by_shape.keep(shape, _Again(kept, step, BatchRun(step.run, shape), check))

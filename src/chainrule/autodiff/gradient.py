"""The loss and its gradient, as a function of the parameters and the input."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff.machines import (
    MOST_BYTES,
    MOST_ROWS,
    blocks,
    borrowed,
    put_back,
    return_with,
    take,
)
from chainrule.autodiff.mean import BlockMean
from chainrule.autodiff.plans import plain_plan
from chainrule.autodiff.validation import (
    PARAMS,
    Wrt,
    X,
    check_loss,
    names_of,
    packed,
    parameter_vector,
)
from chainrule.engine.backends import threads_for
from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import Machine
from chainrule.engine.pool import MachinePool
from chainrule.engine.records import NOTHING, Vectors
from chainrule.kernels.context import Phase
from chainrule.losses import Loss, OutputLoss
from chainrule.losses.loss import TargetCheck
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import FloatArray, is_ready

MOST_SHAPES = 4  # of batches that a function is prepared for


def value_and_grad(
    net: Sequential, loss: Loss, wrt: Wrt = PARAMS
) -> Callable[..., tuple[float, Any]]:
    """Return the function ``(params, x, y) -> (loss, gradient)``.

    The function is pure: it uses the network's layers, but neither reads nor changes its parameters
    and gradients. The same arguments give the same result to the bit, with any number of threads.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    wrt : "params", "x" or a tuple of both
        What to differentiate by.

    Returns
    -------
    function of ``(params, x, y, sample_weight=None)``
        It takes a flat vector like ``net.params``, which is not copied if it is contiguous,
        writable and of the network's dtype; a batch x of shape (n, ...); and the targets y. It
        returns the loss as a float, and the gradient by the parameters, of shape (n_params,), or by
        x, of x's shape; or a tuple of gradients, in the order of ``wrt``.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; also when the function is called.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1), dtype="float64")
    >>> evaluate = cr.value_and_grad(net, cr.MSELoss(), wrt=("params", "x"))
    >>> value, (d_params, d_x) = evaluate([1.0, 2.0, 0.5], [[3.0, 1.0]], [[5.0]])
    >>> value, d_params.tolist(), d_x.tolist()
    (0.25, [3.0, 1.0, 1.0], [[1.0, 2.0]])
    """
    check_loss(net, loss)
    names = names_of(wrt)
    prepared: MachinePool[_Gradient] = MachinePool(MOST_SHAPES, MOST_BYTES)
    latest: Hashable = None  # key of the batch that was not prepared for

    def evaluate(
        params: ArrayLike, x: ArrayLike, y: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Any]:
        nonlocal latest
        key = (x.shape if type(x) is np.ndarray else None), threads_for(net.backend)
        kept = prepared.take(key) if sample_weight is None else None
        if kept is not None:
            result = kept(params, x, y)
            prepared.put_back(key, kept)
            if result is not None:
                return result[0], packed(wrt, result[1])
        vector = parameter_vector(net, params)
        batch = DataSet.checked(net, loss, x, y, sample_weight, ("x", "y"))
        value, gradients = gradient(net, loss, batch, vector, names)
        if key == latest:
            made = _Gradient.prepare(net, loss, batch.inputs.shape, names)
            if made is not None:
                prepared.put_back(key, made)
        latest = key
        return value, packed(wrt, gradients)

    return evaluate


class _Gradient:
    """The loss and its gradient for batches of one shape, for loops in Python.

    Parameters
    ----------
    loss : OutputLoss
    shape : of the batch.
    names : what to differentiate by.
    machine : Machine
    parameters : the shape of the vector of parameters.
    """

    def __init__(
        self,
        loss: OutputLoss,
        shape: tuple[int, ...],
        names: tuple[str, ...],
        machine: Machine,
        parameters: tuple[int, ...],
    ) -> None:
        self._machine, self._parameters = machine, parameters
        self._by_params, self._by_x = PARAMS in names, X in names
        phases = Phase.FORWARD | Phase.BACKWARD | (Phase.INPUT_GRADIENT if self._by_x else 0)
        self._run = BatchRun(machine.prepare_run(phases), shape)
        output_shape = shape[0], *machine.plan.output_shapes[0]
        self._check_target = TargetCheck(loss, output_shape, machine.dtype)
        self._d_input = machine.rows_at("d_input", shape[0])

    @classmethod
    def prepare(
        cls, net: Sequential, loss: Loss, shape: tuple[int, ...], names: tuple[str, ...]
    ) -> _Gradient | None:
        """Return it, with a machine that the network's pool gets back; None if it is no use."""
        if not isinstance(loss, OutputLoss) or net.takes_codes or shape[0] > MOST_ROWS:
            return None
        key, machine = take(net, plain_plan, shape[1:], shape[0], loss=loss, retain=False)
        if not BatchRun.can_use(machine):
            put_back(net, key, machine)
            return None
        made = cls(loss, shape, names, machine, net.params.shape)
        return_with(made, net, key, machine)
        return made

    @property
    def usable(self) -> bool:
        return self._machine.usable

    @property
    def arena(self) -> FloatArray:
        return self._machine.arena

    def __call__(self, params: Any, x: Any, y: Any) -> tuple[float, dict[str, FloatArray]] | None:
        """Return the loss, and its gradients by name; None where a closer look is needed."""
        run, dtype = self._run, self._machine.dtype
        if not run.takes(x):
            return None
        if not is_ready(params, dtype) or params.shape != self._parameters:
            return None
        gradients = {}
        nothing = NOTHING[dtype].vector
        grads = nothing
        if self._by_params:
            gradients[PARAMS] = grads = np.zeros(self._parameters, dtype)
        vectors = Vectors(params, nothing, grads, nothing)
        if run(vectors, x, *self._check_target(y)) != 1:
            return None
        if self._by_x:
            gradients[X] = self._d_input.copy()
        return run.losses.item(1), gradients


def gradient(
    net: Sequential, loss: Loss, batch: DataSet, params: FloatArray, names: tuple[str, ...]
) -> tuple[float, dict[str, FloatArray]]:
    """Return the loss, and its gradients by name."""
    mean = BlockMean(net, batch, names)
    phases = Phase.BACKWARD | (Phase.INPUT_GRADIENT if X in names else 0)
    options = {"loss": loss, "retain": False}
    for block in blocks(batch.rows, loss):
        rows = block.stop - block.start
        with borrowed(net, plain_plan, batch.inputs.shape[1:], rows, **options) as machine:
            losses = machine.losses_for(1)
            grads = mean.parameter_buffer()
            order = rows if block.start == 0 else np.arange(block.start, block.stop)
            vectors = machine.vectors(params, grads=grads)
            results = machine.results(losses=losses)
            if not machine.run(Phase.FORWARD | phases, order, vectors, batch.record, results):
                # The run ends where the loss is not finite; compute the gradient all the same.
                machine.run(phases, order, vectors)
            mean.add(block, losses[0], grads, machine.rows_at("d_input", rows))
    return mean.value, mean.gradients()

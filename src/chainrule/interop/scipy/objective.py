"""A network's loss as a function of its parameters, for SciPy's optimizers."""

from __future__ import annotations

from functools import cached_property
from math import nan, prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.autodiff.hessian_product import hessian_product
from chainrule.autodiff.jacobians import jacobian
from chainrule.autodiff.validation import PARAMS, check_loss
from chainrule.engine.backends import threads_for
from chainrule.engine.machine import Machine
from chainrule.engine.pool import MachinePool
from chainrule.interop.scipy.free_parameters import Float64, Free, FreeParameters
from chainrule.kernels.context import Phase
from chainrule.losses import Loss, MSELoss
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.optimizers.optimizer import WeightDecay, weight_decay_number
from chainrule.training.pixels import warn_of_pixels
from chainrule.utils.arrays import DOUBLE
from chainrule.utils.patterns import by_pattern
from chainrule.utils.wording import plural

BLOCK = 1024  # rows that are computed at a time, so that activations take little memory
MOST_MACHINES = 4  # in the pool; more are made if more threads call at once


def objective(
    net: Sequential,
    loss: Loss,
    X: ArrayLike,
    y: ArrayLike | tuple[ArrayLike, ...],
    sample_weight: ArrayLike | None = None,
    *,
    weight_decay: WeightDecay = 0.0,
    free: Free | None = None,
) -> Objective:
    """Return the loss on all rows of X and y as a function of the parameters, for SciPy.

    It computes in float64, as SciPy does, whatever the network's dtype. The network's layers and
    parameters, the starting point, are copied: the network is not changed, and later changes of it
    have no effect. ``net.params = objective.params(result.x)`` copies a result into the network.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    X, y : arrays
        As in :func:`fit`. They are checked once, here. X and targets are not copied, and must not
        be changed.
    sample_weight : array of shape (n,), optional
        One weight a row.
    weight_decay : float, or dict of name patterns to floats
        Factor of an L2 penalty, 0 or more: ``0.5 * weight_decay * sum(params**2)`` is added to the
        loss, whose minimum is then that of :class:`SGD` with the same ``weight_decay``. By
        patterns, such as ``{"*.weight": 1e-3}``, as in :class:`AdamW`.
    free : str, list of str, or bool array of shape (number of parameters,), optional
        The parameters that may change: shell patterns (:mod:`fnmatch`) of names of
        ``net.parameters()``, such as ``"2.*"``, or a mask. All vectors then have one number for
        each of these; the others keep their values. By default those that are not frozen.

    Returns
    -------
    Objective

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Warns
    -----
    UserWarning
        As :func:`fit` does, of pixels that are not scaled, or scaled twice.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from scipy.optimize import minimize
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> net = cr.Sequential(cr.Linear(1, 8), cr.Tanh(), cr.Linear(8, 1), seed=0)
    >>> objective = cr.objective(net, cr.MSELoss(), X, X**2)
    >>> result = minimize(objective.fun, objective.start, jac=True, method="L-BFGS-B")
    >>> net.params = result.x
    >>> bool(abs(net.predict(X) - X**2).max() < 0.01)
    True

    Only the last layer, for another target:

    >>> last = cr.objective(net, cr.MSELoss(), X, X**3, free="2.*")
    >>> result = minimize(last.fun, last.start, jac=True, method="L-BFGS-B")
    >>> net.params = last.params(result.x)
    >>> result.x.shape, bool(abs(net.predict(X) - X**3).max() < 0.1)
    ((9,), True)
    """
    return Objective(net, loss, X, y, sample_weight, weight_decay, free)


class Objective:
    """A loss on fixed data as a function of the parameters; made by :func:`objective`.

    Parameters are one flat vector, in the order of ``net.params``; if some are fixed, of the free
    ones only. A float64 vector of all is not copied; others are converted. Several threads may call
    it at once.

    Attributes
    ----------
    start : float64 array of shape (number of free parameters,)
        The network's free parameters when the objective was made.
    """

    def __init__(
        self,
        net: Sequential,
        loss: Loss,
        X: ArrayLike,
        y: ArrayLike | tuple[ArrayLike, ...],
        sample_weight: ArrayLike | None = None,
        weight_decay: WeightDecay = 0.0,
        free: Free | None = None,
    ) -> None:
        check_loss(net, loss)
        self._net, self._loss = net.copy(DOUBLE), loss
        self._weight_decay = weight_decay_number(weight_decay, "weight_decay")
        self._decay = self._decay_vector()
        self._batch = DataSet.checked(self._net, loss, X, y, sample_weight)
        warn_of_pixels(self._net, self._batch.inputs, "X")
        self._order = np.arange(self._batch.rows)
        is_mean = loss.is_one_mean and self._net.graph.rows_are_independent
        self._block = BLOCK if is_mean else self._batch.rows
        self._machines: MachinePool[Machine] = MachinePool(MOST_MACHINES)
        self._free = FreeParameters(self._net, free)
        self.start = self._free.start

    def __repr__(self) -> str:
        free, rows = plural(self.start.size, "parameter"), plural(self._batch.rows, "row")
        return f"<Objective: {self._loss!r} of {rows} by {free}>"

    def params(self, theta: ArrayLike) -> Float64:
        """Return all of the network's parameters: those in theta, and those that are not free.

        Parameters and errors are those of :meth:`fun`.

        Returns
        -------
        float64 array of shape (number of parameters,)
            For ``net.params``.
        """
        return self._free.spread(theta, "theta")

    def fun(self, theta: ArrayLike) -> tuple[float, Float64]:
        """Return the loss and its gradient: ``minimize(objective.fun, ..., jac=True)``.

        Parameters
        ----------
        theta : array of shape (number of free parameters,)

        Returns
        -------
        value : float
        gradient : float64 array of shape (number of free parameters,)
            A new array in each call, since SciPy stores it. It is NaN if the value is not finite,
            as when a line search has overshot a minimum by far.

        Raises
        ------
        ValueError, TypeError
            If theta has another shape or dtype, or holds NaN or infinity.
        """
        params = self.params(theta)
        key, machine = self._take(with_loss=True)
        begins = range(0, len(self._order), self._block)
        blocks = (self._order[i : i + self._block] for i in begins)
        parts = (self._loss_of(machine, params, rows) for rows in blocks)
        weight, value, gradient = next(parts)
        for part_weight, part_value, part_gradient in parts:  # a mean of means
            weight += part_weight
            fraction = part_weight / weight if weight > 0 else 0.0
            value = (1 - fraction) * value + fraction * part_value
            gradient += fraction * (part_gradient - gradient)
        self._machines.put_back(key, machine)
        if self._decay is not None:
            penalty = self._decay * params
            value += 0.5 * float(penalty @ params)
            gradient += penalty
        return value, self._free.pick(gradient)

    def hessp(self, theta: ArrayLike, vector: ArrayLike) -> Float64:
        """Return the loss's second derivatives times a vector: ``minimize(..., hessp=...)``.

        Parameters
        ----------
        theta, vector : arrays of shape (number of free parameters,)

        Returns
        -------
        float64 array of that shape
            See :func:`hvp`.

        Raises
        ------
        ValueError, TypeError
            If one has another shape or dtype, or holds NaN or infinity.
        """
        params = self.params(theta)
        directions = {PARAMS: self._free.direction(vector, "vector")}
        product = hessian_product(self._net, self._loss, self._batch, params, directions)[PARAMS]
        if self._decay is not None:
            product += self._decay * directions[PARAMS]
        return self._free.pick(product)

    def residuals(self, theta: ArrayLike) -> Float64:
        """Return the residuals for ``least_squares(objective.residuals, ..., objective.jac)``.

        Parameters and errors are those of :meth:`fun`.

        Returns
        -------
        float64 array of shape (n * outputs,)
            ``sqrt(sample_weight) * (output - y)``, row by row: ``MSELoss`` is the sum of their
            squares, divided by the number of outputs and the sum of the weights. With
            ``weight_decay``, one more for each parameter, so that the sum is that of the penalty,
            too.

        Raises
        ------
        TypeError
            If the loss is not ``MSELoss``; ``least_squares`` has other losses.
        ValueError
            If a weight is negative.
        """
        params = self.params(theta)
        scale = self._residuals_scale
        key, machine = self._take(with_loss=False)
        target = self._target
        outputs = np.empty(target.shape)
        machine.run(
            Phase.FORWARD | Phase.OUTPUT,
            self._order,
            machine.vectors(params),
            self._batch.record,
            machine.results(outputs),
        )
        self._machines.put_back(key, machine)
        residuals: Float64 = (scale * (outputs - target)).reshape(-1)
        if self._decay is None:
            return residuals
        return np.concatenate([residuals, self._residuals_of_penalty * params])

    def jac(self, theta: ArrayLike) -> Float64:
        """Return the derivatives of :meth:`residuals` by the parameters.

        Parameters and errors are those of :meth:`residuals`.

        Returns
        -------
        float64 array of shape (n * outputs, number of free parameters)
            See :func:`jacobian`. With ``weight_decay``, there is one more row for each parameter.
        """
        params, rows = self.params(theta), self._batch.rows
        derivatives: Float64 = jacobian(self._net, self._batch.X, params=params)
        outputs = prod(derivatives.shape[1:-1])
        derivatives = derivatives.reshape(rows, outputs, params.size)
        derivatives *= self._residuals_scale[:, :, np.newaxis]
        derivatives = derivatives.reshape(rows * outputs, params.size)
        if self._decay is not None:
            derivatives = np.concatenate([derivatives, np.diag(self._residuals_of_penalty)])
        return self._free.pick(derivatives)

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild the object from its data, so that arrays have the layout for compiled code."""
        batch = self._batch
        data = batch.X, batch.targets.y, batch.weights
        return Objective, (self._net, self._loss, *data, self._weight_decay, self._free.mask)

    def _decay_vector(self) -> Float64 | None:
        """Return the factor of each parameter's penalty; None if there is none."""
        if not isinstance(self._weight_decay, dict):
            number = self._weight_decay
            return np.full(self._net.params.size, number) if number > 0 else None
        decay = np.zeros(self._net.params.size)
        views = self._net.views(decay)
        for name, number in by_pattern(self._weight_decay, views, 0.0, "weight_decay").items():
            views[name][...] = number
        return decay if decay.any() else None

    @cached_property
    def _residuals_of_penalty(self) -> Float64:
        """What parameters are multiplied by to be residuals, whose squares are the penalty."""
        assert self._decay is not None
        of_row = self._target.shape[1] * np.square(self._residuals_scale).sum()
        factors: Float64 = np.sqrt(0.5 * self._decay * of_row)
        return factors

    @property
    def _target(self) -> Float64:
        """The targets of the only output, a row for each row of X."""
        target: Float64 = self._batch.targets.values[0].reshape(self._batch.rows, -1)
        return target

    @cached_property
    def _residuals_scale(self) -> Float64:
        """The square roots of the weights, shape (n, 1)."""
        if not isinstance(self._loss, MSELoss):
            raise TypeError(
                f"residuals and jac are for MSELoss, but the loss is {self._loss!r}, which is not "
                "a mean of squares."
            )
        self._batch.check_weights_not_negative("sample_weight", " for residuals")
        weights = self._batch.weights
        weights = np.ones(self._batch.rows) if weights is None else weights
        return np.sqrt(weights)[:, np.newaxis]

    def _loss_of(
        self, machine: Machine, params: Float64, rows: NDArray[np.int64]
    ) -> tuple[float, float, Float64]:
        """Return the weight of some rows, their mean loss, and its gradient."""
        losses, gradient = machine.losses_for(1), np.zeros_like(params)
        done = machine.run(
            Phase.FORWARD | Phase.BACKWARD,
            rows,
            machine.vectors(params, grads=gradient),
            self._batch.record,
            machine.results(losses=losses),
        )
        if done == 0:  # the loss is not finite
            gradient[:] = nan
        weight, value = losses[0].tolist()
        return weight, value, gradient

    def _take(self, *, with_loss: bool) -> tuple[Any, Machine]:
        """Return a machine for a block of rows, and the key to put it back with."""
        key = with_loss, threads_for(self._net.backend)
        return key, self._machines.take(key) or self._machine(*key)

    def _machine(self, with_loss: bool, threads: int) -> Machine:
        plan = self._net.make_plan(
            self._batch.inputs.shape[1:],
            min(self._block, self._batch.rows),
            loss=self._loss if with_loss else None,
            backward=with_loss,
            threads=threads,
            frozen=self._free.fixed_names,
        )
        return self._net.make_machine(plan)

"""The passes of a training loop by hand, as a network has them: forward, then backward."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from numpy.typing import ArrayLike, NDArray

from chainrule.engine.backends import threads_for
from chainrule.layers.shapes import check_batch
from chainrule.models.batch_passes import BatchMachine, BatchPasses
from chainrule.models.plans import NetworkPlans
from chainrule.operations.operation import Shape
from chainrule.utils import arrays
from chainrule.utils.arguments import flag
from chainrule.utils.inputs import one_or_tuple

# An array; a tuple of them, one for each head, if the network ends in a Branch.
Output = Any


class NetworkPasses(NetworkPlans):
    """The forward and the backward pass of a network, for one batch after the other.

    Attributes
    ----------
    training : bool
        Whether :meth:`forward` is that of a training step.
    """

    _training: bool
    _mask_key: int
    _draws: int  # of masks, so far

    def _clear_passes(self) -> None:
        """Forget the latest passes, and what is prepared for the next ones."""
        self._passes: BatchPasses | None = None
        self._training_batches: set[tuple[int, Shape]] = set()  # rows and input shapes that fit
        self._rows_forward = 0  # rows of a forward that no backward has followed
        self._outdated_by = ""  # what has changed the parameters since that forward, if anything
        self._masks = 0, 0  # of the latest forward

    @property
    def pass_options(self) -> tuple[int, bool, tuple[str, ...]]:
        """What a machine for passes is made for, besides a batch's shape."""
        return threads_for(self._backend), self._training, self._frozen

    @abstractmethod
    def batch_machine(self, kept: BatchMachine | None, shape: Shape) -> BatchMachine:
        """Return a machine for steps by hand with a batch of this shape: ``kept`` if it can be."""

    @property
    def training(self) -> bool:
        return self._training

    @training.setter
    def training(self, value: bool) -> None:
        self._training = flag(value, "training")

    def forward(self, x: ArrayLike) -> Output:
        """Return the output for one batch, and retain the values that :meth:`backward` reads.

        Parameters, return value and errors are those of :meth:`predict`.

        Examples
        --------
        A training step by hand:

        >>> import numpy as np
        >>> import chainrule as cr
        >>> x, y = np.ones((4, 3)), np.zeros((4, 2))
        >>> net, loss, optimizer = cr.Sequential(cr.Linear(3, 2), seed=0), cr.MSELoss(), cr.SGD()
        >>> out = net.forward(x)
        >>> value, d_out = loss(out, y)
        >>> dx = net.backward(d_out)
        >>> optimizer.step(net)
        """
        passes = self._passes
        if (
            passes is not None
            and not self._coded
            and passes.batch_machine.is_for(*self.pass_options)
        ):
            before, self._rows_forward = self._rows_forward, 0
            masks = self.next_masks
            output = passes.forward_again(x, masks)
            if output is not None:
                self._rows_forward, self._outdated_by = len(output), ""
                self._draws, self._masks = masks[1], masks
                return output
            self._rows_forward = before
        batch = self.check_input(x, "x")
        rows = len(batch)
        if self._training:
            hint = " With net.training = False, it is a prediction, of any number of rows."
            self.check_training_batch(rows, batch.shape[1:], hint)
        self._rows_forward, self._outdated_by = 0, ""
        kept = None if passes is None else passes.batch_machine
        machine = self.batch_machine(kept, batch.shape)
        if passes is None or passes.batch_machine is not machine:
            passes = self._passes = BatchPasses(machine, self._params, self._grads)
        self._masks = self.draw_masks()
        outputs = passes.forward(batch, self._masks)
        self._rows_forward = rows
        return one_or_tuple(outputs)

    def __call__(self, x: ArrayLike) -> Output:
        """Return ``forward(x)``, as in PyTorch."""
        return self.forward(x)

    def backward(self, d_out: Any) -> Any:
        """Run the backward pass, from the loss's gradient by the output.

        It follows the latest :meth:`forward`, once, and with the same parameters: it is an error if
        an optimizer's step, :func:`fit`, an assignment to ``net.params`` or ``from_state_dict`` has
        changed them in between, or if others are frozen now. Writing into views of the parameters
        is not detected, and makes the gradients wrong. The gradients by the parameters overwrite
        ``grads``; they do not accumulate. Those by frozen parameters are not computed.

        Parameters
        ----------
        d_out : array of the output's shape
            The loss's gradient by the output; a tuple of them, one for each head, if the network
            ends in a :class:`Branch`.

        Returns
        -------
        dx : array of the input's shape
            The loss's gradient by the input; a tuple of them, one for each input, if the network
            begins with :class:`Inputs`.

        Raises
        ------
        RuntimeError
            If there was no forward before, or the parameters were changed or frozen after it.
        ValueError, TypeError
            If d_out has the wrong shape or dtype, or holds NaN or infinity.
        """
        rows = self._rows_forward
        passes = self._passes
        if rows == 0 or passes is None:
            if self._outdated_by:
                raise RuntimeError(
                    f"{self._outdated_by} has changed the parameters after forward, so that "
                    "backward would give the gradients of neither network: call forward again."
                )
            raise RuntimeError("backward needs a forward before it, one for each backward.")
        if passes.batch_machine.frozen != self._frozen:
            raise RuntimeError("Other parameters are frozen than in forward: call forward again.")
        self._rows_forward = 0
        d_x = passes.backward_again(d_out, self._masks)
        if d_x is not None:
            return d_x
        self._rows_forward = rows
        gradients = self.check_gradients(d_out, rows, passes.output_shapes, "d_out")
        self._rows_forward = 0
        return passes.backward(gradients, rows, self._masks)

    def invalidate_forward(self, by: str) -> None:
        """Make :meth:`backward` an error, as ``by`` has changed the parameters after forward."""
        if self._rows_forward:
            self._rows_forward, self._outdated_by = 0, by

    @property
    def next_masks(self) -> tuple[int, int]:
        """What determines the next forward pass's masks: the key, and the number of the draw."""
        return self._mask_key, self._draws + 1

    def draw_masks(self) -> tuple[int, int]:
        """Return :attr:`next_masks`, and count the draw."""
        self._draws += 1
        return self._mask_key, self._draws

    def reset_dropout_masks(self) -> None:
        """Make the next :meth:`forward` draw the first masks again; see :class:`Dropout`."""
        self._draws = 0

    def check_gradients(
        self, d_out: Any, rows: int, shapes: tuple[Shape, ...], name: str
    ) -> list[NDArray[Any]]:
        """Return the gradient by each output, checked."""
        given = [(d_out, name, "the output's")]
        if len(shapes) > 1:
            if not isinstance(d_out, tuple | list) or len(d_out) != len(shapes):
                raise ValueError(f"{name} must be a tuple of {len(shapes)}, one for each output.")
            given = [(d, f"{name}[{i}]", f"output {i}'s") for i, d in enumerate(d_out)]
        gradients = []
        for (value, called, whose), row_shape in zip(given, shapes, strict=True):
            gradient, shape = arrays.finite_array(value, called, self.dtype), (rows, *row_shape)
            if gradient.shape != shape:
                raise ValueError(
                    f"{called} must have {whose} shape, {shape}, but its shape is {gradient.shape}."
                )
            gradients.append(gradient)
        return gradients

    def check_training_batch(self, rows: int, input_shape: Shape, hint: str = "") -> None:
        """Raise ValueError, with a hint, if a step must not have so many rows of this shape."""
        if (rows, input_shape) not in self._training_batches:
            check_batch(self._graph, rows, input_shape, training=True, name="a batch", hint=hint)
            self._training_batches.add((rows, input_shape))

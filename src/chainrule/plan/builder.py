"""The builder to which layers append their steps when they are lowered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from chainrule.operations.operation import (
    Numbers,
    Operation,
    ParameterUse,
    Shape,
    Step,
    Tensor,
    find,
)


@dataclass
class PlanBuilder:
    """Collects the steps of one network, layer by layer."""

    steps: list[Step] = field(default_factory=list)
    layer: int = 0  # position of the layer that is being lowered
    prefix: str = ""  # of its parameters' names
    training: bool = False  # whether the plan is for training steps, or for predictions
    frozen: Collection[str] = ()  # the parameters whose gradients are not wanted
    dtype: np.dtype = np.dtype(np.float32)  # noqa: RUF009 - of the network; immutable
    draws: int = 0  # how many layers so far draw numbers at random

    @property
    def path(self) -> str:
        """The path of the layer that is being lowered."""
        return self.prefix.removesuffix(".")

    def apply(
        self,
        operation: str | Operation,
        *operands: Tensor,
        shape: Shape | None = None,
        y: Tensor | None = None,
        parameters: Mapping[str, ParameterUse] | None = None,
        numbers: Numbers | None = None,
        saved: Mapping[str, Tensor] | None = None,
        buffers: Mapping[str, ParameterUse] | None = None,
        sums: Mapping[str, Shape] | None = None,
    ) -> Tensor:
        """Append a step, and return the value that it computes.

        Parameters
        ----------
        operation : Operation, or the name of one of the package's
        *operands : Tensor
        shape : of the value, by default the first operand's.
        y : the value to write into, if it exists: the step writes a part of it or adds to it.
        parameters, numbers, saved, buffers, sums : as of a :class:`Step`.

        Raises
        ------
        ValueError
            If there is no such operation, the number of operands is wrong, or its functions have
            no parameter of a given name. A missing parameter is an error when the plan is made.
        """
        chosen: Operation = find(operation) if isinstance(operation, str) else operation
        if len(operands) != len(chosen.operands):
            raise ValueError(
                f"{chosen.name} takes {len(chosen.operands)} values, not {len(operands)}."
            )
        if y is None:
            y = Tensor(operands[0].shape if shape is None else shape)
        own = {**chosen.numbers, **(numbers or {})}
        parameters, saved = parameters or {}, saved or {}
        buffers, sums = buffers or {}, sums or {}
        for name in (*parameters, *own, *saved, *buffers, *sums):
            if name not in chosen.names and f"d_{name}" not in chosen.names:
                raise ValueError(f"{chosen.name} takes no {name!r}.")
        step = Step(chosen, operands, y, [self.layer], parameters, own, saved, buffers, sums)
        self.steps.append(step)
        return y

    def again(self, step: Step, *operands: Tensor, y: Tensor | None = None) -> Tensor:
        """Append a step like ``step``, for other operands."""
        y = Tensor(step.y.shape) if y is None else y
        saved = {name: Tensor(value.shape) for name, value in step.saved.items()}
        self.steps.append(replace(step, operands=operands, y=y, layers=[self.layer], saved=saved))
        return y

    def parameter(self, name: str, shape: Shape) -> ParameterUse:
        """Return the use of a parameter, or a buffer, of the layer that is being lowered."""
        path = self.prefix + name
        return ParameterUse(path, shape, is_frozen=path in self.frozen)

    def rescale(self, x: Tensor, scale: float, offset: float = -0.0) -> Tensor:
        """Append ``y = scale * x + offset``; adding -0.0 leaves every number as it is."""
        return self.apply("rescale", x, numbers={"scale": scale, "offset": offset})

    def sum_of(self, first: Tensor | None, second: Tensor | None) -> Tensor | None:
        """Append the sum of two values, either of which may be zero: None."""
        if first is None or second is None:
            return first or second
        return self.apply("add", first, second)

    def dropout(self, x: Tensor, p: float) -> Tensor:
        """Append a dropout with probability p, if ``training``."""
        number = self.next_draw()
        if not self.training or p == 0:
            return x
        return self.apply("dropout", x, numbers={"p": float(p), "number": number})

    def next_draw(self) -> int:
        """Return the number of a layer that draws at random, so that no two draw the same."""
        self.draws += 1
        return self.draws - 1

    def concatenate(self, tensors: Sequence[Tensor]) -> Tensor:
        """Append the concatenation of values along the last axis: a step for each."""
        columns = [x.shape[-1] for x in tensors]
        y = Tensor((*tensors[0].shape[:-1], sum(columns)))
        for i, x in enumerate(tensors):
            self.apply("put_columns", x, y=y, numbers={"column": sum(columns[:i])})
        return y

    def copy(self, x: Tensor) -> Tensor:
        """Append ``y = x``, for an output that needs its own memory; the step has no layer."""
        y = self.rescale(x, 1.0)
        self.steps[-1].layers.clear()
        return y

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """Return x with another shape, in the same memory; no step is needed."""
        return Tensor(shape, x.buffer)

"""What layers write while they are lowered: tensors and instructions, as plain Python objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from chainrule.plan.functions import Function
from chainrule.plan.instructions import Op

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """A value that flows along the chain; its shape leaves out the batch.

    Tensors of one ``buffer`` share their memory: a reshape computes nothing.
    """

    shape: Shape
    buffer: object = field(default_factory=object)

    @property
    def size(self) -> int:
        """Elements for each row of the batch."""
        return prod(self.shape)


@dataclass(eq=False)
class Instruction:
    """One step of the plan, before its tensors have addresses."""

    op: Op
    x: Tensor
    y: Tensor
    repeat: int  # rows for each row of the batch
    inputs: int
    outputs: int
    layers: list[int]  # positions of the layers that it carries out
    saves_output: bool = True  # whether the derivative reads y, or x
    alpha: float = 0.0
    beta: float = 0.0
    weight: str | None = None
    bias: str | None = None
    activation: Op = Op.NONE
    other: Tensor | None = None  # a second operand
    column: int = 0  # the first of y's columns that x becomes
    order: int = 1  # of a derivative
    number: int = 0  # of a dropout, among all of the plan
    moving: bool = False  # whether weight and bias are the direction's
    adds: bool = False  # whether it adds to what is in y
    functions: dict[str, Function] = field(default_factory=dict)  # a user's own
    parameters: int = 0  # that they take, how many, from weight on
    kept_size: int = 0  # elements a row that they hand on from forward to backward

    @property
    def operands(self) -> list[Tensor]:
        """What it reads, in the order in which the way back writes their gradients."""
        return [self.x] if self.other is None else [self.other, self.x]


@dataclass
class PlanBuilder:
    """Collects the instructions of one network, layer by layer."""

    instructions: list[Instruction] = field(default_factory=list)
    layer: int = 0  # position of the layer that is being lowered
    prefix: str = ""  # of its parameters' names
    drops: bool = False  # whether dropouts leave elements out, or are the identity
    dropouts: int = 0  # how many there are so far

    @property
    def path(self) -> str:
        """The path of the layer that is being lowered."""
        return self.prefix.removesuffix(".")

    def elementwise(
        self, op: Op, x: Tensor, *, saves_output: bool, alpha: float = 0.0, beta: float = 0.0
    ) -> Tensor:
        """Append an operation that works on each element by itself."""
        y = Tensor(x.shape)
        self.instructions.append(
            Instruction(op, x, y, 1, x.size, x.size, [self.layer], saves_output, alpha, beta)
        )
        return y

    def dropout(self, x: Tensor, p: float) -> Tensor:
        """Append what leaves elements out with probability p, where that is wanted."""
        number = self.dropouts
        self.dropouts += 1
        if not self.drops or p == 0:
            return x
        y = self.elementwise(Op.DROPOUT, x, saves_output=True, alpha=p)
        self.instructions[-1].number = number
        return y

    def rowwise(self, op: Op, x: Tensor) -> Tensor:
        """Append an operation along the last axis."""
        y = Tensor(x.shape)
        columns = x.shape[-1]
        self.instructions.append(
            Instruction(op, x, y, x.size // columns, columns, columns, [self.layer])
        )
        return y

    def linear(self, x: Tensor, outputs: int, *, bias: bool) -> Tensor:
        """Append ``y = x @ weight + bias`` along the last axis."""
        y = Tensor((*x.shape[:-1], outputs))
        self.instructions.append(
            Instruction(
                Op.LINEAR,
                x,
                y,
                x.size // x.shape[-1],
                x.shape[-1],
                outputs,
                [self.layer],
                weight=self.prefix + "weight",
                bias=self.prefix + "bias" if bias else None,
            )
        )
        return y

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        """Append ``y = x + other``, for tensors of one shape."""
        return self._combine(Op.ADD, x, other)

    def multiply(self, x: Tensor, other: Tensor) -> Tensor:
        """Append ``y = x * other``, elementwise."""
        return self._combine(Op.MULTIPLY, x, other)

    def _combine(self, op: Op, x: Tensor, other: Tensor) -> Tensor:
        y = Tensor(x.shape)
        self.instructions.append(
            Instruction(op, x, y, 1, x.size, x.size, [self.layer], other=other)
        )
        return y

    def derivative(self, of: Instruction, x: Tensor) -> Tensor:
        """Append ``y = x * g``, g an activation's derivative as a function of what it saves."""
        y = self._combine(Op.DERIVATIVE, x, of.y if of.saves_output else of.x)
        step = self.instructions[-1]
        step.activation, step.alpha = of.op, of.alpha
        return y

    def rescale(self, x: Tensor, scale: float) -> Tensor:
        """Append ``y = scale * x``."""
        # Adding -0.0 leaves every number as it is.
        return self.elementwise(Op.RESCALE, x, saves_output=True, alpha=scale, beta=-0.0)

    def again(
        self, step: Instruction, x: Tensor, y: Tensor | None = None, **changes: Any
    ) -> Tensor:
        """Append an instruction like ``step``, for another operand."""
        y = Tensor(step.y.shape) if y is None else y
        self.instructions.append(replace(step, x=x, y=y, layers=[self.layer], **changes))
        return y

    def concatenate(self, tensors: Sequence[Tensor]) -> Tensor:
        """Append what puts tensors side by side along the last axis: an instruction for each."""
        columns = [x.shape[-1] for x in tensors]
        y = Tensor((*tensors[0].shape[:-1], sum(columns)))
        for i, x in enumerate(tensors):
            self.instructions.append(
                Instruction(
                    Op.CONCATENATE,
                    x,
                    y,
                    x.size // columns[i],
                    columns[i],
                    sum(columns),
                    [self.layer],
                    column=sum(columns[:i]),
                )
            )
        return y

    def foreign(
        self,
        x: Tensor,
        shape: Shape,
        forward: Function,
        backward: Function,
        *,
        parameters: Mapping[str, Shape],
        kept_size: int,
    ) -> Tensor:
        """Append a user's own functions; all of the layer's parameters are theirs."""
        y = Tensor(shape)
        names = [self.prefix + name for name in parameters]
        self.instructions.append(
            Instruction(
                Op.FOREIGN,
                x,
                y,
                1,
                x.size,
                y.size,
                [self.layer],
                weight=names[0] if names else None,
                functions={"forward": forward, "backward": backward},
                parameters=sum(map(prod, parameters.values())),
                kept_size=kept_size,
            )
        )
        return y

    def copy(self, x: Tensor) -> Tensor:
        """Append ``y = x``, for an output that needs memory of its own; it belongs to no layer."""
        y = self.rescale(x, 1.0)
        self.instructions[-1].layers.clear()
        return y

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """Give x another shape, and append nothing."""
        return Tensor(shape, x.buffer)

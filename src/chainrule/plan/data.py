"""The calls that gather rows of the data set, and those that copy the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.kernels import context
from chainrule.kernels.argument import Rows
from chainrule.operations.operation import Step, Tensor, function
from chainrule.plan.argument import Argument, counted, number, rows_of, word
from chainrule.plan.call import Call, Caller, value
from chainrule.plan.forward import take_rescale


def order_of(rows: Rows = Rows.SLICE) -> Argument:
    """Return the indices of the batch's rows in the data set."""
    return rows_of(context.ORDER, 0, (), 8, rows=rows, dtype="i8", start=context.ORDER_ROW)


class Gathered(NamedTuple):
    """What the gather writes for an input.

    Attributes
    ----------
    value : the input, or what the rescale makes of it.
    rescale : a step that the gather computes, if any.
    """

    value: Tensor
    rescale: Step | None

    @classmethod
    def of(
        cls, x: Tensor, steps: list[Step], outputs: Sequence[Tensor], *, rescaled: bool
    ) -> Gathered:
        """Return it for an input; its Rescale is taken from the steps if it may be ``rescaled``."""
        rescale = take_rescale(steps, x, outputs) if rescaled else None
        return cls(x if rescale is None else rescale.y, rescale)

    @property
    def layers(self) -> list[int]:
        """The positions of the layers that the gather computes."""
        return [] if self.rescale is None else self.rescale.layers


def calls_of_gather(caller: Caller, inputs: Sequence[Gathered]) -> list[Call]:
    """Return the calls that gather rows of each input, converting and rescaling them."""
    return [_call_of_gather(caller, i, *x) for i, x in enumerate(inputs)]


def _call_of_gather(caller: Caller, number_of_input: int, x: Tensor, rescale: Step | None) -> Call:
    from chainrule.kernels.gather import gather_rescaled  # loads Numba

    # Adding -0.0 leaves every number as it is; adding 0.0 would lose the sign of a zero.
    scale = 1.0 if rescale is None else rescale.number("scale")
    offset = -0.0 if rescale is None else rescale.number("offset")
    address, size, *layout = context.words_of_input(number_of_input)
    arguments = (
        counted(address, size, (), "u1"),
        *map(word, layout),
        order_of(),
        number(scale),
        number(offset),
        rows_of(context.ARENA, value(x), (x.size,), caller.item),
    )
    return Call(function(gather_rescaled), arguments)


def calls_of_output(caller: Caller, outputs: Sequence[Tensor]) -> list[Call]:
    """Return the calls that copy all outputs into columns of one matrix."""
    from chainrule.operations.put_columns import put_columns  # loads Numba

    columns = sum(output.size for output in outputs)
    calls, column = [], 0
    for output in outputs:
        arguments = (
            rows_of(context.ARENA, value(output), (output.size,), caller.item),
            number(column),
            rows_of(context.OUTPUTS, 0, (columns,), caller.item, start=context.OUTPUT_ROW),
        )
        calls.append(Call(function(put_columns), arguments))
        column += output.size
    return calls

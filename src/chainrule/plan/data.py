"""The calls that gather rows of the data set, and those that copy the outputs."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.kernels import context
from chainrule.kernels.argument import Rows
from chainrule.operations.operation import Step, Tensor, function
from chainrule.plan.argument import Argument, counted, number, rows_of, word
from chainrule.plan.call import Call, Caller, value


def order_of(rows: Rows = Rows.SLICE) -> Argument:
    """Return the indices of the batch's rows in the data set."""
    return rows_of(context.ORDER, 0, (), 8, rows=rows, dtype="i8", start=context.ORDER_ROW)


def call_of_gather(caller: Caller, number_of_input: int, x: Tensor, rescale: Step | None) -> Call:
    """Return the call that gathers rows of an input, converting and rescaling them."""
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

"""The arguments of a plan's functions: in Python they are what machine code makes of them."""

import numpy as np
import pytest

from chainrule.engine import python_calls as in_python
from chainrule.engine.binding import PythonCall
from chainrule.engine.views import Arguments
from chainrule.kernels import context as words
from chainrule.kernels import native
from chainrule.kernels.argument import Kind, Rows
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.operations.operation import Function
from chainrule.plan.argument import (
    Argument,
    counted,
    number,
    partition,
    partition_start,
    position,
    rows_of,
    whole,
    word,
)
from chainrule.plan.call import Call
from chainrule.plan.plan import table_of

DTYPE, ITEM, CHUNK = np.dtype(np.float32), 4, 8
ARENA = words.ARENA
PLACES = {"buffer": 128}
COLUMNS = 12  # of each buffer in the arena
ARGUMENTS = [
    number(3),
    number(2.5),
    word(words.MASK_KEY),
    word(words.LR, "f8"),
    position(6),
    whole(words.PARAMS, 7 * ITEM, (3, 4)),
    whole(words.PARAMS, 0, (0,)),
    whole(words.SCRATCH, 0, (5,)),
    counted(words.TARGETS, words.TARGET_ROWS, (3,), before=2),
    counted(words.LABELS, words.LABEL_ROWS, (), "i8", before=1),
    counted(words.DATA, words.DATA_BYTES, (), "u1"),
    partition(words.GRADS, 10, 7, (1, 5)),
    partition(words.STATE, 3, 20, (1,), place=40 * ITEM),
    partition_start(10, 7, (1, 5)),
    rows_of(ARENA, "buffer", (3, 4), ITEM),
    rows_of(ARENA, "buffer", (3, 4), ITEM, ndim=2),
    rows_of(ARENA, "buffer", (3, 4), ITEM, ndim=1),
    rows_of(ARENA, "buffer", (), ITEM, rows=Rows.BATCH),
    rows_of(ARENA, "buffer", (3, 0), ITEM, ndim=2),
    rows_of(words.ORDER, 0, (), 8, dtype="i8", start=words.ORDER_ROW),
    rows_of(words.OUTPUTS, 0, (4,), ITEM, start=words.OUTPUT_ROW),
    Argument(Kind(Rows.SLICE, 2, cleared=True), ARENA, "buffer", (4 * ITEM, 1, 4)),
    Argument(Kind(Rows.CHUNK, 2, cleared=True), ARENA, "buffer", (12 * ITEM, 3, 4)),
    Argument(Kind(Rows.CHUNKS, 2), ARENA, "buffer", (COLUMNS,)),
]


def observe_number(argument, seen):
    seen[0] = argument


def observe_array(argument, seen):
    for axis in range(argument.ndim):
        seen[axis] = argument.shape[axis]
    for i, entry in enumerate(argument.flat):
        seen[argument.ndim + i] = entry


class Memory:
    """The arrays of a run, and a context that is at some rows of a batch."""

    def __init__(self, rng):
        self.seen = np.full(1000, np.nan)
        floats = {
            **dict.fromkeys((words.PARAMS, words.GRADS, words.TARGETS, words.OUTPUTS), 200),
            **{words.STATE: 400, ARENA: 1000, words.SCRATCH: 5},
        }
        self.arrays = {base: rng.normal(size=n).astype(DTYPE) for base, n in floats.items()}
        for base in (words.LABELS, words.ORDER):
            self.arrays[base] = rng.integers(0, 100, 100)
        self.arrays[words.DATA] = rng.integers(0, 256, 100, np.uint8)
        self.arrays[words.SQUARES] = self.seen
        self.context = np.zeros(words.CONTEXT_SIZE, np.int64)
        rows = int(rng.integers(1, 21))
        begin, end = sorted(rng.integers(0, rows // CHUNK + 2, 2) * CHUNK)
        self.context[[words.ROWS, words.CHUNK]] = rows, CHUNK
        self.context[[words.FIRST, words.LAST]] = np.minimum([begin, end], rows)
        bounds = np.sort(rng.integers(0, 60, 2)) // 5 * 5
        self.context[[words.PARTITION_BEGIN, words.PARTITION_END]] = bounds
        self.context[[words.ORDER_ROW, words.OUTPUT_ROW]] = rng.integers(0, 20, 2)
        counts = words.TARGET_ROWS, words.LABEL_ROWS, words.DATA_BYTES, words.MASK_KEY
        self.context[[*counts]] = rng.integers(0, 20, 4)
        self.context.view(float)[words.LR] = rng.normal()
        for base, array in self.arrays.items():
            self.context[base] = in_python.address(array)

    def do(self, call, make):
        """Let a call be done by what ``make`` returns for it."""
        table = table_of([call], PLACES)
        assert make(call, table, self.arrays)(table, 0, self.context) == 0
        return [self.seen, *self.arrays.values()]


def in_machine_code(call, table, arrays):
    from chainrule.kernels.compilation import native_function

    bound = native_function(call.function, call.kinds, DTYPE)
    table[0, 0] = bound.handle
    return lambda *given: (bound, native.call(*given))[1]  # it must live so long


def by_python(call, table, arrays):
    arguments = Arguments(call.kinds, table[0].tolist(), DTYPE, arrays)
    program = table.view(in_python.PythonProgram)
    program.functions = [PythonCall(call.function, arguments, call.function.code)]
    return lambda _, i, context: in_python.call(program, i, context)


def test_every_kind_takes_part():
    assert {argument.kind.rows for argument in ARGUMENTS} == {*Rows}


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda argument: str(argument.kind))
def test_machine_code_and_python_make_the_same_arguments(argument):
    observe = observe_array if argument.kind.ndim > 0 else observe_number
    seen = whole(words.SQUARES, 0, (1000,), "f8")
    call = Call(Function(observe, ("argument", "seen"), "observe"), (argument, seen))
    for seed in range(20):
        one, other = (
            Memory(np.random.default_rng(seed)).do(call, make)
            for make in (in_machine_code, by_python)
        )
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine, theirs)

"""The interpreter: runs a plan forward and backward, batch after batch, in one compiled call.

Compiled once for each dtype, it runs every network: it calls the functions of a program by their
addresses, and knows none by name. Several threads may run it together, as a group. Each computes
the forward pass, the loss and the gradients by values for rows of its own; then the threads wait
for each other at a barrier, since a parameter's gradient is a sum over all rows, and each computes
the gradients of its partition of the parameters, and updates these. The division of work changes no
sum, so it may change from batch to batch.

The backend "numpy" runs the same source; there, ``call`` calls Python (see ``engine.backends``).
"""

import math
from functools import cache

import numba
import numpy as np
from numba import types

from chainrule.engine.records import Data, Results, Tables, Update, Vectors, Workspace
from chainrule.kernels import context as word
from chainrule.kernels.barrier import barrier, fail, has_failed
from chainrule.kernels.blocks import MOST_ROWS as ROWS_OF_A_TILE
from chainrule.kernels.context import FAILED, NOT_FINITE, Flag, Phase, Section
from chainrule.kernels.group import DISMISSED, FIRST_BATCH, WANTED
from chainrule.kernels.jit import entry_point, kernel
from chainrule.kernels.native import address, call, call_python, write_addresses
from chainrule.kernels.thread_group import (
    admit,
    await_others,
    close,
    join,
    judge,
    leave,
    stop_clock,
)
from chainrule.kernels.views import as_numbers

GATHER, PREDICT, LOSS, OUTPUT = Phase.GATHER, Phase.PREDICT, Phase.LOSS, Phase.OUTPUT
BACKWARD, INPUT_GRADIENT, UPDATE = Phase.BACKWARD, Phase.INPUT_GRADIENT, Phase.UPDATE
BUFFERS, OF_BUFFERS = Phase.BUFFERS, Section.BUFFERS
CHECK, CHECK_VECTORS = Phase.CHECK, Phase.CHECK_VECTORS
FOR_INPUT, PARAMETERS, FOR_PARAMETERS = Flag.FOR_INPUT, Flag.PARAMETERS, Flag.FOR_PARAMETERS
# Numbers, not literals: each combination of literals would be compiled for by itself.
VALUES, NO_FLAGS, START = np.int64(Flag.VALUES), np.int64(0), np.int64(0)
CHUNKED, BARRIER, PYTHON = Flag.CHUNKED, Flag.BARRIER, Flag.PYTHON
OF_GATHER, OF_FORWARD, OF_LOSS = Section.GATHER, Section.FORWARD, Section.LOSS
OF_LOSS_SUM, OF_OUTPUT, OF_BACKWARD = Section.LOSS_SUM, Section.OUTPUT, Section.BACKWARD
ORDER_ROW, OUTPUT_ROW, STEP, DONE = word.ORDER_ROW, word.OUTPUT_ROW, word.STEP, word.DONE
CHUNKS = word.CHUNKS
FIRST, LAST, ROWS, CHUNK = word.FIRST, word.LAST, word.ROWS, word.CHUNK
PARTITION_BEGIN, PARTITION_END = word.PARTITION_BEGIN, word.PARTITION_END
THREAD, THREADS, MASK_DRAW = word.THREAD, word.THREADS, word.MASK_DRAW
LR, TOTAL_WEIGHT, LOSS_VALUE = word.LR, word.TOTAL_WEIGHT, word.LOSS

# What ``Tables.layout`` holds.
BATCH_SIZE, MOST_CHUNKS, TARGET_COLUMNS, LABEL_COLUMNS, SCRATCH_AT, SCRATCH_SIZE = range(6)


@kernel
def part_of(total, thread, threads, multiple):
    """Return where a thread's part of ``total`` things begins and ends, in whole multiples."""
    size = (total + threads * multiple - 1) // (threads * multiple) * multiple
    return min(thread * size, total), min((thread + 1) * size, total)


@kernel
def call_checked(program, i, context, group):
    """Do the call of row i; return whether all went well."""
    if program[i, 1] & PYTHON:
        context[DONE] = 0
        call_python(program, i, context)
        if context[DONE] == 1:
            return True
        fail(group)
        return False
    if call(program, i, context) == 0:
        return True
    context[DONE] = -1 - i
    fail(group)
    return False


@kernel
def call_by_chunks(program, i, context, group):
    """Do a call for each chunk of the thread's rows."""
    first, last, chunk = context[FIRST], context[LAST], context[CHUNK]
    for begin in range(first, last, chunk):
        context[FIRST], context[LAST] = begin, min(begin + chunk, last)
        if not call_checked(program, i, context, group):
            return False
    context[FIRST], context[LAST] = first, last
    return True


@kernel
def execute(program, begin, end, skipped, context, group):
    """Do the calls of the rows from ``begin`` to ``end``, without those that have a flag of these.

    Returns whether nothing has failed.
    """
    for i in range(begin, end):
        flags = program[i, 1]
        if flags == 0:
            if call(program, i, context) != 0:
                context[DONE] = -1 - i
                fail(group)
                return False
        elif flags & skipped == 0:
            if flags & BARRIER and not barrier(group, context[THREADS]):
                return False
            if flags & CHUNKED:
                if not call_by_chunks(program, i, context, group):
                    return False
            elif not call_checked(program, i, context, group):
                return False
    return True


@kernel
def backward(program, sections, phases, differentiates, context, group):
    """Run the plan from the gradients by the outputs back; return whether nothing has failed."""
    begin, end, threads = sections[OF_BACKWARD], sections[OF_BACKWARD + 1], context[THREADS]
    skipped = NO_FLAGS if phases & INPUT_GRADIENT else FOR_INPUT
    skipped += 0 if differentiates else FOR_PARAMETERS
    if threads == 1:  # a parameter's gradient at once, while both factors are in cache
        skipped += 0 if differentiates else PARAMETERS
        return execute(program, begin, end, skipped, context, group)
    if not execute(program, begin, end, skipped + PARAMETERS, context, group):
        return False
    if not barrier(group, threads):
        return False
    if differentiates:
        context[FIRST], context[LAST] = 0, context[ROWS]
        return execute(program, begin, end, VALUES, context, group)
    return True


@kernel
def run_batch(phases, tables, update, losses, batch, first_step, differentiates, context, numbers,
              group):  # fmt: skip
    """Do ``phases`` for one batch; return whether all went well, and the loss is finite."""
    program, sections = tables.program, tables.sections
    if phases & GATHER:
        begin, end = sections[OF_GATHER], sections[OF_GATHER + 1]
        execute(program, begin, end, NO_FLAGS, context, group)
    if phases & PREDICT:
        begin, end = sections[OF_FORWARD] + first_step, sections[OF_FORWARD + 1]
        if not execute(program, begin, end, NO_FLAGS, context, group):
            return False
        if has_failed(group):
            return False
    if phases & LOSS and sections[OF_LOSS] < sections[OF_LOSS + 1]:
        begin, end = sections[OF_LOSS], sections[OF_LOSS + 1]
        if not execute(program, begin, end, NO_FLAGS, context, group):
            return False
        if not barrier(group, context[THREADS]):
            return False
        numbers[LOSS_VALUE] = 0.0
        begin, end = sections[OF_LOSS_SUM], sections[OF_LOSS_SUM + 1]
        execute(program, begin, end, NO_FLAGS, context, group)
        if context[THREAD] == 0:
            losses[batch, 0], losses[batch, 1] = numbers[TOTAL_WEIGHT], numbers[LOSS_VALUE]
        if not math.isfinite(numbers[LOSS_VALUE]):
            return False
    if phases & BUFFERS and context[THREAD] == 0:
        begin, end = sections[OF_BUFFERS], sections[OF_BUFFERS + 1]
        execute(program, begin, end, NO_FLAGS, context, group)
    if phases & OUTPUT:
        begin, end = sections[OF_OUTPUT], sections[OF_OUTPUT + 1]
        execute(program, begin, end, NO_FLAGS, context, group)
    if phases & BACKWARD and not backward(
        program, sections, phases, differentiates, context, group
    ):
        return False
    if phases & UPDATE and not execute(update, START, update.shape[0], NO_FLAGS, context, group):
        if context[DONE] < 0:  # the update's rows are numbered from the plan's last one on
            context[DONE] -= program.shape[0]
        return False
    return True


@kernel
def describe(layout, arena, update, vectors, data, outputs, order, mask_key, context, thread):
    """Write into a thread's context what holds for all batches."""
    memory, dtype, start, stride = data.inputs  # see engine.rows
    # In the order of the words.
    write_addresses(
        context, word.ARENA, arena, vectors.params, vectors.direction, vectors.grads,
        update.state, vectors.average, update.squares,
    )  # fmt: skip
    write_addresses(
        context, word.DATA, memory, data.targets, data.labels, data.weights, order, outputs,
        context,
    )  # fmt: skip
    context[word.SCRATCH] = address(arena) + layout[SCRATCH_AT] + thread * layout[SCRATCH_SIZE]
    context[word.DATA_BYTES], context[word.DATA_DTYPE] = memory.size, dtype
    context[word.DATA_START], context[word.DATA_STRIDE] = start, stride
    context[word.TARGET_ROWS] = data.targets.size // max(1, layout[TARGET_COLUMNS])
    context[word.LABEL_ROWS] = data.labels.size // max(1, layout[LABEL_COLUMNS])
    context[word.WEIGHT_ROWS] = data.weights.size
    context[word.MASK_KEY] = mask_key
    context[THREAD], context[DONE] = thread, 0


@kernel
def describe_batch(i, rows, each_epoch, layout, partitions, context):
    """Write into a thread's context which rows batch i has, and which of them are its own."""
    thread, threads, most = context[THREAD], context[THREADS], layout[MOST_CHUNKS]
    # In whole tiles, and by the rows that there are: the last batch of an epoch has fewer.
    tiles = (rows + ROWS_OF_A_TILE - 1) // ROWS_OF_A_TILE
    each = 1
    if most == 1:
        each = tiles
    elif most < 2 * CHUNKS:  # the sums of each chunk take time and memory
        each = max(1, tiles // CHUNKS)
    context[CHUNK] = each * ROWS_OF_A_TILE
    context[ROWS] = rows
    context[FIRST], context[LAST] = part_of(rows, thread, threads, context[CHUNK])
    context[OUTPUT_ROW] = i % each_epoch * layout[BATCH_SIZE]
    row = 0 if threads == 1 else 1
    context[PARTITION_BEGIN] = partitions[row, thread]
    context[PARTITION_END] = partitions[row, thread + 1]


@kernel
def are_finite(vectors):
    """Return whether vectors hold no NaN and no infinity."""
    total = vectors[0].dtype.type(0)
    for vector in vectors:
        for i in range(vector.size):
            total += vector[i] * 0  # NaN, of either; a sum is vectorized, unlike an early return
    return total == 0


@entry_point
def run(
    phases, first_step, tables, workspace, update, vectors, data, results, order, rates, masks,
    group, batches, thread,
):  # fmt: skip
    """Do ``phases`` for the rows in ``order``, batch by batch; return how many are done then.

    Each row of ``order`` is an epoch: the numbers of its rows of data, one after the other.
    ``batches`` are the numbers of the first batch to do and of the one after the last, counted over
    all epochs. All threads of the group call it with the same arguments, but for their own number;
    those who come too late return at once. A batch whose loss is not finite ends the run before it
    changes anything. Where a thread or a function fails, the run ends as well, and returns FAILED.
    The forward pass begins at the step ``first_step``; without ``vectors.grads``, the backward pass
    leaves the parameters' gradients out. ``rates`` are a vector with each batch's learning rate,
    which may be empty, and the rate of all batches otherwise. ``masks`` are the key that dropouts
    draw with, and the number of batch 0's draw. The other records are those of ``engine.records``.
    With CHECK, the inputs must be of the network's dtype; returns NOT_FINITE if what is looked at
    is not finite.
    """
    if phases & CHECK and not are_finite((as_numbers(data.inputs[0], data.targets), data.targets)):
        return NOT_FINITE
    if phases & CHECK_VECTORS and not are_finite((vectors.params, vectors.direction)):
        return NOT_FINITE
    layout, order_length = tables.layout, order.shape[1]
    batch, (rate_of_batch, rate) = layout[BATCH_SIZE], rates
    each_epoch = (order_length + batch - 1) // batch  # the last of each epoch may be shorter
    i, end = batches
    threads, wanted = 1, group[WANTED]
    if thread == 0 and wanted > 1:
        await_others(group)
    elif thread > 0:
        threads = join(group)
        if threads == 1:  # too late
            return i
        i = group[FIRST_BATCH]
    context, mine = workspace.contexts[thread], workspace.numbers[thread]
    describe(
        layout, workspace.arena, update, vectors, data, results.outputs, order, masks[0], context,
        thread,
    )  # fmt: skip
    differentiates = vectors.grads.size > 0
    steps_before = update.steps[0] - batches[0]
    while i < end:
        if wanted > 1 and threads == 1:
            threads = admit(group, i)
        context[THREADS] = threads
        begin = i % each_epoch * batch
        context[ORDER_ROW] = i // each_epoch * order_length + begin
        rows = min(batch, order_length - begin)
        describe_batch(i, rows, each_epoch, layout, tables.partitions, context)
        context[STEP], context[MASK_DRAW] = steps_before + i + 1, masks[1] + i
        mine[LR] = rate_of_batch[i] if rate_of_batch.size > 0 else rate
        if not run_batch(
            phases, tables, update.program, results.losses, i, first_step, differentiates, context,
            mine, group,
        ):  # fmt: skip
            break
        if threads > 1 and thread == 0:
            judge(group)
        if not barrier(group, threads):
            break
        i += 1
        if threads > 1 and group[DISMISSED] != 0:
            if thread > 0:
                break
            stop_clock(group)
            threads = wanted = 1
    if thread > 0:
        leave(group)
        return i
    if group[WANTED] > 1:
        stop_clock(group)
        close(group)
    if phases & UPDATE:  # not before the others have left, which count their steps from here
        update.steps[0] = steps_before + i
    return FAILED if has_failed(group) else i


@cache
def signature_of(dtype):
    """Return the types of what ``run`` takes for parameters of a dtype, in order."""
    integer, double, number = types.int64, types.float64, numba.from_dtype(dtype)
    vector, matrix, integers, table, doubles, double_table = (
        types.Array(item, ndim, "C") for item in (number, integer, double) for ndim in (1, 2)
    )
    pair = types.UniTuple(integer, 2)
    rows = types.Tuple((types.Array(types.uint8, 1, "C"), integer, integer, integer))

    def record(kind, *fields):
        return types.NamedTuple(fields, kind)

    return (
        integer,
        integer,
        record(Tables, table, integers, integers, table),
        record(Workspace, vector, table, double_table),
        record(Update, table, integers, matrix, doubles),
        types.NamedUniTuple(vector, 4, Vectors),
        record(Data, rows, vector, integers, vector),
        record(Results, matrix, double_table),
        table,
        types.Tuple((doubles, double)),
        pair,
        integers,
        pair,
        integer,
    )

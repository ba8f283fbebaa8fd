"""The largest number of threads for a plan, by an estimate of work and overhead.

``chainrule.engine.thread_count`` measures how many of them make it faster.
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from chainrule.kernels.blocks import MOST_ROWS as ROWS_OF_A_TILE
from chainrule.kernels.context import CHUNKS
from chainrule.operations.operation import Function, Step
from chainrule.plan.backward import takes_chunks
from chainrule.plan.call import units_of

# In multiply-adds. A core does some 50 of them in a nanosecond; a barrier takes less than a
# microsecond, and starting a thread some 60 microseconds.
LEAST_OF_A_STEP = 1_000_000  # for each thread
LEAST_OF_A_CALL = 10_000_000

ELEMENTWISE_COST = 16  # an activation and its derivative, for one element
ALL_PARAMETERS = 1 << 62  # more than there are

UPDATE_COST = 16  # an optimizer's step, for one parameter: it waits for memory


def work_of(steps: Sequence[Step], batch: int, *, backward: bool) -> int:
    """Estimate the multiply-adds of one training step, or of a forward pass."""
    passes = 3 if backward else 1
    work = 0
    for step in steps:
        work += ELEMENTWISE_COST * batch * step.y.size
        if step.operation.multiply_adds is not None:
            work += passes * batch * step.operation.multiply_adds(step)
        if backward:
            work += UPDATE_COST * sum(prod(use.shape) for use in step.parameters.values())
    return work


def functions_of(step: Step) -> list[Function]:
    """Return the functions of a step's forward and backward passes."""
    functions = [*step.operation.forward_pass, *step.operation.gradients.values()]
    for operand in step.operation.backward:
        functions += step.operation.backward_of(operand)
    return functions


def chunks_of(steps: Sequence[Step], batch: int) -> int:
    """Return the largest number of chunks of rows, each of which one thread computes as a whole.

    A function that sums gradients over its rows is called for each chunk, so that the sums do not
    depend on the number of threads. A chunk needs as much memory as there are parameters, and one
    more pass over it, so there are few. If a function is Python, the batch is one chunk. The
    interpreter divides each batch by its own number of rows (``describe_batch``), so that the
    sums do not depend on the size of the plan either.
    """
    functions = [
        function
        for step in steps
        for function in functions_of(step)
        if takes_chunks(step, function) or step.sums
    ]
    tiles = -(-batch // ROWS_OF_A_TILE)
    if not functions:
        return tiles
    return min(tiles, 2 * CHUNKS - 1) if all(function.can_compile for function in functions) else 1


def choose_threads(work: int, chunks: int, steps: int, limit: int) -> int:
    """Return the number of threads for steps of this work and this number of chunks of rows.

    ``steps`` is the number of steps in one call, and ``limit`` the largest number of threads.

    >>> [choose_threads(10_000_000, 32, 100, limit=limit) for limit in (1, 2, 64)]
    [1, 2, 10]
    >>> choose_threads(10_000, 32, 1_000_000, limit=2)
    1
    """
    if work * steps < LEAST_OF_A_CALL:
        return 1
    return max(1, min(limit, work // LEAST_OF_A_STEP, chunks))


def partition_parameters(
    steps: Sequence[Step], offsets: Mapping[str, int], batch: int, threads: int
) -> np.ndarray:
    """Return the boundaries of the threads' partitions of the parameters.

    The second row is for ``threads`` threads, the first one for a single thread, which has
    them all. Partitions have equal work for gradients and updates; they are cut between rows of a
    parameter.
    """
    costs: dict[str, int] = {}  # of a row
    shapes = {}
    for step in steps:
        for name in step.operation.gradients:
            use = step.parameters.get(name)
            if use is None or not use.is_trained or len(use.shape) < 2:
                continue
            rows, unit_shape = units_of(use.shape)
            shapes[use.name] = rows, prod(unit_shape)
            costs.setdefault(use.name, UPDATE_COST * prod(unit_shape))
            if step.operation.multiply_adds is not None and not step.by_chunks:
                costs[use.name] += batch * step.operation.multiply_adds(step) // rows
    total = sum(costs[name] * rows for name, (rows, _) in shapes.items())
    cuts = []
    done, thread = 0, 1
    for name in sorted(shapes, key=lambda name: offsets[name]):
        rows, unit = shapes[name]
        while thread < threads and done + costs[name] * rows >= total * thread // threads:
            wanted = (total * thread // threads - done) / costs[name]
            row = min(round(wanted / ROWS_OF_A_TILE) * ROWS_OF_A_TILE, rows)
            cuts.append(offsets[name] + row * unit)
            thread += 1
        done += costs[name] * rows
    rest = [ALL_PARAMETERS] * (threads - len(cuts))
    return np.array([[0, *[ALL_PARAMETERS] * threads], [0, *cuts, *rest]], np.int64)

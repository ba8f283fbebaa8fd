"""How many threads may share a plan's work: as many as might pay for the time they wait.

It is an estimate, of the most; ``chainrule.engine.thread_count`` measures whether they do pay.
"""

import numpy as np

from chainrule.plan.builder import Instruction
from chainrule.plan.instructions import Op

# In multiply-adds and the like. A core does some 50 of them in a nanosecond; a barrier costs less
# than a microsecond, and starting a thread some 60.
LEAST_OF_A_STEP = 1_000_000  # for each thread
LEAST_OF_A_CALL = 10_000_000

ROWS_OF_A_TILE = 8  # which one thread computes
CHUNKS = 4  # of a batch, where each is a sum of its own
ELEMENTWISE_COST = 16  # an activation and its derivative, for one element
ALL_PARAMETERS = 1 << 62  # more than there are

UPDATE_COST = 16  # an optimizer's step, for one parameter: it waits for memory


def work_of(instructions: list[Instruction], batch: int, *, backward: bool) -> int:
    """Estimate the operations of one step: forward, and also backward and update if asked for."""
    passes = 3 if backward else 1
    work = 0
    for step in instructions:
        outputs = batch * step.repeat * step.outputs
        work += ELEMENTWISE_COST * outputs
        if step.op == Op.LINEAR:
            work += passes * outputs * step.inputs
            work += UPDATE_COST * step.inputs * step.outputs if backward else 0
    return work


def chunk_of(instructions: list[Instruction], batch: int) -> int:
    """Return how many rows of a batch one thread takes as a whole.

    Where a user's own function adds up gradients over the rows, it does so chunk by chunk, so that
    the sums do not depend on how many threads there are. A chunk costs as much room as there are
    parameters, and each is read once more: so there are few. A function that only Python can call
    gets the whole batch, as it has the rows together in what it keeps from forward to backward.
    """
    own = [step for step in instructions if step.op == Op.FOREIGN]
    if not all(f.can_compile for step in own for f in step.functions.values()):
        return -(-batch // ROWS_OF_A_TILE) * ROWS_OF_A_TILE
    if not any(step.parameters for step in own):
        return ROWS_OF_A_TILE
    return ROWS_OF_A_TILE * -(-batch // (ROWS_OF_A_TILE * CHUNKS))


def choose_threads(work: int, chunks: int, steps: int, limit: int) -> int:
    """Return how many threads may share steps of so much work and so many chunks of rows.

    ``steps`` is how many of them one call does, and ``limit`` how many threads there may be.

    >>> [choose_threads(10_000_000, 32, 100, limit=limit) for limit in (1, 2, 64)]
    [1, 2, 10]
    >>> choose_threads(10_000, 32, 1_000_000, limit=2)
    1
    """
    if work * steps < LEAST_OF_A_CALL:
        return 1
    return max(1, min(limit, work // LEAST_OF_A_STEP, chunks))


def share_out(
    instructions: list[Instruction], offsets: dict[str, int], batch: int, threads: int
) -> np.ndarray:
    """Return where each thread's share of the parameters begins, and where the last one ends.

    The second row has the shares of so many threads, the first one that of a thread alone: it takes
    them all. Shares are equal by the work for gradients and updates, and are cut between rows of a
    weight.
    """
    uses: dict[str, list[Instruction]] = {}
    for step in instructions:
        if step.op == Op.LINEAR and step.weight is not None and not step.moving:
            uses.setdefault(step.weight, []).append(step)
    weights = sorted(uses, key=lambda name: offsets[name])
    row_costs = [
        sum(step.outputs * batch * step.repeat for step in uses[name])
        + UPDATE_COST * uses[name][0].outputs
        for name in weights
    ]
    rows = [uses[name][0].inputs for name in weights]
    total = sum(cost * row for cost, row in zip(row_costs, rows, strict=True))
    cuts = []
    done, thread = 0, 1
    for name, row_cost, inputs in zip(weights, row_costs, rows, strict=True):
        cost = row_cost * inputs
        while thread < threads and done + cost >= total * thread // threads:
            wanted = (total * thread // threads - done) / row_cost
            row = min(round(wanted / ROWS_OF_A_TILE) * ROWS_OF_A_TILE, inputs)
            cuts.append(offsets[name] + row * uses[name][0].outputs)
            thread += 1
        done += cost
    rest = [ALL_PARAMETERS] * (threads - len(cuts))
    return np.array([[0, *[ALL_PARAMETERS] * threads], [0, *cuts, *rest]], np.int64)

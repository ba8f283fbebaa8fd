"""How many threads share a plan's work: as many as pay for the time in which they wait."""

import numpy as np

from chainrule.engine.instructions import Op
from chainrule.plan.builder import Instruction

# In multiply-adds and the like. A core does some 50 of them in a nanosecond; a meeting of all
# members costs less than a microsecond, and starting a thread some 60.
LEAST_OF_A_STEP = 1_000_000  # for each member
LEAST_OF_A_CALL = 10_000_000

ROWS_OF_A_MEMBER = 8  # a tile
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


def choose_members(work: int, rows: int, steps: int, limit: int) -> int:
    """Return how many threads shall share steps of so much work and so many rows.

    ``steps`` is how many of them one call does, and ``limit`` how many threads there may be.

    >>> [choose_members(10_000_000, 256, 100, limit=limit) for limit in (1, 2, 64)]
    [1, 2, 10]
    >>> choose_members(10_000, 256, 1_000_000, limit=2)
    1
    """
    if work * steps < LEAST_OF_A_CALL:
        return 1
    return max(1, min(limit, work // LEAST_OF_A_STEP, rows // ROWS_OF_A_MEMBER))


def share_out(
    instructions: list[Instruction], offsets: dict[str, int], batch: int, members: int
) -> np.ndarray:
    """Return where each member's share of the parameters begins, and where the last one ends.

    Shares are equal by the work for gradients and updates, and are cut between rows of a weight.
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
    done, member = 0, 1
    for name, row_cost, inputs in zip(weights, row_costs, rows, strict=True):
        cost = row_cost * inputs
        while member < members and done + cost >= total * member // members:
            wanted = (total * member // members - done) / row_cost
            row = min(round(wanted / ROWS_OF_A_MEMBER) * ROWS_OF_A_MEMBER, inputs)
            cuts.append(offsets[name] + row * uses[name][0].outputs)
            member += 1
        done += cost
    rest = [ALL_PARAMETERS] * (members - len(cuts))
    return np.array([0, *cuts, *rest], np.int64)

"""Holding out a part of the rows for the validation."""

from __future__ import annotations

import numpy as np

from chainrule.models.data_set import DataSet

# A separate random stream, as the data, the orders and the parameters may have the same seed.
SPLIT = 0x5B117


def split(data: DataSet, fraction: float, seed: int) -> tuple[DataSet, DataSet]:
    """Return the rows to train on and those held out, which are chosen at random.

    The same seed chooses the same rows. Both parts are copies, in the order of the data.

    Raises
    ------
    ValueError
        If one of them would have no row, or none with a weight; or if a weight is negative.
    """
    data.check_weights_not_negative("sample_weight", " with validation_split")
    held = round(fraction * data.rows)
    if not 0 < held < data.rows:
        raise ValueError(
            f"validation_split is {fraction}, which holds out {held} of {data.rows} rows: there "
            "must be at least one to hold out, and one to train on."
        )
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPLIT,)))
    is_held = np.zeros(data.rows, bool)
    is_held[random.permutation(data.rows)[:held]] = True
    training, held_out = (data.rows_at(np.flatnonzero(rows)) for rows in (~is_held, is_held))
    for part, name in ((training, "trained on"), (held_out, "held out")):
        part.check_some_weight(f"sample_weight of the rows {name}")
    return training, held_out

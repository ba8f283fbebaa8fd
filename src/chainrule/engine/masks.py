"""The key of the random dropout masks of a training, or of a network's forward passes."""

import numpy as np

# A separate random stream, as orders and initial parameters may have the same seed.
MASKS = 0xD70907


def mask_key(seed: int | None) -> int:
    """Return the key of a seed, 63 bits; without one, of a seed from the system."""
    sequence = np.random.SeedSequence(seed, spawn_key=(MASKS,))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

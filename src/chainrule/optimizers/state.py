"""The state of an optimizer for one network."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.update import UpdateProgram
from chainrule.utils.arrays import aligned_zeros, owned


class OptimizerState:
    """The state of an optimizer for one network: the step count, and vectors like the parameters.

    Attributes
    ----------
    steps : array of one int64, the steps taken so far.
    vectors : array of shape (state vectors, parameters).
    names : of the state vectors.
    numbers : the present hyperparameters and training options.
    program : the engine's program for a step with these.
    """

    def __init__(self, vectors: NDArray[Any], names: tuple[str, ...] = ()) -> None:
        self.steps, self.vectors, self.names = np.array([0]), vectors, names
        self.lr = 0.0
        self.numbers: Hashable = None
        self.program: UpdateProgram | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the program out; it is made again."""
        return self.__dict__ | {"numbers": None, "program": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Copy arrays that are read-only after unpickling."""
        own = {name: owned(state[name]) for name in ("steps", "vectors")}
        self.__dict__.update(state | own)

    @property
    def step(self) -> int:
        """The number of steps so far."""
        return int(self.steps[0])

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments for :meth:`Machine.prepare_run`."""
        return {"update": self.program, "steps": self.steps, "state": self.vectors}

    def select_vectors(self, names: tuple[str, ...], first_value: float) -> None:
        """Keep only the vectors of these names; new ones are filled with ``first_value``."""
        if names == self.names:
            return
        vectors = aligned_zeros((len(names), self.vectors.shape[1]), self.vectors.dtype)
        vectors[...] = first_value
        for name, vector in zip(self.names, self.vectors, strict=True):
            if name in names:
                vectors[names.index(name)] = vector
        self.vectors, self.names = vectors, names

    def copy(self) -> OptimizerState:
        """Return an independent copy."""
        twin = OptimizerState(self.vectors.copy(), self.names)
        twin._take_numbers(self)
        return twin

    def restore(self, earlier: OptimizerState) -> None:
        """Restore the state from a copy."""
        self.select_vectors(earlier.names, 0.0)
        self.vectors[:] = earlier.vectors
        self._take_numbers(earlier)

    def _take_numbers(self, other: OptimizerState) -> None:
        self.steps[:] = other.steps
        self.lr, self.numbers, self.program = other.lr, other.numbers, other.program

    def has_hyperparameters_of(self, other: OptimizerState, *, but_lr: bool = False) -> bool:
        """Return whether both have the same hyperparameters; steps may differ."""
        return self.numbers == other.numbers and (but_lr or self.lr == other.lr)

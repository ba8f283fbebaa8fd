"""Machines that are kept for the next call with the same shapes."""

from collections.abc import Hashable
from math import inf
from typing import Any, Generic, TypeVar

from chainrule.engine.machine import Machine, PreparedRun

M = TypeVar("M", Machine, PreparedRun)


class MachinePool(Generic[M]):
    """Machines, or prepared runs, by key; each is out of the pool while it is in use.

    Several threads may ask at once.

    Parameters
    ----------
    most : int
        How many are kept.
    most_bytes : float
        The largest arena that is kept. Where work on it takes long, making it anew costs little.
    """

    def __init__(self, most: int, most_bytes: float = inf) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._machines: dict[Hashable, M] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the machines out: their memory has addresses of this process."""
        return self.__dict__ | {"_machines": {}}

    def take(self, key: Hashable) -> M | None:
        """Return a machine that nobody else has, None if there is none."""
        return self._machines.pop(key, None)

    def put_back(self, key: Hashable, machine: M) -> None:
        """Keep a machine for the next one who asks, if it can be used again."""
        if not machine.usable or machine.arena.nbytes > self._most_bytes:
            return
        if len(self._machines) >= self._most:
            self._machines.clear()
        self._machines[key] = machine

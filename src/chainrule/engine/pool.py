"""A pool of machines, for later calls with the same shapes."""

from collections.abc import Hashable
from math import inf
from typing import Any, Generic, TypeVar

from chainrule.engine.machine import Machine
from chainrule.utils.arrays import FloatArray


class UsesMachine:
    """What uses a machine, and can be kept in a pool instead of it.

    Parameters
    ----------
    machine : Machine
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @property
    def usable(self) -> bool:
        """Whether the machine can run again."""
        return self.machine.usable

    @property
    def arena(self) -> FloatArray:
        """The machine's memory."""
        return self.machine.arena


M = TypeVar("M", bound=Machine | UsesMachine)


class MachinePool(Generic[M]):
    """Machines, or what uses one, by key.

    A machine in use is not in the pool, so several threads may use it at once.

    Parameters
    ----------
    most : int
        The largest number of machines.
    most_bytes : float
        The largest arena of a machine in the pool. Making a larger one again is cheap, relative to
        the work on it.
    """

    def __init__(self, most: int, most_bytes: float = inf) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._machines: dict[Hashable, M] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the machines out: they contain addresses of this process."""
        return self.__dict__ | {"_machines": {}}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._machines

    def take(self, key: Hashable) -> M | None:
        """Remove a machine from the pool and return it; None if there is none."""
        return self._machines.pop(key, None)

    def put_back(self, key: Hashable, machine: M) -> None:
        """Return a machine to the pool, if it can be used again."""
        if not machine.usable or machine.arena.nbytes > self._most_bytes:
            return
        if len(self._machines) >= self._most:
            self._machines.clear()
        self._machines[key] = machine

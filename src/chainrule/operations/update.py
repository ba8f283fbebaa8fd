"""What an optimizer's rule is to the engine: one pass over the parameters.

Its function takes by name: ``params`` and ``grads``, the thread's part of them; the state vectors,
like the parameters; ``lr`` and ``step``, from 1 on; and the rule's own numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.operations.operation import Function


@dataclass(frozen=True, eq=False)
class UpdateOperation:
    """One optimizer's rule.

    Attributes
    ----------
    name : str
    update : Function
    state : the names of its state vectors.
    optional : by state vector, the number without which, if it is 0, the rule does not need it:
        then the vector is empty.
    of_rows : the rule for a table of which the batch takes some ``rows``, by their numbers: it
        changes these only, and makes their gradients 0 for the next batch. ``begin`` is the number
        of the first row of ``params``. None if parameters may change whose gradient is 0.
    of_rows_without : the numbers that must be 0 for it, besides the weight decay.
    sample : by name, its own numbers, for compiling it ahead, where they are no floats.
    """

    name: str
    update: Function
    state: tuple[str, ...]
    optional: Mapping[str, str] = field(default_factory=dict)
    of_rows: Function | None = None
    of_rows_without: tuple[str, ...] = ()
    sample: Mapping[str, Any] = field(default_factory=dict)

    def state_with(self, numbers: Mapping[str, float]) -> tuple[str, ...]:
        """Return the names of the state vectors that the rule needs with these numbers."""
        return tuple(
            name
            for name in self.state
            if name not in self.optional or numbers.get(self.optional[name]) != 0
        )

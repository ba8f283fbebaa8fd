"""What an optimizer's rule is to the engine: one pass over the parameters.

Its function takes by name: ``params`` and ``grads``, a share of them; the state, of vectors like
the parameters; ``lr`` and ``step``, from 1 on; and the rule's own numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.operations.operation import Function


@dataclass(frozen=True, eq=False)
class UpdateOperation:
    """One optimizer's rule.

    Attributes
    ----------
    name : str
    update : Function
    state : the names of its state vectors.
    """

    name: str
    update: Function
    state: tuple[str, ...]

"""What a loss is to plans: how an output is compared with its target, and the gradient by it.

Its function takes arrays by name, for some rows of the batch: ``output``; ``target``, of the same
shape, or ``label``; ``weight``, a number for each row, and ``total``, that of the batch; the loss's
own numbers, and arrays of them, by their names. It writes ``terms``, one for each element of the
output or the target, or one for each row, and ``d_output``. The batch's loss is the terms' weighted
mean; see :mod:`chainrule.kernels.loss`. All but labels and weights are matrices with a row for each
of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chainrule.operations.operation import Function


@dataclass(frozen=True, eq=False)
class LossOperation:
    """One loss.

    Attributes
    ----------
    name : str
    forward : Function
        It computes the gradient too.
    curvature : writes the Hessian by the output, times a direction; None if there is no formula.
    fisher : for a Hessian that depends on the targets: takes the loss's numbers, and returns the
        function that writes its mean over the targets of which the loss is the likelihood, and a
        factor of it.
    terms : of what each element has a term: "output" or "target"; or "row", if a row has one.
    row_weight : multiplies the weights of rows by factors of the loss's own, such as the weights of
        their classes. The loss is divided by the products' sum.
    fisher_row_weight : the same for Fisher's matrix: by the factors' mean over these targets.
    of_user : whether it knows neither weights nor the batch: they are applied to its gradient.
    sample : by name, its own numbers, for compiling it ahead, where they are no floats.
    """

    name: str
    forward: Function
    curvature: Function | None = None
    fisher: Callable[[Mapping[str, Any]], tuple[Function, float]] | None = None
    terms: Literal["output", "target", "row"] = "output"
    row_weight: Function | None = None
    fisher_row_weight: Function | None = None
    of_user: bool = False
    sample: Mapping[str, Any] = field(default_factory=dict)

    @property
    def takes_labels(self) -> bool:
        """Whether it compares with class labels."""
        return "label" in self.forward.names

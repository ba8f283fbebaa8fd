"""The losses of a plan, as calls: terms and gradients for each row, then the sum of the terms."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from chainrule.kernels import context
from chainrule.kernels.argument import Rows
from chainrule.kernels.context import Flag
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Numbers, Shape, Tensor, function
from chainrule.plan.argument import (
    Argument,
    counted,
    hyperparameter,
    number,
    rows_of,
    whole,
    word,
)
from chainrule.plan.call import Call, Caller, call_with, gradient, value
from chainrule.plan.data import order_of


@dataclass(frozen=True, eq=False)
class Head:
    """An output of the network, and its loss, if any.

    Attributes
    ----------
    output : Tensor
    loss : LossOperation, or None
    numbers : its hyperparameters, by name; functions get a tuple as an array.
    loss_weight : its weight in the sum of all losses.
    target_shape : of a row of targets; None if the loss takes labels, or there is none.
    """

    output: Tensor
    loss: LossOperation | None = None
    numbers: Numbers = field(default_factory=dict)
    loss_weight: float = 1.0
    target_shape: Shape | None = None

    @property
    def takes_labels(self) -> bool:
        """Whether the loss takes labels."""
        return self.loss is not None and self.target_shape is None

    @property
    def target_size(self) -> int:
        """Columns of targets; 0 for labels, and without a loss."""
        return 0 if self.target_shape is None else Tensor(self.target_shape).size


def calls_of_loss(caller: Caller, heads: Sequence[Head]) -> list[Call]:
    """Return the calls of all losses, for the rows of one thread."""
    from chainrule.kernels.gather import (  # loads Numba
        gather_rows,
        gather_values,
        gather_weights,
        sum_of_weights,
    )

    losses = [head.loss for head in heads if head.loss is not None]
    if not losses:
        return []
    weights = counted(context.WEIGHTS, context.WEIGHT_ROWS, ())
    total = whole(context.SELF, 8 * context.TOTAL_WEIGHT, (1,), "f8")
    calls = [
        Call(function(sum_of_weights), (weights, order_of(Rows.BATCH), total)),
        Call(function(gather_weights), (weights, order_of(), _weight(caller))),
    ]
    column = labels = 0
    for head in heads:
        if head.loss is None:
            continue
        if head.takes_labels:
            source = counted(context.LABELS, context.LABEL_ROWS, (), "i8", before=labels)
            label = _label(head)
            calls.append(Call(function(gather_values), (source, order_of(), label)))
            labels += 1
        else:
            t = head.target_size
            source = counted(context.TARGETS, context.TARGET_ROWS, (t,), before=column)
            target = rows_of(context.ARENA, _key("target", head), (t,), caller.item)
            calls.append(Call(function(gather_rows), (source, order_of(), target)))
            column += t
        if _has_own_weights(head, heads):
            weight = _weight(caller, head=head)
            calls.append(Call(function(gather_weights), (weights, order_of(), weight)))
        calls += _calls_of_head(caller, head, head.loss, heads)
    return calls


def _has_own_weights(head: Head, heads: Sequence[Head]) -> bool:
    """Whether rows count for this loss by weights that are not those of the network's others."""
    others = any(other.loss is not None for other in heads if other is not head)
    return others and head.loss is not None and head.loss.row_weight is not None


def calls_of_loss_sum(caller: Caller, heads: Sequence[Head]) -> list[Call]:
    """Return the calls that sum the terms of the whole batch."""
    from chainrule.kernels.loss import add_loss  # loads Numba

    calls = []
    for head in heads:
        if head.loss is not None:
            arguments = (
                _terms(caller, head, Rows.BATCH),
                _normalized_weight(caller, head, heads, Rows.BATCH),
                word(context.TOTAL_WEIGHT, "f8"),
                number(float(head.loss_weight)),
                whole(context.SELF, 8 * context.LOSS, (1,), "f8"),
            )
            calls.append(Call(function(add_loss), arguments))
    return calls


def _calls_of_head(
    caller: Caller, head: Head, loss: LossOperation, heads: Sequence[Head]
) -> list[Call]:
    from chainrule.kernels.loss import weigh_gradients
    from chainrule.operations.rescale import rescale_backward

    size, total = (head.output.size,), word(context.TOTAL_WEIGHT, "f8")
    shape = head.output.shape if loss.of_user else size
    given = {
        "output": rows_of(context.ARENA, value(head.output), shape, caller.item),
        "d_output": rows_of(context.ARENA, gradient(head.output), shape, caller.item),
        "weight": _normalized_weight(caller, head, heads),
        "total": total,
        "terms": _terms(caller, head),
        # The name in users' functions, where the terms are a vector.
        "losses": rows_of(context.ARENA, _key("terms", head), (), caller.item),
        **{name: hyperparameter(entry) for name, entry in head.numbers.items()},
    }
    if head.target_shape is None:
        given["label"] = _label(head)
    else:
        target = head.target_shape if loss.of_user else (head.target_size,)
        given["target"] = rows_of(context.ARENA, _key("target", head), target, caller.item)
    calls = []
    if loss.row_weight is not None:
        calls += _calls_of_row_weight(caller, head, loss, heads, given)
    calls.append(call_with(loss.forward, given, loss.name))
    d_output = rows_of(context.ARENA, gradient(head.output), size, caller.item)
    if loss.of_user:
        calls.append(Call(function(weigh_gradients), (d_output, given["weight"], total)))
    if head.loss_weight != 1.0:
        flat = rows_of(context.ARENA, gradient(head.output), size, caller.item, ndim=1)
        calls.append(
            Call(function(rescale_backward), (flat, flat, number(float(head.loss_weight))))
        )
    return calls


def _calls_of_row_weight(
    caller: Caller,
    head: Head,
    loss: LossOperation,
    heads: Sequence[Head],
    given: dict[str, Argument],
) -> list[Call]:
    """Return what multiplies the weights of rows, and then adds up those of the batch.

    An only loss has its own total. Several have that of the samples' weights: there, the products
    are scaled so that they sum up to it.
    """
    from chainrule.kernels.gather import add_up_weights, normalize_weights  # loads Numba

    assert loss.row_weight is not None
    own = head if _has_own_weights(head, heads) else None
    weight, of_batch = (_weight(caller, rows, own) for rows in (Rows.SLICE, Rows.BATCH))
    calls = [call_with(loss.row_weight, given | {"weight": weight}, loss.name)]
    if own is None:
        total = whole(context.SELF, 8 * context.TOTAL_WEIGHT, (1,), "f8")
        return [*calls, Call(function(add_up_weights), (of_batch, total), Flag.BARRIER)]
    arguments = of_batch, given["total"], weight, given["weight"]
    return [*calls, Call(function(normalize_weights), arguments, Flag.BARRIER)]


def _key(name: str, head: Head) -> Hashable:
    return name, head


def _weight(caller: Caller, rows: Rows = Rows.SLICE, head: Head | None = None) -> Argument:
    """Return the rows' weights, or the products with those of a head's own."""
    key = "weight" if head is None else _key("weight", head)
    return rows_of(context.ARENA, key, (), caller.item, rows=rows)


def _normalized_weight(
    caller: Caller, head: Head, heads: Sequence[Head], rows: Rows = Rows.SLICE
) -> Argument:
    """Return the weights by which rows count for a head: they sum up to the batch's total."""
    if not _has_own_weights(head, heads):
        return _weight(caller, rows)
    return rows_of(context.ARENA, _key("normalized weight", head), (), caller.item, rows=rows)


def _label(head: Head) -> Argument:
    return rows_of(context.ARENA, _key("label", head), (), 8, dtype="i8")


def _terms(caller: Caller, head: Head, rows: Rows = Rows.SLICE) -> Argument:
    assert head.loss is not None
    sizes = {"row": 1, "target": head.target_size, "output": head.output.size}
    columns = sizes[head.loss.terms]
    return rows_of(context.ARENA, _key("terms", head), (columns,), caller.item, rows=rows)

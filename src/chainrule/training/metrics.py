"""The metrics of a training: their names, and the values of the user's metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from math import nan
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.losses import Loss, Targets
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.training.history import History
from chainrule.utils.arguments import shortened
from chainrule.utils.arrays import FloatArray

NAMES = ': give names in a dict, as in metrics={"name": function}.'

Metric = Callable[[Any, Any], Any]  # of y_true and y_pred
Metrics = Sequence[Metric] | Mapping[str, Metric]
OneOrMore = ArrayLike | tuple[ArrayLike, ...]
Validation = tuple[ArrayLike, OneOrMore] | tuple[ArrayLike, OneOrMore, ArrayLike | None]

# What a metric's first argument is called where it expects the output, and what its second one is
# where it expects the targets there.
OUTPUTS = {
    *("output", "outputs", "out", "outs", "y_pred", "y_hat", "y_score", "pred", "preds"),
    *("prediction", "predictions", "predicted", "logits", "score", "scores", "probs"),
}
TARGETS = {"y_true", "target", "targets", "label", "labels"}


def checked_validation(net: Sequential, loss: Loss, validation: Any) -> DataSet | None:
    """Return the validation data, if any; TypeError or ValueError if something is wrong."""
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        is_fraction = isinstance(validation, Real)
        hint = f" validation_split={validation} holds out some of the rows." if is_fraction else ""
        several = isinstance(validation, tuple | list)
        came = f"a {type(validation).__name__}" + (f" of {len(validation)}" if several else "")
        raise ValueError(f"validation must be (X, y) or (X, y, sample_weight), not {came}.{hint}")
    X, y, weights = validation if len(validation) == 3 else (*validation, None)
    names, weights_name = ("validation X", "validation y"), "validation sample_weight"
    held_out = DataSet.checked(net, loss, X, y, weights, names, weights_name)
    held_out.check_some_weight(weights_name)
    held_out.check_weights_not_negative(weights_name)
    return held_out


def checked_metrics(metrics: Any, has_validation: bool) -> dict[str, Metric]:
    """Return metrics by name; TypeError or ValueError if something is wrong."""
    if isinstance(metrics, Mapping):
        named = dict(metrics)
    elif isinstance(metrics, Sequence) and not isinstance(metrics, str):
        named = {_name_of(metric, i): metric for i, metric in enumerate(metrics)}
        if len(named) < len(metrics):
            raise ValueError(f"metrics has two functions of the same name{NAMES}")
    else:
        hint = " Put it into a list." if callable(metrics) else ""
        raise TypeError(
            f"metrics must be a list or a dict of functions, not {shortened(metrics)}.{hint}"
        )
    for name, metric in named.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"metrics has the name {name!r}, which is no identifier.")
        if not callable(metric):
            raise TypeError(_no_function(repr(name), metric))
        _check_order(name, metric)
        if name in ("loss", "accuracy"):
            raise ValueError(
                f"metrics has the name {name!r}, but history.validation_{name} is measured anyway."
            )
    if named and not has_validation:
        raise ValueError(
            "metrics are measured on the validation data: give validation=(X, y), or "
            "validation_split=0.2."
        )
    return named


def _name_of(metric: Any, position: int) -> str:
    """Return the name of a function in a list."""
    if not callable(metric):
        raise TypeError(_no_function(position, metric))
    name = str(getattr(metric, "__name__", shortened(metric)))
    if not name.isidentifier():  # a lambda, or a partial
        raise ValueError(f"metrics[{position}], {name}, has no name{NAMES}")
    return name


def _no_function(which: str | int, metric: Any) -> str:
    return (
        f"metrics[{which}] must be a function such as cr.metrics.r2_score, not {shortened(metric)}."
    )


def _check_order(name: str, metric: Metric) -> None:
    """Raise ValueError if the metric, by its arguments' names, takes the output first."""
    try:
        first, *others = signature(metric).parameters
    except (TypeError, ValueError):  # unknown, as of some functions in C
        return
    second = others[0] if others else ""
    if second and (first in OUTPUTS or (second in TARGETS and first not in {*TARGETS, "y"})):
        raise ValueError(
            f"metrics[{name!r}] takes {first!r} first, but metrics are called with (y_true, "
            f"y_pred), as scikit-learn's are: {name}({second}, {first})."
        )


def metric_names(
    loss: Loss, held_out: DataSet | None, metrics: Mapping[str, Metric], net: Sequential
) -> tuple[str, ...]:
    """Return the names that ``History.latest`` will have."""
    if held_out is None:
        return "loss", "lr"
    first_row = Targets(tuple(values[:1] for values in held_out.targets.values))
    shapes = net.output_shapes(held_out.inputs.shape[1:])
    outputs = [np.zeros((1, *shape), net.dtype) for shape in shapes]
    classifies = loss.accuracy(outputs, first_row) is not None
    accuracy = ("validation_accuracy",) if classifies else ()
    of_metrics = (f"validation_{name}" for name in metrics)
    return "loss", "validation_loss", *accuracy, *of_metrics, "lr"


def measure(
    metrics: Mapping[str, Metric], outputs: list[FloatArray] | None, data: DataSet, history: History
) -> None:
    """Add each metric's value to the history, or NaN; TypeError if one is no number."""
    output = outputs[0] if outputs is not None and len(outputs) == 1 else outputs
    for name, metric in metrics.items():
        returned = nan if output is None else metric(data.targets.y, output)
        try:
            value = float(returned)
        except (TypeError, ValueError):
            raise TypeError(
                f"metrics[{name!r}] must return a number, not {shortened(returned)}."
            ) from None
        history.metrics.setdefault(name, []).append(value)

"""Recognizing activations that a file expresses by several operators, by their values."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose, isfinite
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.activations import VALUES
from chainrule.interop.onnx.steps import Array, ImportStep
from chainrule.layers.layer import Element

MOST_PARTS = 20  # the most operators of an activation


# Without 0, where most activations are 0; with large values, where some change their formula.
NEAR, FAR = 4.0, np.geomspace(5.0, 1e4, 30)
SAMPLES = np.concatenate([-FAR[::-1], np.linspace(-NEAR, NEAR, 40), FAR])
with np.errstate(over="ignore"):
    ACTIVATIONS = [(activation, values(SAMPLES)) for activation, values in VALUES]


def activation_of(found: Array) -> list[Element]:
    """Return the layers that have these values at the samples; none if no activation has."""
    usable = np.isfinite(found)  # some formulas overflow far from 0
    if not usable[np.abs(SAMPLES) <= NEAR].all():
        return []
    for activation, values in ACTIVATIONS:
        most = np.argmax(np.abs(values) * usable)
        scale = _number_meant(found[most] / values[most])
        if isfinite(scale) and scale:
            same = np.isclose(found / scale, values, rtol=1e-5, atol=1e-6)
            if same[usable].all():
                return [*activation, layers.Rescale(scale)]
    return []


def _number_meant(value: float) -> float:
    """Return the number with few digits that has the value's float32 rounding."""
    short = float(f"{value:.6g}")
    return short if isclose(short, value, rel_tol=5e-7) else float(value)


def evaluate(steps: Mapping[str, ImportStep], start: str, end: str) -> Array:
    """Return a value for samples of another one; LookupError if it is not elementwise."""
    left = MOST_PARTS

    def of(name: str) -> Any:
        nonlocal left
        if name == start:
            return SAMPLES
        left -= 1
        step = steps[name]
        if left < 0 or step.function is None:
            raise LookupError
        return step.function(*map(of, step.inputs))

    with np.errstate(all="ignore"):
        return np.asarray(of(end))

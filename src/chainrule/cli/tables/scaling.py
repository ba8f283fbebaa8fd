"""Numbers of any size with mean 0 and deviation 1."""

from __future__ import annotations

from math import frexp

import numpy as np

from chainrule.cli.tables.cells import Numbers
from chainrule.cli.tables.reading import RawTable

LARGEST = float(np.finfo(np.float32).max)  # networks compute in float32


def is_constant(values: Numbers) -> bool:
    """Tell whether values differ by no more than rounding, up to 8 units in the last place.

    Their deviation is no scale, as it would make any other value huge; scikit-learn's
    StandardScaler leaves such columns unscaled for that reason.

    >>> is_constant(np.array([0.3, 0.1 + 0.2])), is_constant(np.array([-1.5e308, 1.5e308]))
    (True, False)
    """
    with np.errstate(over="ignore"):
        return bool(np.ptp(values) <= 8 * np.finfo(values.dtype).eps * np.abs(values).max())


def moments(values: Numbers) -> tuple[float, float]:
    """Return mean and standard deviation, of values of any size; the deviation is at least tiny.

    >>> moments(np.array([1e300, 3e300]))
    (2e+300, 1e+300)
    """
    # Squares of the values may not be floats; a power of 2 changes no other digit.
    unit = 2.0 ** (frexp(np.abs(values).max())[1] - 1)
    scaled = values / unit
    return float(scaled.mean()) * unit, (float(scaled.std()) * unit or unit)


def standardize(table: RawTable, name: str, values: Numbers, mean: float, scale: float) -> Numbers:
    """Return values in deviations from the mean; ValueError if float32 cannot hold one."""
    with np.errstate(over="ignore"):
        result: Numbers = (values - mean) / scale
    for row in np.flatnonzero(np.abs(result) > LARGEST)[:1]:
        cell = table.column(name)[row]
        raise table.error(row, name, f"{cell} is too far from the training rows' values")
    return result

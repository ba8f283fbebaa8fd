"""Measures of how good predictions are."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.protocols import as_array

__all__ = ["accuracy", "confusion_matrix"]


def accuracy(output: ArrayLike, labels: ArrayLike) -> float:
    """Return the share of rows whose largest output is that of the label.

    Parameters
    ----------
    output : array of shape (n, classes)
    labels : integer array of shape (n,)

    Examples
    --------
    >>> accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    """
    predicted = np.argmax(as_array(output, "output"), axis=1)
    return float(np.mean(predicted == as_array(labels, "labels")))


def confusion_matrix(output: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Return how often class i was taken for class j, as an array of shape (classes, classes).

    Parameters
    ----------
    output : array of shape (n, classes)
    labels : integer array of shape (n,)

    Examples
    --------
    >>> confusion_matrix([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    array([[0, 0],
           [1, 1]])
    """
    scores = as_array(output, "output")
    table = np.zeros((scores.shape[1], scores.shape[1]), np.int64)
    np.add.at(table, (as_array(labels, "labels"), np.argmax(scores, axis=1)), 1)
    return table

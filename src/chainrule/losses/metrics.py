"""Metrics of predictions: functions of labels or targets, and of a network's output.

As in scikit-learn, ``y_true`` comes first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.utils.arguments import integer
from chainrule.utils.arrays import DOUBLE, finite_array, label_array
from chainrule.utils.columns import LABELS, REAL
from chainrule.utils.protocols import as_array
from chainrule.utils.public import listing

__all__ = [
    "accuracy",
    "confusion_matrix",
    "mean_absolute_error",
    "mean_squared_error",
    "r2_score",
    "roc_auc",
    "top_k_accuracy",
]

__dir__ = listing(__all__)

EXCHANGED = " The arguments seem to be exchanged: y_true comes first, as in scikit-learn."


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the fraction of rows whose largest output is that of the label.

    Parameters
    ----------
    y_true : array of shape (n,), integers or booleans
        Class labels. Beside one output also of shape (n, 1), or 0.0 and 1.0.
    y_pred : array of shape (n, classes), or (n, 1)
        The output of a network. One output is a logit, as for :class:`BCEWithLogitsLoss`: above 0,
        label 1 is the likelier one.

    Raises
    ------
    ValueError, TypeError
        If a shape, a dtype or a label is wrong.

    Examples
    --------
    >>> accuracy([1, 1], [[0.1, 0.9], [0.8, 0.2]])
    0.5
    >>> accuracy([1, 1], [[0.3], [-2.0]])
    0.5
    """
    scores, right = _scores_and_labels(y_true, y_pred, "y_pred")
    return float(np.mean(np.argmax(scores, axis=1) == right))


def top_k_accuracy(y_true: ArrayLike, y_score: ArrayLike, k: int = 5) -> float:
    """Return the fraction of rows whose label is among the ``k`` largest outputs.

    Of outputs that are equal, those of higher classes count as larger, as in scikit-learn.

    Parameters
    ----------
    y_true : array of shape (n,), integers or booleans
        Class labels. Beside one output also of shape (n, 1), or 0.0 and 1.0.
    y_score : array of shape (n, classes), or (n, 1)
        The output of a network. One output is a logit, as for :class:`BCEWithLogitsLoss`: above 0,
        label 1 is the likelier one.
    k : int
        From 1 to the number of classes.

    Raises
    ------
    ValueError, TypeError
        If a shape, a dtype, a label or k is wrong.

    Examples
    --------
    >>> top_k_accuracy([1, 2], [[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], k=2)
    0.5
    """
    scores, right = _scores_and_labels(y_true, y_score, "y_score")
    k = integer(k, "k", least=1)
    if k > scores.shape[1]:
        raise ValueError(f"k is {k}, but there are only {scores.shape[1]} classes.")
    largest = np.argsort(scores, axis=1, kind="stable")[:, -k:]
    return float(np.mean((largest == right[:, np.newaxis]).any(axis=1)))


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.int64]:
    """Return the confusion matrix: how often class i was predicted as class j.

    Parameters
    ----------
    y_true : array of shape (n,), integers or booleans
        Class labels. Beside one output also of shape (n, 1), or 0.0 and 1.0.
    y_pred : array of shape (n, classes), or (n, 1)
        The output of a network. One output is a logit, as for :class:`BCEWithLogitsLoss`: above 0,
        label 1 is the likelier one.

    Raises
    ------
    ValueError, TypeError
        If a shape, a dtype or a label is wrong.

    Examples
    --------
    >>> confusion_matrix([1, 1], [[0.1, 0.9], [0.8, 0.2]])
    array([[0, 0],
           [1, 1]])
    """
    scores, right = _scores_and_labels(y_true, y_pred, "y_pred")
    table = np.zeros((scores.shape[1], scores.shape[1]), np.int64)
    np.add.at(table, (right, np.argmax(scores, axis=1)), 1)
    return table


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the mean of ``(y_true - y_pred)**2`` over all entries, computed in float64.

    Parameters
    ----------
    y_true : array of shape ``(n, *)``
    y_pred : array of the same shape, or of shape ``(n, *, 1)``

    Raises
    ------
    ValueError, TypeError
        If a shape or a dtype is wrong.

    Examples
    --------
    >>> mean_squared_error([1.0, 2.0], [[1.0], [4.0]])
    2.0
    """
    right, predicted = _two_alike(y_true, y_pred)
    return float(np.mean((predicted - right) ** 2))


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the mean of ``|y_true - y_pred|`` over all entries, computed in float64.

    Parameters
    ----------
    y_true : array of shape ``(n, *)``
    y_pred : array of the same shape, or of shape ``(n, *, 1)``

    Raises
    ------
    ValueError, TypeError
        If a shape or a dtype is wrong.

    Examples
    --------
    >>> mean_absolute_error([1.0, 2.0], [[1.0], [4.0]])
    1.0
    """
    right, predicted = _two_alike(y_true, y_pred)
    return float(np.mean(np.abs(predicted - right)))


def r2_score(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the coefficient of determination, the mean of those of the columns.

    It is 1 for perfect predictions, and 0 for the mean of the targets. Where all targets of a
    column are equal, it is 1 if the predictions are, too, else 0, as in scikit-learn.

    Parameters
    ----------
    y_true : array of shape ``(n, *)``
        Two rows at least.
    y_pred : array of the same shape, or of shape ``(n, *, 1)``

    Raises
    ------
    ValueError, TypeError
        If a shape or a dtype is wrong.

    Examples
    --------
    >>> r2_score([1.0, 2.0, 3.0], [[1.0], [2.0], [4.0]])
    0.5
    """
    right, predicted = _two_alike(y_true, y_pred)
    if len(right) < 2:
        raise ValueError("r2_score needs two rows at least.")
    residual = ((predicted - right) ** 2).sum(axis=0).reshape(-1)
    total = ((right - right.mean(axis=0)) ** 2).sum(axis=0).reshape(-1)
    varies = total != 0  # NaN varies, too
    scores = np.where(residual == 0, 1.0, 0.0)
    scores[varies] = 1 - residual[varies] / total[varies]
    return float(scores.mean())


def roc_auc(y_true: ArrayLike, y_score: ArrayLike) -> float:
    """Return the area under the receiver operating characteristic, from scikit-learn.

    Parameters
    ----------
    y_true : array of shape (n,) or (n, 1)
        Labels: integers or booleans, or 0.0 and 1.0.
    y_score : array of shape (n,), (n, 1) or (n, classes)
        Scores of class 1; or logits of several classes, of which each is compared with all others
        and the areas averaged. Of two classes' logits, it is their difference that counts.

    Raises
    ------
    ImportError
        Without scikit-learn: ``pip install scikit-learn``.
    ValueError, TypeError
        If a shape or a label is wrong, or labels of a class are missing.

    Examples
    --------
    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])  # doctest: +SKIP
    0.75
    """
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise ImportError("roc_auc needs scikit-learn: pip install scikit-learn.") from error
    labels, given = as_array(y_true, "y_true", LABELS), _real(y_score, "y_score")
    rows = len(given)
    if given.ndim > 2 or labels.shape not in ((rows,), (rows, 1)):
        raise ValueError(
            f"y_true must have shape (n,) and y_score (n, classes), not {labels.shape} and "
            f"{given.shape}.{_exchanged(given, labels)}"
        )
    finite_array(given, "y_score", DOUBLE)
    columns = given.reshape(rows, -1)
    scores, right = _scores_and_labels(labels.reshape(-1), columns, "y_score")
    for missing in np.setdiff1d(np.arange(scores.shape[1]), right)[:1]:
        raise ValueError(
            f"y_true has no row of class {missing}: roc_auc compares the rows of each class with "
            "all others."
        )
    if scores.shape[1] == 2:
        return float(roc_auc_score(right, scores[:, 1] - scores[:, 0]))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    return float(roc_auc_score(right, probabilities, multi_class="ovr"))


def _real(value: ArrayLike, name: str) -> NDArray[np.float64]:
    array = as_array(value, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, but its dtype is {array.dtype}.")
    if array.ndim == 0 or len(array) == 0:
        raise ValueError(f"{name} must have at least one row, but its shape is {array.shape}.")
    if array.size == 0:
        raise ValueError(f"{name} must have no empty axis, but its shape is {array.shape}.")
    return array.astype(np.float64)


def _two_alike(
    y_true: ArrayLike, y_pred: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both, of the prediction's shape."""
    right, predicted = _real(y_true, "y_true"), _real(y_pred, "y_pred")
    if predicted.shape in ((*right.shape, 1), right.shape):
        return right.reshape(predicted.shape), predicted
    raise ValueError(
        f"y_pred must have y_true's shape, {right.shape}, but its shape is {predicted.shape}."
        f"{_exchanged(predicted, right)}"
    )


def _scores_and_labels(
    y_true: ArrayLike, y_score: ArrayLike, name: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the scores, which the caller's argument of that name has, and the labels.

    One output, a logit, becomes the scores of two classes.
    """
    scores = as_array(y_score, name)
    if scores.ndim != 2 or 0 in scores.shape:
        right = as_array(y_true, "y_true", LABELS)
        hint = _exchanged(scores, right)
        if not hint and scores.shape == right.shape and scores.dtype.kind in "biu":
            hint = (
                " It is the network's output, such as net.predict(X), not the classes predicted "
                "from it: scikit-learn's metrics take these."
            )
        raise ValueError(
            f"{name} must have shape (n, classes), with rows, but its shape is {scores.shape}."
            f"{hint}"
        )
    if scores.shape[1] == 1:
        y_true = _of_two_classes(y_true, scores)
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    return scores, label_array(y_true, scores.shape[0], scores.shape[1], "y_true")


def _of_two_classes(y_true: ArrayLike, scores: NDArray[Any]) -> NDArray[Any]:
    """Return labels 0 and 1, also of targets as BCEWithLogitsLoss takes them."""
    right, rows = as_array(y_true, "y_true", LABELS), len(scores)
    if right.shape == (rows, 1):
        right = right[:, 0]
    if right.shape != (rows,) or right.dtype.kind not in REAL:
        return right  # for label_array's error
    wrong = (right != 0) & (right != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"y_true has label {right[row]} at row {row}, but one output tells labels 0 and 1 "
            f"apart.{EXCHANGED if np.isin(scores, (0, 1)).all() else ''}"
        )
    return right.astype(np.int64)


def _exchanged(predicted: NDArray[Any], right: NDArray[Any]) -> str:
    """Return a hint where labels or targets stand at the place of the output."""
    if right.ndim != predicted.ndim + 1 or len(right) != len(predicted):
        return ""
    return EXCHANGED

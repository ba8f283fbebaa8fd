"""Metrics of one logit a row, as BCEWithLogitsLoss takes it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import chainrule as cr

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
Y = (X[:, 0] + rng.normal(size=40) > 0).astype(int)
LOGITS = np.array([[1.5], [-0.5], [0.0], [2.0]], "float32")
RIGHT = np.array([1, 1, 0, 0])
FORMS = [RIGHT, RIGHT.astype(bool), RIGHT.astype("float32"), RIGHT[:, np.newaxis], RIGHT.tolist()]


@pytest.mark.parametrize("y", FORMS)
def test_one_logit_tells_two_classes_apart(y):
    assert cr.metrics.accuracy(y, LOGITS) == 0.5
    assert_array_equal(cr.metrics.confusion_matrix(y, LOGITS), [[1, 1], [1, 1]])
    assert cr.metrics.top_k_accuracy(y, LOGITS, k=2) == 1.0


def test_accuracy_is_that_of_the_loss():
    net = cr.Sequential(cr.Linear(3, 1), seed=0)
    history = cr.fit(
        net, X, Y, loss=cr.BCEWithLogitsLoss(), validation=(X, Y), epochs=2, progress=False,
        metrics={"share": cr.metrics.accuracy},
    )  # fmt: skip
    assert history.metrics["share"] == pytest.approx(history.validation_accuracy)
    assert cr.metrics.accuracy(Y, net.predict(X)) == pytest.approx(history.validation_accuracy[-1])


@pytest.mark.parametrize("metric", ["accuracy", "confusion_matrix", "top_k_accuracy"])
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (
            [0, 1, 2, 0],
            ValueError,
            "y_true has label 2 at row 2, but one output tells labels 0 and",
        ),
        ([0.0, 0.3, 1.0, 0.0], ValueError, r"y_true has label 0\.3 at row 1, but one output"),
        ([0, 1], ValueError, r"y_true must have shape \(4,\)"),
        (np.zeros((4, 2), int), ValueError, r"y_true must have shape \(4,\)"),
        (["a", "b", "a", "a"], TypeError, "y_true must hold integer class labels"),
    ],
)
def test_other_labels(metric, y, error, message):
    options = {"k": 1} if metric == "top_k_accuracy" else {}
    with pytest.raises(error, match=message):
        getattr(cr.metrics, metric)(y, LOGITS, **options)


def test_r2_of_nan_is_nan():
    assert np.isnan(cr.metrics.r2_score([np.nan, 1.0, 2.0], [0.0, 1.0, 2.0]))
    assert cr.metrics.r2_score([1.0, 1.0], [1.0, 1.0]) == 1.0

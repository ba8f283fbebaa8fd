"""The scores that early stopping checks are scikit-learn's, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, r2_score

from chainrule.interop.sklearn import NetworkClassifier
from chainrule.interop.sklearn.scores import r2

ROWS = 23
FLOATS = [np.float32, np.float64]
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, 3))


@settings(max_examples=100, deadline=None)
@given(
    of_y=st.sampled_from([*FLOATS, np.int64]),
    of_predicted=st.sampled_from(FLOATS),
    of_weights=st.sampled_from([None, *FLOATS]),
    shape=st.sampled_from([(ROWS,), (ROWS, 1), (ROWS, 3)]),
    mean=st.sampled_from([0, 1000]),
    constant=st.booleans(),
    exact=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_r2_is_scikit_learns(of_y, of_predicted, of_weights, shape, mean, constant, exact, seed):
    random = np.random.default_rng(seed)
    y = (mean + 3 * random.normal(size=shape)).astype(of_y)
    if constant:
        y[...] = y[0]
    predicted = (y + (not exact) * random.normal(size=shape)).astype(of_predicted)
    weights = None if of_weights is None else random.random(ROWS).astype(of_weights)
    assert r2(y, predicted, weights) == r2_score(y, predicted, sample_weight=weights)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", ["two classes", "classes", "labels"])
def test_the_score_of_a_classifier_is_its_accuracy(shape, weighted):
    y = {
        "two classes": np.arange(ROWS) % 2,
        "classes": np.arange(ROWS) % 3,
        "labels": RANDOM.integers(0, 2, (ROWS, 3)),
    }[shape]
    weights = np.linspace(0.0, 2.0, ROWS) if weighted else None
    model = NetworkClassifier(8, max_iter=5, random_state=0).fit(X, y)
    expected = accuracy_score(y, model.predict(X), sample_weight=weights)
    assert 0 < expected < 1
    assert model._validation_score(X, y, weights) == expected

"""scikit-learn's own checks of an estimator's contract."""

import pytest
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
    parametrize_with_checks,
)

from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor

IN_DOUBLE = [
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [NetworkClassifier(max_iter=100), NetworkRegressor(max_iter=100)],
    expected_failed_checks=lambda estimator: {
        check.__name__: "asks float32 for 1e-7; holds in float64, below" for check in IN_DOUBLE
    },
)
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", IN_DOUBLE)
@pytest.mark.parametrize(
    "model",
    [
        NetworkClassifier(solver="lbfgs", dtype="float64"),
        NetworkRegressor(solver="sgd", tol=1e-2, random_state=42, dtype="float64"),
    ],
)
def test_contract_in_double(model, check):
    check(type(model).__name__, model)

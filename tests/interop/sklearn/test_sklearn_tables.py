"""Tables with columns of numbers and of codes, and several arrays instead of a table."""

import numpy as np
import pandas as pd
import pytest

import chainrule as cr
from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ROWS = 120
RANDOM = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "height": RANDOM.normal(size=ROWS),
        "code": RANDOM.integers(0, 5, ROWS),
        "width": RANDOM.normal(size=ROWS).astype("float32"),
    }
)
# What a number line through the codes does not tell.
LABELS = np.isin(TABLE["code"], [1, 3]).astype(int)
VALUES = LABELS + 0.5 * TABLE["height"].to_numpy()
NUMBERS, CODES = TABLE[["height", "width"]].to_numpy(), TABLE[["code"]].to_numpy()


def divided(n_in, n_out):
    code = cr.Sequential(cr.Columns([1]), cr.Embedding(5, 3), cr.Flatten(), seed=1)
    branches = cr.Parallel(code, cr.Columns([0, 2]), combine="concatenate")
    return cr.Sequential(branches, cr.Linear(5, n_out), seed=0)


KINDS = pytest.mark.parametrize(
    ("kind", "y"), [(NetworkClassifier, LABELS), (NetworkRegressor, VALUES)]
)


@KINDS
def test_a_module_divides_a_table_of_numbers_and_codes(kind, y):
    options = {
        "learning_rate_init": 0.1,
        "max_iter": 200,
        "n_iter_no_change": 200,
        "random_state": 0,
    }
    model = kind(module=divided, **options).fit(TABLE, y)
    in_line = kind(module=lambda a, b: cr.Sequential(cr.Linear(a, b), seed=0), **options)
    assert model.score(TABLE, y) > 0.95 > 0.8 > in_line.fit(TABLE, y).score(TABLE, y)
    np.testing.assert_allclose(model.predict(TABLE[5:9]), model.predict(TABLE)[5:9], rtol=1e-6)
    wrong = TABLE.copy()
    wrong.loc[9, "code"] = 5
    for call in (model.predict, lambda X: kind(module=divided).fit(X, y)):
        with pytest.raises(ValueError, match=r"X has the code 5\.0 at row 9, column 1 \('code'\),"):
            call(wrong)


SEVERAL = {
    "a tuple of 2 arrays": (NUMBERS, CODES),
    "a tuple of 2 tables": (TABLE[["height", "width"]], TABLE[["code"]]),
    "a tuple of arrays of one shape": (NUMBERS, NUMBERS),
    "a list of 2 arrays of different shapes": [NUMBERS, CODES],
    "a dict": {"numbers": NUMBERS, "codes": CODES},
}


@KINDS
@pytest.mark.parametrize("several", SEVERAL)
def test_several_arrays_are_an_error_that_says_what_to_do(kind, y, several):
    fitted = kind(max_iter=2, learning_rate_init=0.05).fit(NUMBERS, y)
    calls = (
        lambda X: kind().fit(X, y),
        lambda X: kind(module=divided).fit(X, y),
        lambda X: fitted.partial_fit(X, y),
        fitted.predict,
        lambda X: fitted.score(X, y),
    )
    for call in calls:
        with pytest.raises(
            ValueError,
            match=r"^X must be one table, but it is a (tuple|list|dict).*with cr\.Columns",
        ):
            call(SEVERAL[several])


@KINDS
def test_a_module_with_several_inputs_is_an_error_that_says_what_to_do(kind, y):
    module = cr.Sequential(cr.Inputs(cr.Linear(2, 4), cr.Linear(1, 4)), cr.Linear(8, 1), seed=0)
    with pytest.raises(ValueError, match=r"^module must have one input.*has 2\. Put all columns"):
        kind(module=module).fit(TABLE, y)

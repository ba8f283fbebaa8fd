"""Losses called by hand: values, gradients, weights, extremes, what they take and refuse."""

import numpy as np
import pytest

import chainrule as cr

RNG = np.random.default_rng(0)
OUTPUT, TARGET = RNG.normal(size=(6, 3)), RNG.uniform(size=(6, 3))
LABELS = RNG.integers(0, 3, 6)
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 3.0, 1.0])


def mse(output, target):
    return ((output - target) ** 2).mean(axis=1), 2 * (output - target) / output.shape[1]


def huber(output, target, delta):
    e = output - target
    inside = np.abs(e) < delta
    rows = np.where(inside, e**2 / 2, delta * (np.abs(e) - delta / 2)).mean(axis=1)
    return rows, np.where(inside, e, delta * np.sign(e)) / output.shape[1]


def bce(output, target):
    p = 1 / (1 + np.exp(-output))
    rows = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean(axis=1)
    return rows, (p - target) / output.shape[1]


def cross_entropy(output, labels, smoothing):
    classes = output.shape[1]
    p = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    aim = (1 - smoothing) * np.eye(classes)[labels] + smoothing / classes
    return -(aim * np.log(p)).sum(axis=1), p - aim


CASES = [
    (cr.MSELoss(), TARGET, mse, ()),
    (cr.HuberLoss(), TARGET, huber, (1.0,)),
    (cr.HuberLoss(delta=0.3), TARGET, huber, (0.3,)),
    (cr.BCEWithLogitsLoss(), TARGET, bce, ()),
    (cr.CrossEntropyLoss(), LABELS, cross_entropy, (0.0,)),
    (cr.CrossEntropyLoss(label_smoothing=0.2), LABELS, cross_entropy, (0.2,)),
    (cr.CrossEntropyLoss(label_smoothing=1), LABELS, cross_entropy, (1.0,)),
]
each_case = pytest.mark.parametrize(("loss", "y", "formula", "numbers"), CASES, ids=repr)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@each_case
def test_value_and_gradient_follow_the_formula(
    loss, y, formula, numbers, weights, dtype, tolerance
):
    rows, d_rows = formula(OUTPUT, y, *numbers)
    share = np.full(6, 1 / 6) if weights is None else weights / weights.sum()
    value, d_output = loss(OUTPUT.astype(dtype), y, weights)
    assert isinstance(value, float)
    assert value == pytest.approx(share @ rows, rel=10 * tolerance)
    assert d_output.dtype == dtype
    np.testing.assert_allclose(
        d_output, share[:, None] * d_rows, rtol=10 * tolerance, atol=tolerance
    )


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 17])
@each_case
def test_each_row_has_its_own_weight_the_last_too(loss, y, formula, numbers, rows):
    rng = np.random.default_rng(rows)
    output, target = rng.normal(size=(rows, 3)), rng.uniform(size=(rows, 3))
    if loss.takes_labels:
        target = rng.integers(0, 3, rows)
    values, d_rows = formula(output, target, *numbers)
    in_ops = {
        cr.MSELoss: cr.ops.mse,
        cr.HuberLoss: lambda o, t, w: cr.ops.huber(o, t, *numbers, w),
        cr.BCEWithLogitsLoss: cr.ops.bce_with_logits,
        cr.CrossEntropyLoss: lambda o, t, w: cr.ops.cross_entropy(o, t, *numbers, w),
    }[type(loss)]
    by_engine = cr.value_and_grad(cr.Sequential(cr.Identity(), dtype="float64"), loss, "x")
    for row in range(rows):
        alone, odd = np.zeros(rows), np.ones(rows)
        alone[row], odd[row] = 3.0, 4.0
        for weights in (alone, odd):
            share = weights / weights.sum()
            for value, d_output in (
                loss(output, target, weights),
                in_ops(output, target, weights),
                by_engine(np.empty(0), output, target, weights),
            ):
                assert value == pytest.approx(share @ values, rel=1e-12)
                np.testing.assert_allclose(d_output, share[:, None] * d_rows, atol=1e-14)


@each_case
def test_a_weight_of_two_is_a_row_twice_and_of_zero_a_row_less(loss, y, formula, numbers):
    value, d_output = loss(OUTPUT, y, [2, 1, 0, 1, 1, 1])
    chosen = [0, 0, 1, 3, 4, 5]
    repeated, d_repeated = loss(OUTPUT[chosen], y[chosen])
    assert value == pytest.approx(repeated, rel=1e-14)
    assert not d_output[2].any()
    np.testing.assert_allclose(d_output[0], 2 * d_repeated[0], rtol=1e-13)


@each_case
def test_weights_of_zero_only_give_zero(loss, y, formula, numbers):
    value, d_output = loss(OUTPUT, y, np.zeros(6))
    assert value == 0
    assert not d_output.any()


@pytest.mark.parametrize("loss", [cr.MSELoss(), cr.HuberLoss(), cr.BCEWithLogitsLoss()], ids=repr)
def test_outputs_of_any_shape(loss):
    output, target = RNG.normal(size=(4, 2, 3)), RNG.uniform(size=(4, 2, 3))
    value, d_output = loss(output, target)
    flat, d_flat = loss(output.reshape(4, 6), target.reshape(4, 6))
    assert value == flat
    assert np.array_equal(d_output, d_flat.reshape(4, 2, 3))


def test_one_output_takes_targets_of_one_dimension():
    column, row = OUTPUT[:, :1], TARGET[:, 0]
    value, d_output = cr.MSELoss()(column, row)
    same, d_same = cr.MSELoss()(column, row[:, None])
    assert (value, d_output.shape) == (same, (6, 1))
    assert np.array_equal(d_output, d_same)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits_stay_finite(dtype):
    logits = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]], dtype)
    value, d_output = cr.CrossEntropyLoss()(logits, [0, 0])
    assert value == 1000
    assert d_output.tolist() == [[0, 0], [-0.5, 0.5]]
    value, d_output = cr.BCEWithLogitsLoss()(logits, [[1, 1], [1, 1]])
    assert value == 500
    assert d_output.tolist() == [[0, -0.25], [-0.25, 0]]


def test_small_losses_are_not_lost():
    value, d_output = cr.BCEWithLogitsLoss()([[50.0]], [1])
    assert value == pytest.approx(np.exp(-50.0), rel=1e-12)
    assert d_output[0, 0] == pytest.approx(-np.exp(-50.0), rel=1e-12)


def test_huber_meets_the_square_and_the_line_at_delta():
    value, d_output = cr.HuberLoss(delta=2.0)([[2.0], [-2.0]], [0, 0])
    assert value == 2
    assert d_output.tolist() == [[1], [-1]]


@pytest.mark.parametrize("output", [[[1, 2], [3, 4]], np.array([[1, 2], [3, 4]], np.int8)])
def test_other_outputs_are_computed_in_float64(output):
    value, d_output = cr.MSELoss()(output, np.zeros((2, 2)))
    assert value == 7.5
    assert d_output.dtype == "float64"


def as_read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, as_read_only, lambda array: np.repeat(array, 2, axis=0)[::2]],
    ids=["Fortran", "read-only", "every second"],
)
@each_case
def test_any_layout_gives_the_same_bits(loss, y, formula, numbers, layout):
    value, d_output = loss(OUTPUT, y, WEIGHTS)
    same, d_same = loss(layout(OUTPUT), layout(y), layout(WEIGHTS))
    assert same == value
    assert np.array_equal(d_same, d_output)


def test_arguments_are_not_changed_and_the_gradient_is_the_callers():
    output, target = OUTPUT.copy(), TARGET.copy()
    loss = cr.MSELoss()
    _, first = loss(output, target)
    kept = first.copy()
    loss(2 * output, target)
    assert np.array_equal(first, kept)
    assert np.array_equal(output, OUTPUT)
    assert np.array_equal(target, TARGET)


def test_losses_are_values():
    assert cr.HuberLoss(delta=2.0) == cr.HuberLoss(delta=2.0)
    assert cr.MSELoss() != cr.BCEWithLogitsLoss()
    assert repr(cr.CrossEntropyLoss(0.1)) == "CrossEntropyLoss(label_smoothing=0.1)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cr.HuberLoss(delta=0),
            ValueError,
            r"HuberLoss's delta must be more than 0, not 0\.",
        ),
        (lambda: cr.HuberLoss(delta=np.nan), ValueError, r"delta must be more than 0, not nan\."),
        (lambda: cr.HuberLoss(delta=-1), ValueError, r"delta must be more than 0, not -1\."),
        (lambda: cr.HuberLoss(delta="1"), TypeError, r"delta must be a number, not '1'\."),
        (
            lambda: cr.CrossEntropyLoss(weight=[0, 0.0]),
            ValueError,
            r"CrossEntropyLoss's weight must not be 0 for all classes\.",
        ),
        (
            lambda: cr.CrossEntropyLoss(label_smoothing=1.5),
            ValueError,
            r"CrossEntropyLoss's label_smoothing must be from 0 to 1, not 1\.5\.",
        ),
        (
            lambda: cr.CrossEntropyLoss(label_smoothing=-0.1),
            ValueError,
            r"label_smoothing must be from 0 to 1, not -0\.1\.",
        ),
        (
            lambda: cr.BCEWithLogitsLoss()(np.zeros((2, 1)), [0, -0.5]),
            ValueError,
            r"y must lie between 0 and 1 for BCEWithLogitsLoss, but row 1 has -0\.5\.",
        ),
        (
            lambda: cr.MSELoss()([[0.0], [np.nan]], [0, 0]),
            ValueError,
            r"output must be finite, but output\[1, 0\] is nan\.",
        ),
        (
            lambda: cr.BCEWithLogitsLoss()(OUTPUT, TARGET + 0.5),
            ValueError,
            r"y must lie between 0 and 1 for BCEWithLogitsLoss, but row \d has 1\.\d+\.",
        ),
        (
            lambda: cr.CrossEntropyLoss()(np.zeros((2, 3, 4)), [0, 1]),
            ValueError,
            r"takes an output of shape \(n, classes\), not \(2, 3, 4\)\.",
        ),
        (
            lambda: cr.MSELoss()(OUTPUT, TARGET, [1, 2]),
            ValueError,
            r"sample_weight must have shape \(6,\), one weight a row, but its shape is \(2,\)\.",
        ),
        (
            lambda: cr.MSELoss()(OUTPUT / 0.0, TARGET),
            ValueError,
            r"output must be finite, but output\[0, 0\] is",
        ),
        (
            lambda: cr.MSELoss()(OUTPUT[0], TARGET[0]),
            ValueError,
            r"output must have shape \(n, features\), batch first",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def losses_of_one_number():
    """Return each loss that may have an output of one number, but class labels as targets."""
    kinds = [getattr(cr, name) for name in cr.losses.__all__]
    kinds = [kind for kind in kinds if not kind.takes_labels and kind is not cr.GaussianNLLLoss]
    return [kind((0.3,)) if kind is cr.QuantileLoss else kind() for kind in kinds]


@pytest.mark.parametrize("places", [(), (4,), (6,), (1,), (2, 3)])
@pytest.mark.parametrize("loss", losses_of_one_number(), ids=repr)
def test_targets_may_leave_out_a_last_axis_of_one_number(loss, places):
    """There is one for each place, of an output for sequences too; nothing is broadcast."""
    rng = np.random.default_rng(0)
    output, y = rng.normal(size=(6, *places, 1)), rng.uniform(size=(6, *places))
    value, d_output = loss(output, y)
    same, d_same = loss(output, y[..., np.newaxis])
    one_by_one = [loss([[a]], [b])[0] for a, b in zip(output.flat, y.flat, strict=True)]
    assert value == same == pytest.approx(np.mean(one_by_one))
    np.testing.assert_array_equal(d_output, d_same)
    for other in {(6, *places, 3), (6, 1, *places)} - {output.shape, y.shape}:
        with pytest.raises(ValueError, match="y must have the shape of the output"):
            loss(output, np.zeros(other))

"""Rows of a step, their weights and their order: what fit makes of sizes, weights and seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(50, 4)), rng.integers(0, 3, 50)
TARGETS = rng.normal(size=(50, 3))


def network(*extra, dtype="float32"):
    return cr.Sequential(cr.Linear(4, 8), cr.Tanh(), *extra, cr.Linear(8, 3), seed=0, dtype=dtype)


def fit(net, rows=slice(None), **options):
    defaults = {"loss": cr.CrossEntropyLoss(), "epochs": 2, "batch_size": 16, "progress": False}
    return cr.fit(net, X[rows], Y[rows], **defaults | options)


# Sizes


def test_a_batch_size_of_more_than_the_rows_is_all_of_them():
    nets, sizes = [network() for _ in range(3)], []

    class Size(cr.Callback):
        def on_fit_begin(self, training):
            sizes.append(training.batch_size)

    for net, size in zip(nets, (20, 21, None), strict=True):
        fit(net, slice(20), batch_size=size, callbacks=[Size()])
    assert sizes == [20, 20, 20]
    for net in nets[1:]:
        assert np.array_equal(net.params, nets[0].params)
    cr.find_lr(network(), X[:20], Y[:20], loss=cr.CrossEntropyLoss(), batch_size=99)


def test_estimators_say_that_they_take_all_rows_as_scikit_learn_does():
    estimators = pytest.importorskip("chainrule.interop.sklearn")
    few = estimators.NetworkClassifier((4,), batch_size=20, max_iter=2, tol=0.0, random_state=0)
    many = estimators.NetworkClassifier((4,), batch_size=21, max_iter=2, tol=0.0, random_state=0)
    few.partial_fit(X[:20], Y[:20], classes=[0, 1, 2])
    with pytest.warns(UserWarning, match="batch_size is 21, but there are only 20 rows"):
        many.partial_fit(X[:20], Y[:20], classes=[0, 1, 2])
    assert np.array_equal(few.network_.params, many.network_.params)


# Weights of the validation

LOSSES = {
    "labels": (cr.CrossEntropyLoss(), Y),
    "yes or no": (cr.BCEWithLogitsLoss(), (TARGETS > 0).astype(float)),
    "numbers": (cr.MSELoss(), TARGETS),
    "robust": (cr.HuberLoss(), TARGETS),
    "a tuple": (cr.MultiLoss(cr.CrossEntropyLoss()), (Y,)),
}


def validated(loss, y, *validation, **options):
    history = cr.fit(
        network(dtype="float64"), X, y, loss=loss, epochs=2, progress=False,
        validation=validation, **options,
    )  # fmt: skip
    return history.validation_loss, history.validation_accuracy


@pytest.mark.parametrize("kind", LOSSES)
@settings(max_examples=10)
@given(weights=st.lists(st.integers(0, 3), min_size=50, max_size=50).filter(any))
def test_a_weight_of_the_validation_counts_a_row_so_often(kind, weights):
    loss, y = LOSSES[kind]
    rows = np.repeat(np.arange(50), weights)
    several = isinstance(y, tuple)
    repeated = tuple(of_head[rows] for of_head in y) if several else y[rows]
    expected = validated(loss, y, X[rows], repeated)
    weighted = validated(loss, y, X, y, weights)
    np.testing.assert_allclose(weighted[0], expected[0], rtol=1e-10)
    np.testing.assert_allclose(weighted[1], expected[1], rtol=1e-10)
    scaled = validated(loss, y, X, y, 7.5 * np.array(weights))
    np.testing.assert_allclose(scaled[0], expected[0], rtol=1e-10)
    np.testing.assert_allclose(scaled[1], expected[1], rtol=1e-10)


def test_a_validation_without_weights_is_one_of_equal_weights():
    loss, y = LOSSES["labels"]
    alone = validated(loss, y, X, y)
    assert validated(loss, y, X, y, None) == alone
    equal = validated(loss, y, X, y, np.ones(50))
    np.testing.assert_allclose(equal, alone, rtol=1e-12)


def test_weights_of_the_validation_belong_to_what_a_checkpoint_goes_on_with(tmp_path):
    kept = {"checkpoint": tmp_path / "run", "resume": True}
    weights = np.linspace(0, 1, 50)
    fit(network(), validation=(X, Y, weights), **kept)
    with pytest.raises(ValueError, match="validation sample_weight is None, but was"):
        fit(network(), validation=(X, Y), epochs=3, **kept)
    fit(network(), validation=(X, Y, weights), epochs=3, **kept)


# Orders and masks


@pytest.mark.parametrize("parts", [[1] * 5, [2, 3], [4, 1]])
@pytest.mark.parametrize("rows", [50, 48, 7])
@pytest.mark.parametrize("drops", [False, True])
def test_several_calls_with_one_optimizer_are_one_call(parts, rows, drops):
    extra = [cr.Dropout(0.5)] if drops else []
    whole, parted = network(*extra), network(*extra)
    options = {"rows": slice(rows), "batch_size": 7, "seed": 3}
    expected = fit(whole, optimizer=cr.Adam(), epochs=5, **options)
    optimizer, losses = cr.Adam(), []
    for epochs in parts:
        losses += fit(parted, optimizer=optimizer, epochs=epochs, **options).batch_loss
    assert losses == expected.batch_loss
    assert np.array_equal(parted.params, whole.params)
    assert len(set(expected.loss)) == 5


def silent():
    """Return a network whose output is 0."""
    net = cr.Sequential(cr.Linear(4, 1), seed=0, dtype="float64")
    net.params[:] = 0.0
    return net


def orders_of(optimizer, calls, net=None, **options):
    """Return the rows' numbers as each call of one epoch sees them, told from their losses."""
    net = silent() if net is None else net
    options |= {"loss": cr.MSELoss(), "epochs": 1, "batch_size": 1, "progress": False}
    orders = []
    for _ in range(calls):
        history = cr.fit(net, X, np.sqrt(np.arange(50.0)), optimizer=optimizer, **options)
        orders.append(tuple(np.rint(history.batch_loss).astype(int).tolist()))
    return orders


def test_each_call_has_an_order_of_its_own_and_a_new_optimizer_begins_anew():
    orders = orders_of(cr.SGD(lr=0.0), 4)
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len(set(orders)) == 4
    assert orders_of(cr.SGD(lr=0.0), 1) == orders[:1]


def test_a_call_after_an_epoch_that_was_not_finished_has_the_next_order():
    class Stop(cr.Callback):
        every = 20

        def on_steps(self, training):
            training.stop()

    optimizer, net = cr.SGD(lr=0.0), silent()
    (begun,) = orders_of(optimizer, 1, net, callbacks=[Stop()])
    first, second = orders_of(cr.SGD(lr=0.0), 2)
    assert begun == first[:20]
    assert orders_of(optimizer, 1, net) == [second]


def test_a_second_training_that_is_resumed_has_the_orders_it_would_have_had(tmp_path):
    whole, parted = network(cr.Dropout(0.5)), network(cr.Dropout(0.5))
    optimizer = cr.Adam()
    for epochs in (2, 4):
        fit(whole, optimizer=optimizer, epochs=epochs)

    class Stop(cr.Callback):
        every = 6  # in the middle of the second epoch

        def on_steps(self, training):
            training.interruption.requested = True

    optimizer = cr.Adam()
    fit(parted, optimizer=optimizer, epochs=2)
    kept = {"checkpoint": tmp_path / "run", "resume": True, "epochs": 4}
    fit(parted, optimizer=optimizer, callbacks=[Stop()], interrupt="stop", **kept)
    resumed = network(cr.Dropout(0.5))
    fit(resumed, optimizer=cr.Adam(), **kept)
    assert np.array_equal(resumed.params, whole.params)

"""Arrays that somebody writes into after they were checked: no index may follow what they say."""

import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule.models.data_set import DataSet

pytestmark = pytest.mark.once

rng = np.random.default_rng(0)
ROWS, CLASSES = 50, 3
WRONG = [CLASSES, -1, 10_000_000, -(2**40)]


def log_probability(output, label, losses, d_output):
    for i in range(output.shape[0]):
        losses[i] = -output[i, label[i]]
        for j in range(output.shape[1]):
            d_output[i, j] = 0.0
        d_output[i, label[i]] = -1.0


class LogProbability(cr.NumPyLoss):
    def forward(self, output, label):
        gradient = np.zeros_like(output)
        np.put_along_axis(gradient, label[:, None], -1, axis=1)
        return -np.take_along_axis(output, label[:, None], axis=1)[:, 0], gradient


class Write(cr.Callback):
    """Writes into arrays after each epoch, and after a step."""

    every = 3

    def __init__(self, *changes):
        self.changes = changes

    def on_epoch_end(self, training):
        for array, value in self.changes:
            array[...] = value

    on_steps = on_epoch_end


def data():
    X, y = rng.normal(size=(ROWS, 4)), rng.integers(0, CLASSES, ROWS)
    return X, y, rng.uniform(0.5, 2.0, ROWS)


def network(**options):
    return cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, CLASSES), seed=0, **options)


def fit(net, X, y, **options):
    defaults = {"loss": cr.CrossEntropyLoss(), "epochs": 3, "batch_size": 16, "progress": False}
    return cr.fit(net, X, y, **defaults | options)


LABEL_LOSSES = [cr.CrossEntropyLoss(), cr.CompiledLoss(log_probability), LogProbability()]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("loss", LABEL_LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_labels_and_weights_of_a_training_stay_what_they_were(loss, wrong, backend):
    X, y, weights = data()
    alone, disturbed = network(backend=backend), network(backend=backend)
    options = {"loss": loss, "backend": backend}
    expected = fit(alone, X, y, sample_weight=weights, validation=(X, y), **options)
    write = Write((y, wrong), (weights, -1.0))
    history = fit(
        disturbed, X, y, sample_weight=weights, validation=(X, y), callbacks=[write], **options
    )
    assert (y == wrong).all()
    assert np.array_equal(alone.params, disturbed.params)
    assert history.batch_loss == expected.batch_loss
    assert history.validation_loss == expected.validation_loss
    assert history.validation_accuracy == expected.validation_accuracy


def test_labels_of_several_outputs_stay_what_they_were():
    X, y, _ = data()
    targets = rng.normal(size=(ROWS, 2))

    def two_heads():
        heads = cr.Branch(cr.Linear(8, CLASSES), cr.Linear(8, 2))
        return cr.Sequential(cr.Linear(4, 8), cr.Tanh(), heads, seed=0)

    alone, disturbed = two_heads(), two_heads()
    loss = cr.MultiLoss(cr.CrossEntropyLoss(), cr.MSELoss())
    expected = fit(alone, X, (y, targets), loss=loss)
    write = Write((y, 10_000_000))
    history = fit(disturbed, X, (y, targets), loss=loss, callbacks=[write])
    assert history.batch_loss == expected.batch_loss
    assert np.array_equal(alone.params, disturbed.params)


def test_a_stream_that_uses_its_memory_again():
    X, y, weights = data()
    rows, labels, of_rows = np.empty((10, 4)), np.empty(10, np.int64), np.empty(10)

    def batches():
        for start in range(0, ROWS, 10):
            of_batch = slice(start, start + 10)
            rows[:], labels[:], of_rows[:] = X[of_batch], y[of_batch], weights[of_batch]
            yield rows, labels, of_rows

    alone, disturbed = network(), network()
    options = {"loss": cr.CrossEntropyLoss(), "epochs": 3, "progress": False}
    cr.fit(alone, lambda: ((x.copy(), y.copy(), w.copy()) for x, y, w in batches()), **options)
    write = Write((rows, np.nan), (labels, 10_000_000), (of_rows, -1.0))
    write.every = 1
    cr.fit(disturbed, batches, callbacks=[write], **options)
    assert np.array_equal(alone.params, disturbed.params)


def test_an_objective_keeps_its_labels_and_weights():
    X, y, weights = data()
    goal = cr.objective(network(), cr.CrossEntropyLoss(), X, y, weights)
    value, gradient = goal.fun(goal.start)
    y[:], weights[:] = 10_000_000, -1.0
    assert goal.fun(goal.start)[0] == value
    assert np.array_equal(goal.fun(goal.start)[1], gradient)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint64"])
def test_what_is_checked_is_a_copy_of_labels_and_weights(dtype):
    X, y, weights = data()
    y, weights = y.astype(dtype), weights.astype("float32")
    batch = DataSet.checked(network(), cr.CrossEntropyLoss(), X, y, weights)
    (labels,) = batch.targets.values
    assert not np.shares_memory(labels, y)
    assert not np.shares_memory(batch.weights, weights)
    assert np.shares_memory(batch.inputs, X)  # which may be large
    for array in (labels, batch.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_what_is_written_into_x_and_targets_are_other_numbers_at_the_same_places():
    X, _, _ = data()
    targets = rng.normal(size=(ROWS, CLASSES)).astype("float32")
    for array in (X, targets):
        net = network()
        kept = array.copy()
        with pytest.raises(cr.NonFiniteError):
            fit(net, X, targets, loss=cr.MSELoss(), callbacks=[Write((array, np.nan))])
        assert np.isfinite(net.params).all()
        array[...] = kept


def test_an_x_that_gets_another_shape_is_read_as_it_was():
    X, y, _ = data()
    alone, disturbed = network(), network()
    fit(alone, X.copy(), y)

    class Reshape(cr.Callback):
        def on_epoch_end(self, training):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy 2.5
                X.shape = (4, ROWS)

    fit(disturbed, X, y, callbacks=[Reshape()])
    assert X.shape == (4, ROWS)
    assert np.array_equal(alone.params, disturbed.params)


@pytest.mark.parametrize("wrong", WRONG)
def test_labels_of_one_call_are_checked_where_nobody_can_write(wrong):
    output, labels = rng.normal(size=(6, CLASSES)), np.zeros(6, np.int64)
    labels[4] = wrong
    for call in (cr.CrossEntropyLoss(), cr.ops.cross_entropy):
        with pytest.raises(ValueError, match=str(wrong)):
            call(output, labels)
    largest = np.full(6, 2**64 - 1, np.uint64)  # -1 as int64
    for call in (cr.CrossEntropyLoss(), cr.ops.cross_entropy):
        with pytest.raises(ValueError, match=str(2**64 - 1)):
            call(output, largest)

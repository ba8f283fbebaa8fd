"""False and True are labels 0 and 1, wherever there are labels."""

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pytest

import chainrule as cr
from chainrule import reference

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(20, 3)), rng.normal(size=20) > 0
OUTPUT = rng.normal(size=(20, 2))
QUANTILES = (0.1, 0.9)  # one for each column of OUTPUT
LOSSES = [
    cr.QuantileLoss(QUANTILES) if kind is cr.QuantileLoss else kind()
    for kind in (getattr(cr.losses, name) for name in cr.losses.__all__)
]
SERIES = {
    "list": list,
    "Python's": lambda y: y.tolist(),
    "pandas": pd.Series,
    "pandas, nullable": lambda y: pd.Series(y, dtype="boolean"),
    "pandas, Arrow": lambda y: pd.Series(y, dtype="bool[pyarrow]"),
    "polars": pl.Series,
}


def targets_of(loss):
    """Booleans as the loss takes them for an output like ``OUTPUT``."""
    shape = loss.target_shape(OUTPUT.shape[1:])
    return rng.random((len(OUTPUT), *shape)) > 0.5


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_every_loss(loss):
    y = targets_of(loss)
    value, d_output = loss(OUTPUT, y)
    of_integers, d_of_integers = loss(OUTPUT, y.astype(int))
    assert value == of_integers
    np.testing.assert_array_equal(d_output, d_of_integers)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("ops", [cr.ops, reference], ids=["ops", "reference"])
def test_every_loss_on_arrays(loss, ops):
    function, y = getattr(ops, loss.operation), targets_of(loss)
    numbers = {"quantiles": QUANTILES} if loss.operation == "quantile" else {}
    value, d_output = function(OUTPUT, y, **numbers)
    of_integers, d_of_integers = function(OUTPUT, y.astype(int), **numbers)
    assert value == of_integers
    np.testing.assert_array_equal(d_output, d_of_integers)


@pytest.mark.parametrize("name", cr.metrics.__all__)
def test_every_metric(name):
    metric = getattr(cr.metrics, name)
    output = OUTPUT[:, 0] if "error" in name or "r2" in name else OUTPUT
    options = {"k": 1} if "k" in inspect.signature(metric).parameters else {}

    def measured(labels):
        first = next(iter(inspect.signature(metric).parameters))
        both = (output, labels) if first == "output" else (labels, output)
        return metric(*both, **options)

    np.testing.assert_array_equal(measured(Y), measured(Y.astype(int)))


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
def test_every_kind_of_column(series):
    value, _ = cr.CrossEntropyLoss()(OUTPUT, series(Y))
    assert value == cr.CrossEntropyLoss()(OUTPUT, Y.astype(int))[0]


def trained(y, backend):
    net = cr.Sequential(cr.Linear(3, 2), seed=0, backend=backend)
    options = {"loss": cr.CrossEntropyLoss(), "epochs": 2, "progress": False, "batch_size": 10}
    history = cr.fit(net, X, y, validation=(X, y), **options)
    batches = cr.fit(net, [(X, y)], loss=cr.CrossEntropyLoss(), epochs=1, progress=False)
    step = cr.train_step(net, cr.CrossEntropyLoss(), cr.SGD())(X, y)
    value, _ = cr.value_and_grad(net, cr.CrossEntropyLoss())(net.params, X, y)
    results = [history.loss, history.validation_accuracy, batches.loss, [step], [value]]
    return np.concatenate([*results, net.params])


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_training(backend):
    np.testing.assert_array_equal(trained(Y, backend), trained(Y.astype(int), backend))


def test_several_outputs():
    loss = cr.MultiLoss(cr.CrossEntropyLoss(), cr.BCEWithLogitsLoss())
    outputs, integers = (OUTPUT, OUTPUT[:, :1]), Y.astype(int)
    assert loss(outputs, (Y, Y))[0] == loss(outputs, (integers, integers))[0]


def test_images_of_two_classes(tmp_path):
    np.savez(tmp_path / "two.npz", images=np.ones((20, 2, 2)), labels=Y)
    _, labels = cr.datasets.load(tmp_path / "two.npz")
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, Y)


def test_one_output_is_for_another_loss():
    with pytest.raises(ValueError, match=r"1 output \(labels 0 to 0\)\. cr\.BCEWithLogitsLoss"):
        cr.CrossEntropyLoss()(OUTPUT[:, :1], Y)

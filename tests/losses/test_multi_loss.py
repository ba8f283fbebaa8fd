"""Several outputs: what a network with them gives and takes, and how it is trained."""

from importlib import import_module

import numpy as np
import pytest

import chainrule as cr
from chainrule.autodiff import machines


def batch(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


X, LABELS, VALUES = batch(12, 4), np.arange(12) % 3, batch(12, 2, seed=1)
WEIGHTS = np.random.default_rng(2).uniform(size=12)
LOSS = cr.MultiLoss(cr.CrossEntropyLoss(), cr.HuberLoss(), weights=(1.0, 0.3))


def network(**options):
    heads = cr.Branch(cr.Linear(5, 3), cr.Sequential(cr.Tanh(), cr.Linear(5, 2), seed=1))
    return cr.Sequential(cr.Linear(4, 5), cr.ReLU(), heads, **{"seed": 0} | options)


# The loss


def test_it_is_the_weighted_sum_of_its_losses():
    outputs, y = network().predict(X), (LABELS, VALUES)
    value, gradients = LOSS(outputs, y, sample_weight=WEIGHTS)
    parts = [
        loss(out, of_head, WEIGHTS)
        for loss, out, of_head in zip(LOSS.losses, outputs, y, strict=True)
    ]
    assert value == pytest.approx(parts[0][0] + 0.3 * parts[1][0])
    for gradient, (_, part), weight in zip(gradients, parts, (1.0, 0.3), strict=True):
        assert gradient.dtype == np.float32
        np.testing.assert_array_equal(gradient, part * np.float32(weight))


CLASS_WEIGHTS = [0.5, 2.0, 0.0]
COUNTED = cr.MultiLoss(cr.CrossEntropyLoss(weight=CLASS_WEIGHTS), cr.MSELoss(), weights=(1.0, 0.3))


def counted_by_hand(net, x, labels, values, weights):
    """Return the loss of COUNTED: each part is a mean by its own weights."""
    output, numbers = net.predict(x)
    logarithms = output - np.log(np.exp(output).sum(axis=1, keepdims=True))
    rows = -logarithms[np.arange(len(labels)), labels]
    of_classes = weights * np.array(CLASS_WEIGHTS)[labels]
    squares, _ = cr.MSELoss()(numbers, values, weights)
    return np.average(rows, weights=of_classes) + 0.3 * squares


@pytest.fixture
def small_blocks(monkeypatch):
    """Derivatives of few rows need several blocks, where a loss is a mean over them."""
    monkeypatch.setattr(machines, "MOST_ROWS", 100)
    # The function has the name of its module.
    monkeypatch.setattr(import_module("chainrule.interop.scipy.objective"), "BLOCK", 100)


def smooth_network(**options):
    heads = cr.Branch(cr.Linear(5, 3), cr.Linear(5, 2))
    return cr.Sequential(cr.Linear(4, 5), cr.Tanh(), heads, seed=0, dtype="float64", **options)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [7, 250])
@pytest.mark.usefixtures("small_blocks")
def test_class_weights_count_rows_for_their_loss_alone(rows, threads, backend, all_threads):
    """In the loss, in derivatives, in training and in validation, of any number of rows."""
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(rows, 4)), rng.integers(0, 3, rows)
    values, weights = rng.normal(size=(rows, 2)), rng.uniform(0, 2, rows)
    net, y = smooth_network(backend=backend), (labels, values)
    expected = counted_by_hand(net, x, labels, values, weights)
    with all_threads(), cr.threads(threads):
        value, _ = COUNTED(net.predict(x), y, weights)
        assert value == pytest.approx(expected, rel=1e-12)
        value, gradient = cr.value_and_grad(net, COUNTED)(net.params, x, y, weights)
        assert value == pytest.approx(expected, rel=1e-12)
        value, by_scipy = cr.objective(net, COUNTED, x, y, weights).fun(net.params)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(by_scipy, gradient, rtol=1e-9, atol=1e-13)
        v = rng.normal(size=gradient.size)
        slope = cr.value_and_grad(net, COUNTED)(net.params + 1e-6 * v, x, y, weights)[0] - value
        assert slope / 1e-6 == pytest.approx(gradient @ v, rel=1e-3, abs=1e-5)
        hessian = cr.hvp(net, COUNTED, x, y, v, sample_weight=weights)
        after, before = (
            cr.value_and_grad(net, COUNTED)(net.params + h * v, x, y, weights)[1]
            for h in (1e-5, -1e-5)
        )
        np.testing.assert_allclose(hessian, (after - before) / 2e-5, rtol=1e-3, atol=1e-4)
        start = net.params.copy()
        history = cr.fit(
            net, x, y, loss=COUNTED, optimizer=cr.SGD(0.1), epochs=1, batch_size=rows,
            sample_weight=weights, shuffle=False, validation=(x, y, weights), progress=False,
        )  # fmt: skip
        assert history.loss == [pytest.approx(expected, rel=1e-12)]
        np.testing.assert_allclose(net.params, start - 0.1 * gradient, rtol=1e-9, atol=1e-12)
        after = counted_by_hand(net, x, labels, values, weights)
        assert history.validation_loss == [pytest.approx(after, rel=1e-12)]
        history = cr.fit(
            net, x, y, loss=COUNTED, optimizer=cr.SGD(1e-9), epochs=1, batch_size=50 if rows > 50
            else 5, validation=(x, y, weights), progress=False,
        )  # fmt: skip
        assert history.validation_loss == [pytest.approx(after, rel=1e-6)]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("product", [cr.gauss_newton_vp, cr.fisher_vp])
def test_products_with_class_weights_are_the_sum_of_those_of_each_loss(product):
    """Of a network whose first output has the classes, as if it had no other."""
    rng = np.random.default_rng(0)
    x, labels, values = rng.normal(size=(250, 4)), rng.integers(0, 3, 250), np.zeros((250, 2))
    net = smooth_network()
    v, results = rng.normal(size=net.params.size), []
    for loss in (
        COUNTED,
        cr.MultiLoss(COUNTED.losses[0], cr.MSELoss(), weights=(1.0, 0.0)),
        cr.MultiLoss(cr.CrossEntropyLoss(), cr.MSELoss(), weights=(0.0, 0.3)),
    ):
        y = () if product is cr.fisher_vp else ((labels, values),)
        results.append(product(net, loss, x, *y, v))
    np.testing.assert_allclose(results[0], results[1] + results[2], rtol=1e-10, atol=1e-12)
    alone = cr.Sequential(cr.Linear(4, 5), cr.Tanh(), cr.Linear(5, 3), dtype="float64")
    size = alone.params.size
    alone.params = net.params[:size]
    y = () if product is cr.fisher_vp else (labels,)
    expected = product(alone, COUNTED.losses[0], x, *y, v[:size])
    np.testing.assert_allclose(results[1][:size], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: cr.MultiLoss(), ValueError, "needs at least one loss"),
        (lambda: cr.MultiLoss("mse"), TypeError, "Loss 0 of MultiLoss must be a loss .* 'mse'"),
        (lambda: cr.MultiLoss(LOSS), TypeError, "Loss 0 of MultiLoss must be a loss"),
        (
            lambda: cr.MultiLoss(cr.MSELoss(), weights=(1, 2)),
            ValueError,
            r"must be 1 number, one for each loss, not 2\.",
        ),
        (
            lambda: cr.MultiLoss(cr.MSELoss(), weights=[-1]),
            ValueError,
            r"MultiLoss's weights\[0\] must be 0 or more, not -1",
        ),
        (
            lambda: cr.MultiLoss(cr.MSELoss(), cr.MSELoss(), weights=[0, 0]),
            ValueError,
            "MultiLoss's weights must not be 0 for all losses",
        ),
        (lambda: LOSS(batch(3, 3), LABELS), TypeError, "output must be a tuple, one for each loss"),
        (
            lambda: LOSS((batch(3, 3),), (LABELS,)),
            ValueError,
            r"MultiLoss has 2 losses, but output has 1 element\.",
        ),
        (
            lambda: LOSS((batch(3, 3), batch(3, 2)), (LABELS,)),
            ValueError,
            r"but y has 1 element\.",
        ),
    ],
)
def test_bad_arguments_are_named(build, error, message):
    with pytest.raises(error, match=message):
        build()


# Outputs


@pytest.mark.parametrize("rows", [1, 255, 600])
def test_a_tuple_of_outputs(rows):
    net, x = network(dtype="float64"), batch(rows, 4)
    classes, values = net.predict(x)
    p = net.parameters()
    h = np.maximum(x @ p["0.weight"] + p["0.bias"], 0)
    np.testing.assert_allclose(classes, h @ p["2.0.weight"] + p["2.0.bias"], rtol=1e-12, atol=1e-14)
    expected = np.tanh(h) @ p["2.1.1.weight"] + p["2.1.1.bias"]
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-14)
    for predicted, kept in zip((classes, values), net.forward(x), strict=True):
        assert predicted.flags.c_contiguous
        np.testing.assert_array_equal(predicted, kept)


def test_shapes_of_outputs():
    net = network()
    assert net.output_shapes((4,)) == ((3,), (2,))
    assert net.output_shapes((7, 4)) == ((7, 3), (7, 2))
    assert cr.Sequential(cr.Linear(4, 2)).output_shapes((4,)) == ((2,),)
    with pytest.raises(ValueError, match="The network has 2 outputs: output_shapes has"):
        net.output_shape((4,))


@pytest.mark.parametrize(
    ("d_out", "message"),
    [
        (batch(12, 3), "d_out must be a tuple of 2, one for each output"),
        ((batch(12, 3),), "d_out must be a tuple of 2"),
        (
            (batch(12, 3), batch(12, 3)),
            r"d_out\[1\] must have output 1's shape, \(12, 2\), but its shape is \(12, 3\)",
        ),
        ((batch(12, 3), batch(12, 2) * np.nan), r"d_out\[1\] must be finite"),
    ],
)
def test_wrong_gradients_of_outputs_change_nothing(d_out, message):
    net = network()
    net.forward(X)
    with pytest.raises(ValueError, match=message):
        net.backward(d_out)
    net.backward((batch(12, 3), batch(12, 2)))  # the forward still counts


# Training


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_does_the_steps_of_a_loop(weighted, backend):
    sample_weight = WEIGHTS if weighted else None
    trained, by_hand = (network(dtype="float64", backend=backend) for _ in range(2))
    fit_optimizer, optimizer = cr.Adam(lr=0.1), cr.Adam(lr=0.1)
    history = cr.fit(
        trained,
        X,
        (LABELS, VALUES),
        loss=LOSS,
        optimizer=fit_optimizer,
        epochs=2,
        batch_size=5,
        shuffle=False,
        sample_weight=sample_weight,
        progress=False,
    )
    values = []
    for _ in range(2):
        for rows in (slice(0, 5), slice(5, 10), slice(10, 12)):
            weights = None if sample_weight is None else sample_weight[rows]
            output = by_hand.forward(X[rows])
            value, d_out = LOSS(output, (LABELS[rows], VALUES[rows]), weights)
            by_hand.backward(d_out)
            optimizer.step(by_hand)
            values.append(value)
    np.testing.assert_allclose(history.batch_loss, values, rtol=1e-12)
    np.testing.assert_allclose(trained.params, by_hand.params, rtol=1e-10, atol=1e-12)


def test_two_heads_of_labels_and_two_of_values():
    loss = cr.MultiLoss(cr.CrossEntropyLoss(), cr.MSELoss(), cr.CrossEntropyLoss(), cr.MSELoss())
    heads = cr.Branch(cr.Linear(4, 3), cr.Linear(4, 2), cr.Linear(4, 2), cr.Identity())
    net = cr.Sequential(heads, seed=0, dtype="float64")
    y = LABELS, VALUES, LABELS % 2, batch(12, 4, seed=4)
    assert cr.gradcheck(net, loss, X, y, sample_weight=WEIGHTS).passed
    first = loss(net.predict(X[:5]), [of_head[:5] for of_head in y])[0]
    options = {"batch_size": 5, "epochs": 1, "shuffle": False, "progress": False}
    history = cr.fit(net, X, y, loss=loss, validation=(X, y), **options)
    assert history.batch_loss[0] == pytest.approx(first)
    assert history.validation_loss == [pytest.approx(loss(net.predict(X), y)[0])]
    assert history.validation_accuracy == []  # of which of the two?


def test_the_accuracy_of_the_only_classification():
    net = network()
    history = cr.fit(
        net,
        X,
        (LABELS, VALUES),
        loss=LOSS,
        validation=(X, (LABELS, VALUES)),
        epochs=2,
        batch_size=4,
        progress=False,
        callbacks=[cr.GradientFlow(every=1)],
    )
    classes, _ = net.predict(X)
    assert history.validation_accuracy[-1] == cr.metrics.accuracy(LABELS, classes)
    assert len(history.loss) == len(history.validation_loss) == 2


@pytest.mark.parametrize(
    ("y", "loss", "error", "message"),
    [
        (LABELS, LOSS, TypeError, "y must be a tuple, one for each loss"),
        ((LABELS,), LOSS, ValueError, r"but y has 1 element\."),
        ((LABELS + 1, VALUES), LOSS, ValueError, r"y\[0\] has label 3 at row 2"),
        ((LABELS, VALUES[:, :1]), LOSS, ValueError, r"y\[1\] must have the shape of the output"),
        (LABELS, cr.CrossEntropyLoss(), ValueError, "takes one output, but the network has 2"),
        (
            (LABELS, VALUES, VALUES),
            cr.MultiLoss(*LOSS.losses, cr.MSELoss()),
            ValueError,
            r"MultiLoss has 3 losses, but the network has 2 outputs\.",
        ),
    ],
)
def test_wrong_targets_are_named_before_anything_changes(y, loss, error, message):
    net = network()
    before = net.params.copy()
    with pytest.raises(error, match=message):
        cr.fit(net, X, y, loss=loss, batch_size=4, progress=False)
    np.testing.assert_array_equal(net.params, before)


def test_one_output_may_have_a_multi_loss():
    net = cr.Sequential(cr.Linear(4, 2), seed=0)
    loss = cr.MultiLoss(cr.MSELoss(), weights=[2.0])
    history = cr.fit(net, X, (VALUES,), loss=loss, batch_size=12, epochs=1, progress=False)
    net = cr.Sequential(cr.Linear(4, 2), seed=0)
    assert history.loss[0] == pytest.approx(2 * cr.MSELoss()(net.predict(X), VALUES)[0])


def test_the_first_layer_that_is_not_finite_is_named():
    # Numbers that only one head's product takes beyond float32.
    net = network()
    net.parameters()["2.1.1.weight"][...] = 3e38
    with pytest.raises(cr.NonFiniteError, match=r"Linear \(layer 2\.1\.1\)"):
        cr.fit(net, X, (LABELS, VALUES), loss=LOSS, batch_size=12, progress=False)

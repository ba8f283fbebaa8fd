"""What fit reports of its validation is what the network's predictions give."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engine.machine import Machine
from chainrule.kernels.context import Phase
from chainrule.layers.container import Container
from chainrule.plan.call import gradient, value

WIDTH, CLASSES = 6, 3
ARGUMENTS = {
    "BatchNorm": (WIDTH,),
    "Columns": ([3, 1, -1, 0, 0, 4],),
    "GroupNorm": (3, WIDTH),
    "RMSNorm": (WIDTH,),
    "LayerNorm": (WIDTH,),
    "Linear": (WIDTH, WIDTH),
    "Dropout": (0.4,),
    "Rescale": (0.7, 0.1),
    "Standardize": (WIDTH, (0.5,) * WIDTH, (2.0,) * WIDTH),
}
SIMPLE = [
    getattr(cr, name)(*ARGUMENTS.get(name, ()))
    for name in cr.layers.__all__
    if not issubclass(getattr(cr, name), Container | cr.GLU | cr.Embedding)
    and not getattr(cr, name).axes  # those of images: see layers/test_image_layers.py
]
SIMPLE.append(cr.Sequential(cr.GLU(), cr.Linear(WIDTH // 2, WIDTH), seed=0))
LARGE_EPS = {"GaussianNLLLoss": {"eps": 0.5}}  # as outputs may be anything, variances too
LOSSES = [
    getattr(cr, name)(**LARGE_EPS.get(name, {}))
    for name in cr.losses.__all__
    if name != "PoissonNLLLoss"  # whose exponential would be infinite
]


def containers(inner):
    """Networks of the same width, made of others."""
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        several.map(lambda layers: cr.Sequential(*layers, seed=1)),
        several.map(lambda layers: cr.Residual(*layers)),
        several.map(lambda layers: cr.Shared(*layers)),
        st.tuples(inner, inner, st.sampled_from(["sum", "product"])).map(
            lambda each: cr.Parallel(each[0], each[1], combine=each[2])
        ),
        st.tuples(inner, inner).map(
            lambda pair: cr.Sequential(
                cr.Parallel(*pair, combine="concatenate"), cr.Linear(2 * WIDTH, WIDTH), seed=1
            )
        ),
    )


ELEMENTS = st.recursive(st.sampled_from(SIMPLE), containers, max_leaves=6)


def data(loss, rows, rng):
    if loss.takes_labels:
        return rng.integers(0, CLASSES, rows)
    if isinstance(loss, cr.BCEWithLogitsLoss):
        return rng.integers(0, 2, (rows, CLASSES)).astype(float)
    return rng.uniform(size=(rows, *loss.target_shape((outputs_of(loss),))))


def outputs_of(loss):
    return 2 if isinstance(loss, cr.GaussianNLLLoss) else CLASSES


def test_every_layer_takes_part():
    missing = {
        name
        for name in cr.layers.__all__
        if not issubclass(getattr(cr, name), Container | cr.Embedding)
        and not getattr(cr, name).axes
        and getattr(cr, name) not in {type(layer) for layer in (*SIMPLE, *SIMPLE[-1].layers)}
    }
    assert not missing


def assume_enough_rows(net, batch):
    """Leave out batches of one row where a layer needs more."""
    if any(isinstance(layer, cr.BatchNorm) for _, layer in net.chain):
        assume(batch > 1 and 24 % batch != 1)


def assume_moderate(net, loss, X, y):
    """Leave out products of products, of which a step may not be finite."""
    assume(abs(loss(net.predict(X), y)[0]) < 100)


def fit_moderate(net, X, y, **options):
    """Train, and leave out products of products again: those that grow in the training."""
    try:
        return cr.fit(net, X, y, progress=False, **options)
    except cr.NonFiniteError:
        layers = [layer for _, layer in net.chain]
        assume(
            not any(isinstance(each, cr.Parallel) and each.combine == "product" for each in layers)
        )
        raise


@given(
    elements=st.lists(ELEMENTS, min_size=1, max_size=4),
    loss=st.sampled_from(LOSSES),
    threads=st.integers(1, 3),
    dtype=st.sampled_from(["float32", "float64"]),
    rows=st.integers(1, 40),
    batch=st.integers(1, 24),
)
@settings(max_examples=150)
def test_validation_is_the_loss_of_the_predictions(
    all_threads, elements, loss, threads, dtype, rows, batch
):
    rng = np.random.default_rng(0)
    net = cr.Sequential(*elements, cr.Linear(WIDTH, outputs_of(loss)), seed=0, dtype=dtype)
    X, V = rng.normal(size=(24, WIDTH)), rng.normal(size=(rows, WIDTH))
    y, v = data(loss, 24, rng), data(loss, rows, rng)
    assume_moderate(net, loss, X, y)
    assume_enough_rows(net, batch)
    with all_threads(), cr.threads(threads):
        history = fit_moderate(
            net, X, y, loss=loss, optimizer=cr.SGD(lr=1e-3), epochs=2, batch_size=batch,
            validation=(V, v),
        )  # fmt: skip
    output = net.predict(V)
    value, _ = loss(output, v)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert history.validation_loss[-1] == pytest.approx(value, rel=tolerance, abs=tolerance)
    if loss.takes_labels:
        assert history.validation_accuracy[-1] == np.mean(output.argmax(axis=1) == v)


@given(
    branches=st.lists(ELEMENTS, min_size=2, max_size=2),
    losses=st.lists(st.sampled_from(LOSSES), min_size=2, max_size=2),
    threads=st.integers(1, 3),
    batch=st.integers(1, 24),
)
@settings(max_examples=50)
def test_validation_of_several_outputs(all_threads, branches, losses, threads, batch):
    rng = np.random.default_rng(0)
    heads = [
        cr.Sequential(each, cr.Linear(WIDTH, outputs_of(loss)), seed=2)
        for each, loss in zip(branches, losses, strict=True)
    ]
    net = cr.Sequential(cr.Linear(WIDTH, WIDTH), cr.Dropout(0.3), cr.Branch(*heads), seed=0)
    X, loss = rng.normal(size=(24, WIDTH)), cr.MultiLoss(*losses, weights=(0.7, 2.0))
    y = tuple(data(each, 24, rng) for each in losses)
    assume_moderate(net, loss, X, y)
    assume_enough_rows(net, batch)
    with all_threads(), cr.threads(threads):
        history = fit_moderate(
            net, X, y, loss=loss, optimizer=cr.SGD(lr=1e-3), epochs=1, batch_size=batch,
            validation=(X, y),
        )  # fmt: skip
    value, _ = loss(net.predict(X), y)
    assert history.validation_loss[-1] == pytest.approx(value, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("row", [0, 20, 39])
def test_without_a_finite_loss_all_figures_of_the_validation_say_so(row):
    net, V = cr.Sequential(cr.Linear(1, 1), seed=0), np.ones((40, 1))
    V[row] = 1e30  # its square overflows, and nothing is computed of the rows behind it
    history = cr.fit(
        net, np.ones((8, 1)), np.ones((8, 1)), loss=cr.MSELoss(), epochs=2, batch_size=8,
        validation=(V, V), metrics={"largest_error": lambda y, output: abs(output - y).max()},
        progress=False,
    )  # fmt: skip
    assert not np.isfinite(history.validation_loss).any()
    assert np.isnan(history.metrics["largest_error"]).all()


def test_early_stopping_keeps_the_best_epoch_of_a_network_with_dropout():
    X, y = cr.datasets.load_digits()
    net = cr.Sequential(
        cr.Linear(64, 128), cr.ReLU(), cr.Dropout(0.2), cr.Linear(128, 64), cr.ReLU(),
        cr.Linear(64, 10), seed=0,
    )  # fmt: skip
    history = cr.fit(
        net, X[:1000], y[:1000], loss=cr.CrossEntropyLoss(), epochs=3,
        validation=(X[1000:], y[1000:]), progress=False,
        callbacks=[cr.callbacks.EarlyStopping("validation_accuracy", patience=5)],
    )  # fmt: skip
    accuracy = np.mean(net.predict(X[1000:]).argmax(axis=1) == y[1000:])
    assert accuracy == max(history.validation_accuracy) > 0.5


def test_a_plan_without_a_backward_pass_has_no_place_for_gradients():
    net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.Dropout(0.5), cr.Linear(4, 2), seed=0)
    plan = net.make_plan((3,), 5, loss=cr.MSELoss(), backward=False)
    # The loss writes its gradient, though, and it has a place of its own.
    (head,) = plan.heads
    values = {value(tensor) for tensor in (*plan.inputs, *(step.y for step in plan.steps))}
    of_the_loss = gradient(head.output), ("target", head), ("terms", head), "weight"
    assert set(plan.places) == {*values, *of_the_loss}
    assert ("d_input", 0) not in plan.named
    used = {plan.places[key] for key in (value(head.output), *of_the_loss)}
    assert len(used) == 5
    assert min(used) >= 0
    machine = Machine(plan, net.dtype, "numba")
    with pytest.raises(RuntimeError, match="made without a backward pass"):
        machine.run(Phase.BACKWARD, 5, machine.vectors(net.params, grads=net.grads))

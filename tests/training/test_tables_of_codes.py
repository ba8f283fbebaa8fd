"""Large tables of vectors: SGD changes only the rows that a batch takes, to the same bits."""

import numpy as np
import pytest

import chainrule as cr

ROWS, CODES, TABLE = 120, 3, 2000


def data(seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, TABLE, (ROWS, CODES))
    codes[::3] = codes[0]  # again and again, also within a batch
    codes[1::5] = 7  # the padding
    return codes, rng.normal(size=(ROWS, 2))


def network(seed=0, table=TABLE, **options):
    return cr.Sequential(
        cr.Embedding(table, 4, padding_idx=7), cr.Flatten(), cr.Linear(CODES * 4, 2), seed=seed,
        **options,
    )  # fmt: skip


def fit(net, optimizer=None, **options):
    X, y = data()
    defaults = {"loss": cr.MSELoss(), "epochs": 3, "batch_size": 32, "progress": False, "seed": 1}
    return cr.fit(net, X, y, optimizer=optimizer or cr.SGD(lr=0.5), **defaults | options)


def plan_of(net, batch=32):
    return net.make_plan((CODES,), batch, loss=cr.MSELoss(), training=True)


def test_a_plan_names_large_tables():
    net = network()
    (table,) = plan_of(net).tables
    assert table[:3] == (0, TABLE, 4)
    assert plan_of(net, batch=TABLE).tables == ()  # a pass over all is as quick
    assert net.make_plan((CODES,), 32, backward=False).tables == ()


# A limit that no gradient comes to: the whole table is updated then.
DENSE = {"clip_norm": 1e30}


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("lr_factors", [None, {"0.*": 0.5}])
def test_the_rows_of_a_batch_are_updated_as_the_whole_table_is(backend, lr_factors):
    found = []
    for options in ({}, DENSE):
        net = network(backend=backend)
        start = net.params.copy()
        history = fit(net, cr.SGD(lr=0.5, lr_factors=lr_factors), **options)
        found.append((net.params, history.loss))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    changed = (net.views(net.params - start)["0.weight"] != 0).any(axis=1)
    taken = np.unique(data()[0])
    assert set(np.flatnonzero(changed)) == set(taken) - {7}


def test_any_number_of_threads_gives_the_same_bits(all_threads):
    found = []
    for threads in (1, 2, 3):
        net = network()
        with all_threads(), cr.threads(threads):
            history = fit(net)
        found.append((net.params.tobytes(), history.loss))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: cr.SGD(lr=0.1, momentum=0.9),
        lambda: cr.SGD(lr=0.1, weight_decay=0.1),
        lambda: cr.SGD(lr=0.1, weight_decay={"0.*": 0.1}),
        lambda: cr.Adam(lr=0.01),
    ],
)
def test_other_rules_change_all_rows_that_they_would(optimizer):
    """As hand-written steps do, which know nothing of tables."""
    X, y = data()
    net, by_hand, loss = network(dtype="float64"), network(dtype="float64"), cr.MSELoss()
    fit(net, optimizer(), shuffle=False, epochs=2)
    rule = optimizer()
    for _ in range(2):
        for begin in range(0, ROWS, 32):
            batch = slice(begin, begin + 32)
            by_hand.backward(loss(by_hand.forward(X[batch]), y[batch])[1])
            rule.step(by_hand)
    np.testing.assert_allclose(net.params, by_hand.params, rtol=1e-12, atol=1e-15)


def test_a_frozen_table_stays_as_it_is():
    net = network()
    net.freeze("0.*")
    start = net.params.copy()
    fit(net)
    changed = net.views(net.params != start)
    assert not changed["0.weight"].any()
    assert changed["2.weight"].all()


def test_gradients_are_right_after_a_training():
    """Of a machine that has trained before, and of a vector with old gradients."""
    X, y = data()
    net = network(dtype="float64")
    net.grads[:] = 5
    fit(net)
    twin = network(dtype="float64")
    fit(twin)
    np.testing.assert_array_equal(net.params, twin.params)
    loss = cr.MSELoss()
    _, expected = cr.value_and_grad(net, loss)(net.params, X, y)
    net.backward(loss(net.forward(X), y)[1])
    np.testing.assert_allclose(net.grads, expected, atol=1e-15)
    twin = net.copy()
    fit(net, cr.Adam(lr=0.01))
    fit(twin, cr.Adam(lr=0.01))
    np.testing.assert_array_equal(net.params, twin.params)


def test_a_table_in_several_places():
    shared = cr.Shared(cr.Embedding(TABLE, 4))
    places = [cr.Sequential(cr.Columns([i]), shared, cr.Flatten(), seed=i) for i in range(CODES)]
    found = []
    for options in ({}, DENSE):
        layers = cr.Parallel(*places, combine="concatenate"), cr.Linear(CODES * 4, 2)
        net = cr.Sequential(*layers, seed=0)
        assert len(plan_of(net, 8).tables[0].places) == CODES
        fit(net, batch_size=8, **options)
        found.append(net.params)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("other", [3, 40, TABLE])  # codes: a small table, and a large one
@pytest.mark.parametrize(
    "decay", [0.0, {"0.0.*": 0.1}, {"0.1.*": 0.1}], ids=["none", "first", "second"]
)
def test_tables_beside_each_other(other, decay):
    X, y = data()
    X[:, 1] %= other
    found = []
    for options in ({}, DENSE):
        tables = [
            cr.Sequential(cr.Columns([i]), cr.Embedding(n, 4), cr.Flatten(), seed=i)
            for i, n in enumerate((TABLE, other))
        ]
        layers = cr.Parallel(*tables, combine="concatenate"), cr.Linear(8, 2)
        net = cr.Sequential(*layers, seed=0)
        assert any(table.rows == TABLE for table in plan_of(net, 16).tables)
        cr.fit(
            net, X, y, loss=cr.MSELoss(), optimizer=cr.SGD(lr=0.5, weight_decay=decay),
            batch_size=16, epochs=3, seed=1, progress=False, **options,
        )  # fmt: skip
        found.append(net.params)
    np.testing.assert_array_equal(*found)


class Momentum(cr.Callback):
    """Momentum in every other epoch."""

    def on_epoch_end(self, training):
        training.optimizer.momentum = 0.9 if training.epoch % 2 else 0.0


def test_momentum_begins_with_the_gradient_of_its_first_step():
    """As in PyTorch: what a step without momentum does, of rows or of all, leaves no velocity."""
    found = []
    for options in ({}, DENSE):
        net = network()
        fit(net, epochs=5, callbacks=[Momentum()], **options)
        found.append(net.params)
    np.testing.assert_array_equal(*found)


class Stop(cr.Callback):
    """As Ctrl-C would, after so many steps."""

    every = 3

    def on_steps(self, training):
        training.interruption.requested = True


def test_a_resumed_training_has_the_same_bits(tmp_path):
    whole, path = network(), tmp_path / "run.safetensors"
    fit(whole)
    for _ in range(20):
        net = network(seed=9) if path.exists() else network()
        options = {"checkpoint": path, "resume": True, "interrupt": "stop"}
        if not fit(net, callbacks=[Stop()], **options).interrupted:
            break
    np.testing.assert_array_equal(net.params, whole.params)


def test_what_is_not_finite_is_rolled_back():
    X, y = data()
    y[70] = 1e30
    found = []
    for options in ({}, {"momentum": 0.0, "weight_decay": 1e-30}):  # of rows, of the whole table
        net = network()
        with pytest.raises(cr.NonFiniteError, match=r"is not finite in epoch 1, step \d") as caught:
            cr.fit(
                net, X, y, loss=cr.MSELoss(), optimizer=cr.SGD(lr=1e8, **options), batch_size=32,
                shuffle=False, progress=False,
            )  # fmt: skip
        assert np.isfinite(net.params).all()
        found.append((caught.value.step, net.params))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_an_average_follows_all_parameters():
    found = []
    for options in ({}, DENSE):
        net = network()
        average = cr.ExponentialMovingAverage(net, decay=0.9)
        fit(net, average=average, **options)
        found.append(average.network.params)
    np.testing.assert_array_equal(*found)

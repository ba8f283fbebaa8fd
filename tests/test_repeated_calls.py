"""What is called again for a batch like the one before: the same results, the same errors."""

import copy
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.kernels.jit import JIT_DISABLED

ROWS = 3


class Twice(cr.NumPyLayer):
    """A layer in Python."""

    def forward(self, x):
        return 2 * x, None

    def backward(self, dy, saved):
        return 2 * dy, {}


LAYERS = {
    "dense": lambda: [cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, 2)],
    "dropout": lambda: [cr.Linear(4, 8), cr.Dropout(0.5), cr.Linear(8, 2)],
    "norms": lambda: [cr.BatchNorm(4), cr.Linear(4, 8), cr.LayerNorm(8), cr.Linear(8, 2)],
    "codes": lambda: [cr.Embedding(9, 2), cr.Flatten(), cr.Linear(8, 2)],
    "branch": lambda: [cr.Linear(4, 3), cr.Branch(cr.Linear(3, 2), cr.Linear(3, 2))],
    "python": lambda: [cr.Linear(4, 2), Twice()],
    "matrix": lambda: [cr.Linear(4, 6), cr.Tanh(), cr.Linear(6, 2)],
}


def network(layers, dtype):
    return cr.Sequential(*LAYERS[layers](), seed=0, dtype=dtype)


def batch(layers, dtype, rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    shape = (rows, 3) if layers == "matrix" else (rows,)
    x = rng.integers(0, 9, (rows, 4)) if layers == "codes" else rng.normal(size=(*shape, 4))
    return x.astype(dtype), rng.normal(size=(*shape, 2)).astype(dtype)


def loss_of(layers):
    return cr.MultiLoss(cr.MSELoss(), cr.MSELoss()) if layers == "branch" else cr.MSELoss()


def targets_of(layers, y):
    return (y, y) if layers == "branch" else y


def passes(net, loss, optimizer, x, y):
    output = net.forward(x)
    value, d_output = loss(output, y)
    d_x = net.backward(d_output)
    optimizer.step(net)
    return output, value, d_output, d_x, net.grads.copy()


def flat(result):
    """Return all arrays of a result."""
    if isinstance(result, tuple | list):
        return [array for part in result for array in flat(part)]
    return [np.asarray(result)]


def is_same(one, other):
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", LAYERS)
def test_steps_by_hand_are_the_same_to_the_bit(layers, dtype):
    """A list is no batch that is prepared for, rows that lie apart are; the values are the same."""
    loss = loss_of(layers)
    nets = [network(layers, dtype) for _ in range(4)]
    optimizers = [cr.Adam(lr=0.01) for _ in nets]
    step = cr.train_step(nets[3], loss, optimizers[3])
    for i in range(4):
        x, y = batch(layers, dtype, seed=i)
        y = targets_of(layers, y)
        given = x, x.tolist(), np.repeat(x, 2, axis=0)[::2]
        results = [
            passes(*each, y)
            for each in zip(nets[:3], [loss] * 3, optimizers[:3], given, strict=True)
        ]
        assert is_same(flat(results[0]), flat(results[1]))
        assert is_same(flat(results[0]), flat(results[2]))
        exact = 1e-14 if layers == "branch" else 0  # the sum of two losses, in another order
        assert step(x, y) == pytest.approx(results[0][1], rel=exact, abs=0)
        assert is_same(flat([net.values for net in nets[:1]]), flat([nets[3].values]))
    x, _ = batch(layers, dtype)
    for net in nets:
        expected = net.copy().predict(x)
        for _ in range(3):
            assert is_same(flat(net.predict(x)), flat(expected))


def derivatives(net, loss, x, y, vector):
    """Return the calls whose results are the same each time."""
    by = np.ones_like(x)
    return {
        "predict": lambda: net.predict(x),
        "loss": lambda: loss(net.predict(x), y),
        "value_and_grad": lambda: cr.value_and_grad(net, loss, ("x", "params"))(vector, x, y),
        "hvp": lambda: cr.hvp(net, loss, x, y, vector),
        "hvp by x": lambda: cr.hvp(net, loss, x, y, by, "x", params=vector),
        "hessian": lambda: cr.hessian(net, loss, x, y, "x"),
        "jacobian by x": lambda: cr.jacobian(net, x, "x", params=vector),
        "jacobian": lambda: cr.jacobian(net, x, params=vector),
    }


@pytest.mark.parametrize("rows", [1, ROWS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", ["dense", "branch", "matrix"])
def test_derivatives_are_those_of_lists(layers, dtype, rows):
    net, loss = network(layers, dtype), loss_of(layers)
    x, y = batch(layers, dtype, rows)
    y, vector = targets_of(layers, y), net.params.copy()
    calls = derivatives(net, loss, x, y, vector)
    by_lists = derivatives(net, loss, x.tolist(), y, vector.tolist())
    for name, call in calls.items():
        if layers == "branch" and name == "loss":
            continue
        expected = flat(by_lists[name]())
        for _ in range(3):
            assert is_same(flat(call()), expected), name


@pytest.mark.parametrize("given", ["float16", "float32", "float64", "int8", "bool", "F"])
def test_small_arrays_of_any_dtype_and_layout(given):
    """They are converted as the long way does it, with the same error for what is too large."""
    net, other = (network("dense", "float32") for _ in range(2))
    x, y = (10 * array for array in batch("dense", "float64"))
    x, y = (np.asfortranarray(a) if given == "F" else a.astype(given) for a in (x, y))
    step, by_list = (cr.train_step(n, cr.MSELoss(), cr.SGD(lr=0.01)) for n in (net, other))
    for _ in range(3):
        assert step(x, y) == by_list(x.tolist(), y.tolist())
        np.testing.assert_array_equal(net.predict(x), other.predict(x.tolist()))
    if given == "float64":
        with pytest.raises(
            ValueError, match=r"x\[0, 0\] is inf \(1e\+39 does not fit into float32\)"
        ):
            step(np.full_like(x, 1e39), y)


def test_results_are_arrays_of_their_own():
    net, loss = network("dense", "float32"), cr.MSELoss()
    x, y = batch("dense", "float32")
    for name, call in derivatives(net, loss, x, y, net.params.copy()).items():
        call()
        first = flat(call())
        before = copy.deepcopy(first)
        for array in flat(call()):
            assert not any(np.shares_memory(array, other) for other in first), name
        assert is_same(first, before)


WRONG = {
    "NaN": lambda x, y: (np.where(x == x[0, 0], np.nan, x), y),
    "infinity": lambda x, y: (np.where(x == x[0, 0], np.inf, x), y),
    "NaN in y": lambda x, y: (x, np.where(y == y[0, 0], np.nan, y)),
    "columns": lambda x, y: (x[:, :3].copy(), y),
    "dimensions": lambda x, y: (x[0], y),
    "rows of y": lambda x, y: (x, y[:2].copy()),
    "text": lambda x, y: (x.astype(str), y),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_batch_is_refused_and_changes_nothing(wrong):
    net, loss, optimizer = network("dropout", "float32"), cr.MSELoss(), cr.Adam(lr=0.1)
    x, y = batch("dropout", "float32")
    bad_x, bad_y = (array.astype(x.dtype) if array.dtype.kind == "f" else array
                    for array in WRONG[wrong](x, y))  # fmt: skip
    step, evaluate = cr.train_step(net, loss, optimizer), cr.value_and_grad(net, loss)
    params = net.params.copy()
    for _ in range(3):
        step(x, y)
        passes(net, loss, optimizer, x, y)
        evaluate(params, x, y)
        cr.hvp(net, loss, x, y, params, params=params)
        net.predict(x)
    twin = copy.deepcopy(net)
    net.forward(x)
    d_output = np.ones_like(y)
    before = net.values.copy(), net.grads.copy(), optimizer.state(net).vectors.copy()
    only_y = bad_x is x or np.array_equal(bad_x, x)
    refused = {
        "step": lambda: step(bad_x, bad_y),
        "loss": lambda: loss(net.predict(x), bad_y) if only_y else net.forward(bad_x),
        "gradient": lambda: evaluate(params, bad_x, bad_y),
        "hvp": lambda: cr.hvp(net, loss, bad_x, bad_y, params, params=params),
        "predict": lambda: net.predict(bad_x) if not only_y else step(bad_x, bad_y),
    }
    for call in refused.values():
        with pytest.raises((ValueError, TypeError)):
            call()
    for found, expected in zip(
        (net.values, net.grads, optimizer.state(net).vectors), before, strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    # The forward pass from before counts still, and the dropout masks to come are the same.
    d_x = net.backward(d_output)
    twin.forward(x)
    np.testing.assert_array_equal(d_x, twin.backward(d_output))
    np.testing.assert_array_equal(net.forward(x), twin.forward(x))


def test_a_gradient_that_is_not_finite_is_refused_and_the_right_one_taken_then():
    net = network("dense", "float32")
    x, y = batch("dense", "float32")
    for _ in range(2):
        net.backward(np.ones_like(net.forward(x)))
    net.forward(x)
    with pytest.raises(ValueError, match="d_out must be finite"):
        net.backward(np.full_like(y, np.nan))
    with pytest.raises(ValueError, match="d_out must have the output's shape"):
        net.backward(np.ones((ROWS, 3), "float32"))
    twin = network("dense", "float32")
    twin.forward(x)
    np.testing.assert_array_equal(net.backward(y), twin.backward(y))


@pytest.mark.parametrize("rows", [3, 6000])
def test_no_function_of_the_user_gets_a_writable_view_of_the_data(rows):
    def shift(target, output):
        target += 1
        return 0.0

    x, y = batch("dense", "float32", rows)
    net, before = network("dense", "float32"), y.copy()
    options = {"loss": cr.MSELoss(), "epochs": 1, "progress": False, "metrics": {"shift": shift}}
    with pytest.raises(ValueError, match="read-only"):
        cr.fit(net, x, y, validation=(x, y), **options)
    assert np.array_equal(y, before)


def test_the_order_of_weight_decays_counts():
    net = cr.Sequential(cr.Linear(2, 2), seed=0)
    net.params = np.ones(6)
    optimizer = cr.SGD(lr=0.1, weight_decay={"*": 0.5, "*.bias": 0.0})
    optimizer.step(net)
    decay = optimizer.weight_decay.pop("*")
    optimizer.weight_decay["*"] = decay  # now the biases' own comes first
    before = net.parameters()["0.bias"].copy()
    optimizer.step(net)
    assert np.array_equal(net.parameters()["0.bias"], before)


@settings(max_examples=30)
@given(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=2, max_size=8), st.booleans())
def test_batches_of_any_size_in_any_order(sizes, training):
    net, loss, optimizer = network("dense", "float64"), cr.MSELoss(), cr.SGD(lr=0.01)
    by_hand, other = net.copy(), cr.SGD(lr=0.01)
    net.training = by_hand.training = training
    step = cr.train_step(net, loss, optimizer)
    for i, rows in enumerate(sizes):
        x, y = batch("dense", "float64", rows, seed=i)
        assert step(x, y) == passes(by_hand, loss, other, x, y)[1]
    np.testing.assert_array_equal(net.params, by_hand.params)


def test_labels_and_numbers_are_checked_each_time():
    net = cr.Sequential(cr.Linear(4, 3), seed=0)
    x, labels = batch("dense", "float32")[0], np.array([0, 1, 2])
    loss = cr.CrossEntropyLoss()
    step, evaluate = cr.train_step(net, loss, cr.SGD(lr=0.1)), cr.value_and_grad(net, loss)
    for _ in range(3):
        step(x, labels)
        evaluate(net.params, x, labels)
        loss(net.predict(x), labels)
    for call in (
        lambda: step(x, labels + 1),
        lambda: evaluate(net.params, x, labels + 1),
        lambda: loss(net.predict(x), labels + 1),
    ):
        with pytest.raises(ValueError, match=r"label 3 at row 2"):
            call()
    bce = cr.BCEWithLogitsLoss()
    output = net.predict(x)
    bce(output, np.zeros_like(output))
    bce(output, np.zeros_like(output))
    with pytest.raises(ValueError, match="between 0 and 1"):
        bce(output, np.full_like(output, 2))


@pytest.mark.skipif(JIT_DISABLED, reason="Python has one thread")
def test_a_thread_limit_holds_from_the_next_call_on():
    net = cr.Sequential(cr.Linear(64, 64), cr.ReLU(), cr.Linear(64, 8), seed=0)
    x = np.ones((512, 64), "float32")
    with cr.threads(1):
        for _ in range(3):
            expected = net.forward(x)
            net.predict(x)
    with cr.threads(2):
        np.testing.assert_array_equal(net.forward(x), expected)
        np.testing.assert_array_equal(net.predict(x), expected)
        assert net._passes.batch_machine.threads == 2
        assert net._latest_key[-1] == 2


class Interruption:
    """Raises KeyboardInterrupt at the n-th line of the package, as Ctrl-C may."""

    def __init__(self, n):
        self.left = n

    def __enter__(self):
        sys.settrace(self.look)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def look(self, frame, event, argument):
        return self.count if "chainrule" in frame.f_code.co_filename else None

    def count(self, frame, event, argument):
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.count


def steps_and_predictions(net, optimizer, step):
    """Call for a batch of another shape, with other numbers, by hand and in one call."""
    x, y = batch("dense", "float64", 2)
    optimizer.weight_decay = 0.5
    passes(net, cr.MSELoss(), optimizer, x, y)
    step(x, y)
    net.predict(x)


@pytest.mark.skipif(JIT_DISABLED, reason="takes minutes")
def test_a_call_can_be_interrupted_at_any_line():
    """What comes after it is right: other optimizers, shapes and numbers are not mixed up."""
    x, y = batch("dense", "float64")
    n, interrupted = 0, True
    while interrupted:
        n += 5
        net, loss = network("dense", "float64"), cr.MSELoss()
        old, new = cr.SGD(lr=0.01), cr.Adam(lr=0.01)
        step = cr.train_step(net, loss, new)
        for _ in range(2):
            passes(net, loss, old, x, y)
            step(x, y)
        interrupted = False
        try:
            with Interruption(n):
                steps_and_predictions(net, new, step)
        except KeyboardInterrupt:
            interrupted = True
        new.weight_decay = 0.25
        twin, other = copy.deepcopy((net, new))
        by_list = cr.train_step(twin, loss, other)
        for rows in (2, ROWS):
            x, y = batch("dense", "float64", rows)
            assert step(x, y) == by_list(x.tolist(), y.tolist())
            passes(net, loss, new, x, y)
            passes(twin, loss, other, x.tolist(), y.tolist())
            np.testing.assert_array_equal(net.params, twin.params)
            np.testing.assert_array_equal(net.predict(x), twin.predict(x.tolist()))
    assert n > 300

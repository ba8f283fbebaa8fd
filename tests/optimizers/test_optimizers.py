"""Optimizers: their formulas in a few lines of NumPy, what they remember, what they refuse."""

import gc
import pickle
import weakref

import numpy as np
import pytest

import chainrule as cr


def network(**options):
    return cr.Sequential(cr.Linear(5, 4), **{"seed": 0, "dtype": "float64"} | options)


def steps(optimizer, net, count=5):
    """Take steps with given gradients; return the gradients, and the parameters after each."""
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(count, net.params.size)) * 10.0 ** rng.integers(-3, 3, (count, 1))
    path = []
    for gradient in gradients:
        net.grads[:] = gradient
        optimizer.step(net)
        path.append(net.params.copy())
    return gradients, np.array(path)


def sgd(w, gradients, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    velocity = None
    for g in gradients:
        g = g + weight_decay * w
        velocity = g if velocity is None else momentum * velocity + g
        w = w - lr * (g + momentum * velocity if nesterov else velocity)
        yield w


def adam(w, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    m = s = 0.0
    for t, g in enumerate(gradients, start=1):
        if decoupled:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        s = betas[1] * s + (1 - betas[1]) * g**2
        corrected_m, corrected_s = m / (1 - betas[0] ** t), s / (1 - betas[1] ** t)
        w = w - lr * corrected_m / (np.sqrt(corrected_s) + eps)
        yield w


CASES = [
    (cr.SGD(), sgd, {"lr": 1e-3}),
    (cr.SGD(lr=0.1, momentum=0.9), sgd, {"lr": 0.1, "momentum": 0.9}),
    (
        cr.SGD(lr=0.1, momentum=0.5, nesterov=True),
        sgd,
        {"lr": 0.1, "momentum": 0.5, "nesterov": True},
    ),
    (
        cr.SGD(lr=0.1, momentum=0.9, weight_decay=0.2, nesterov=True),
        sgd,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2, "nesterov": True},
    ),
    (cr.Adam(), adam, {"lr": 1e-3}),
    (
        cr.Adam(lr=0.1, betas=(0.5, 0.9), eps=1e-2, weight_decay=0.3),
        adam,
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-2, "weight_decay": 0.3},
    ),
    (cr.Adam(lr=0.1, betas=(0.0, 0.0)), adam, {"lr": 0.1, "betas": (0.0, 0.0)}),
    (cr.AdamW(), adam, {"lr": 1e-3, "weight_decay": 1e-2, "decoupled": True}),
    (
        cr.AdamW(lr=0.1, weight_decay=0.5),
        adam,
        {"lr": 0.1, "weight_decay": 0.5, "decoupled": True},
    ),
]


@pytest.mark.parametrize(
    ("backend", "dtype", "tolerance"),
    [("numba", "float64", 1e-12), ("numpy", "float64", 1e-12), ("numba", "float32", 1e-5)],
)
@pytest.mark.parametrize(("optimizer", "formula", "numbers"), CASES, ids=repr)
def test_steps_follow_the_formula(optimizer, formula, numbers, backend, dtype, tolerance):
    net = network(dtype=dtype, backend=backend)
    start = net.params.astype("float64")
    gradients, path = steps(optimizer, net)
    expected = np.array(list(formula(start, gradients, **numbers)))
    np.testing.assert_allclose(path, expected, rtol=tolerance, atol=tolerance * np.abs(path).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("decoupled", [False, True])
def test_adams_first_step_is_lr_for_any_gradient_whose_scaled_square_fits(decoupled, dtype):
    """PyTorch's range: up to sqrt(largest / (1 - beta2)). Beyond it, NaN; never a frozen weight."""
    largest = np.finfo(dtype).max
    limit = float(np.sqrt(largest) / np.sqrt(1 - 0.999))
    steps = np.linspace(-3, np.log10(largest), 400)
    gradients = np.sort(np.append(10.0 ** steps[:-1], [0.99 * limit, 1.01 * limit])).astype(dtype)
    expected = np.where(gradients < limit, -0.1, np.nan)
    by_ops, mean, square = np.zeros_like(gradients), 0 * gradients, 0 * gradients
    update = cr.ops.adamw_update if decoupled else cr.ops.adam_update
    update(by_ops, gradients, mean, square, step=1, lr=0.1)
    np.testing.assert_allclose(by_ops, expected, rtol=1e-4)
    for backend in ("numba", "numpy"):
        net = cr.Sequential(
            cr.Linear(1, gradients.size, bias=False), dtype=dtype, backend=backend, seed=0
        )
        net.params[:] = 0
        net.grads[:] = gradients
        with np.errstate(over="ignore", invalid="ignore"):
            (cr.AdamW if decoupled else cr.Adam)(lr=0.1).step(net)
        np.testing.assert_allclose(net.params, expected, rtol=1e-4)


def test_parameters_are_changed_in_place_and_gradients_not():
    net = network()
    params, view = net.params, net.parameters()["0.weight"]
    before = view.copy()
    net.grads[:] = 1
    cr.Adam().step(net)
    assert net.params is params
    np.testing.assert_allclose(view, before - 1e-3)
    assert (net.grads == 1).all()


def test_two_networks_do_not_mix():
    optimizer = cr.Adam()
    a, b, alone = network(), network(), network()
    _, expected = steps(cr.Adam(), alone)
    for _ in range(3):
        b.grads[:] = 7
        optimizer.step(b)
    _, path = steps(optimizer, a)
    assert np.array_equal(path, expected)
    assert (optimizer.state(a).step, optimizer.state(b).step) == (5, 3)


def test_state_goes_with_its_network():
    optimizer, net = cr.Adam(), network()
    optimizer.step(net)
    state, gone = weakref.ref(optimizer.state(net)), weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None
    assert state() is None


def test_learning_rate_can_be_changed_between_steps():
    optimizer, net = cr.SGD(lr=1.0), network()
    net.grads[:] = 1
    start = net.params.copy()
    optimizer.step(net)
    optimizer.lr = 0.5
    optimizer.step(net)
    np.testing.assert_allclose(net.params, start - 1.5)


def test_learning_rate_of_zero_changes_nothing():
    for optimizer in (cr.SGD(lr=0), cr.Adam(lr=0), cr.AdamW(lr=0, weight_decay=1)):
        net = network()
        start = net.params.copy()
        net.grads[:] = 1
        optimizer.step(net)
        assert np.array_equal(net.params, start)


def test_gradients_of_zero_divide_nothing_by_zero():
    net = network()
    start = net.params.copy()
    cr.Adam().step(net)
    assert np.array_equal(net.params, start)


WRONG = {
    "lr": [(-0.1, ValueError, "0 or more, not -0.1"), (np.inf, ValueError, "0 or more, not inf")],
    "weight_decay": [
        (-1, ValueError, "0 or more, not -1"),
        (None, TypeError, "a number, not None"),
    ],
    "momentum": [
        (1.0, ValueError, "at least 0 and less than 1, not 1.0"),
        (-0.5, ValueError, "at least 0 and less than 1, not -0.5"),
    ],
    "betas": [
        (0.9, ValueError, "two numbers, not 0.9"),
        ((0.9, 0.99, 0.999), ValueError, "two numbers, not"),
    ],
    "betas[1]": [((0.9, 1.0), ValueError, "at least 0 and less than 1, not 1.0")],
    "eps": [(0, ValueError, "more than 0, not 0"), ("tiny", TypeError, "a number, not 'tiny'")],
}


@pytest.mark.parametrize(
    ("name", "value", "error", "expected"),
    [(name, *case) for name, cases in WRONG.items() for case in cases],
)
def test_wrong_numbers(name, value, error, expected):
    attribute = name.split("[")[0]
    made = cr.SGD if name == "momentum" else cr.AdamW
    message = rf"^{made.__name__}'s {name} must be {expected}".replace("[1]", r"\[1\]")
    with pytest.raises(error, match=message):
        made(**{attribute: value})
    optimizer = made()
    before = repr(optimizer)
    with pytest.raises(error, match=message):
        setattr(optimizer, attribute, value)
    assert repr(optimizer) == before


def test_first_beta_is_checked_like_the_second():
    with pytest.raises(ValueError, match=r"^Adam's betas\[0\] must be at least 0 .*, not 1\.0\."):
        cr.Adam(betas=(1.0, 0.999))


def test_nesterov_needs_a_momentum():
    with pytest.raises(ValueError, match=r"SGD's nesterov needs a momentum above 0\."):
        cr.SGD(nesterov=True)


def test_weight_decay_by_name_is_that_of_each_parameter_alone():
    layers = cr.Linear(5, 4), cr.Tanh(), cr.Linear(4, 3)
    decays = {"0.weight": 0.1, "*.weight": 0.5}
    for make in (cr.SGD, cr.Adam, cr.AdamW):
        net = cr.Sequential(*layers, seed=0, dtype="float64")
        optimizer = make(lr=0.1, weight_decay=decays)
        alone = {d: cr.Sequential(*layers, seed=0, dtype="float64") for d in (0.1, 0.5, 0.0)}
        for decay, other in alone.items():
            steps(make(lr=0.1, weight_decay=decay), other)
        steps(optimizer, net)
        for name, view in net.parameters().items():
            decay = {"0.weight": 0.1, "2.weight": 0.5}.get(name, 0.0)
            np.testing.assert_allclose(view, alone[decay].parameters()[name], rtol=1e-14)
        assert optimizer.state(net).step == 5
        assert len(optimizer.state(net).program.program) == 4
        copy = pickle.loads(pickle.dumps((optimizer, net)))[0]
        assert repr(copy) == repr(optimizer)


def test_neighbours_with_one_weight_decay_are_updated_together():
    net, optimizer = network(), cr.AdamW(weight_decay={"*": 0.25})
    assert len(optimizer.state(net).program.program) == 1
    steps(optimizer, net, 2)
    optimizer.weight_decay = {"*.bias": 0.25}  # now there are two runs
    state = optimizer.state(net)
    assert len(state.program.program) == 2
    assert state.step == 2
    assert not state.has_hyperparameters_of(cr.AdamW(weight_decay={"*": 0.25}).state(net))


@pytest.mark.parametrize("decay", [-1, "much", np.nan, 1e39])
def test_a_weight_decay_by_name_that_is_changed_in_place_is_checked(decay):
    net, optimizer = network(dtype="float32"), cr.SGD(weight_decay={"*": 0.1})
    steps(optimizer, net, 2)
    before = net.params.copy()
    optimizer.weight_decay["*"] = decay
    with pytest.raises((ValueError, TypeError), match=r"^SGD's weight_decay\['\*'\] must be"):
        optimizer.step(net)
    assert np.array_equal(net.params, before)


def test_wrong_factors_of_the_learning_rate():
    with pytest.raises(ValueError, match=r"Adam's lr_factors\['\*'\] must be 0 or more, not -1"):
        cr.Adam(lr_factors={"*": -1})
    with pytest.raises(TypeError, match="must be a dict of name patterns and factors"):
        cr.Adam(lr_factors=0.1)
    with pytest.raises(TypeError, match=r"Adam's lr must be one number, not .*: lr_factors="):
        cr.Adam(lr={"0.*": 0.1})
    optimizer = cr.Adam(lr_factors={"9.*": 0.1})
    with pytest.raises(ValueError, match=r"lr_factors has a pattern '9\.\*' that matches no"):
        optimizer.step(network())


def test_an_optimizer_says_where_schedules_go():
    with pytest.raises(TypeError, match=r"Adam's lr must be a number.*fit\(schedule=\.\.\.\)"):
        cr.Adam(lr=cr.schedules.CosineAnnealingLR(0.1))


def test_wrong_weight_decay_by_name():
    with pytest.raises(ValueError, match=r"AdamW's weight_decay\['\*'\] must be 0 or more, not -1"):
        cr.AdamW(weight_decay={"*": -1})
    with pytest.raises(TypeError, match="must have name patterns as keys, not 3"):
        cr.AdamW(weight_decay={3: 0.1})
    net = network()
    before = net.params.copy()
    net.grads[:] = 1
    optimizer = cr.AdamW(weight_decay={"1.weight": 0.1})
    with pytest.raises(ValueError, match=r"'1\.weight' that matches no parameter.*0\.weight"):
        optimizer.step(net)
    assert np.array_equal(net.params, before)

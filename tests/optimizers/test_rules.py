"""What holds for every optimizer: its formula, its range, its state, and how a training ends."""

import inspect
import json
import pickle
import re
from importlib import import_module
from itertools import count, islice
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest

import chainrule as cr
from chainrule import operations
from chainrule.engine.binding import twin_of
from chainrule.engine.orders import EpochOrders
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.operations.nadam import momentum_product
from chainrule.operations.operation import find
from chainrule.operations.update import UpdateOperation

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "optimizers.json").read_text())
VARIANTS = {
    "SGD": lambda **how: cr.SGD(**how),
    "SGD with momentum": lambda **how: cr.SGD(momentum=0.9, **how),
    "Adam": lambda **how: cr.Adam(**how),
    "Adam with amsgrad": lambda **how: cr.Adam(amsgrad=True, **how),
    "AdamW": lambda **how: cr.AdamW(**how),
    "AdamW with amsgrad": lambda **how: cr.AdamW(amsgrad=True, **how),
    "NAdam": lambda **how: cr.NAdam(**how),
    "NAdam, decoupled": lambda **how: cr.NAdam(decoupled_weight_decay=True, **how),
    "RMSprop": lambda **how: cr.RMSprop(**how),
    "RMSprop, centered": lambda **how: cr.RMSprop(centered=True, **how),
    "RMSprop with all": lambda **how: cr.RMSprop(momentum=0.9, centered=True, **how),
    "Adagrad": lambda **how: cr.Adagrad(lr_decay=0.1, initial_accumulator_value=0.1, **how),
    "Lion": lambda **how: cr.Lion(**how),
}
each = pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)
each_backend = pytest.mark.parametrize("backend", ["numba", "numpy"])


def vector(size, dtype="float64", backend="numba"):
    """Return a network of so many parameters, all 0."""
    net = cr.Sequential(cr.Linear(1, size, bias=False), seed=0, dtype=dtype, backend=backend)
    net.params[:] = 0
    return net


def network(**options):
    return cr.Sequential(cr.Linear(4, 9), cr.Tanh(), cr.Linear(9, 3), **{"seed": 0} | options)


def data(rows=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 4)), rng.normal(size=(rows, 3))


def fit(net, optimizer, **options):
    options = {"loss": cr.MSELoss(), "epochs": 6, "batch_size": 16, "progress": False} | options
    return cr.fit(net, *data(), optimizer=optimizer, **options)


def batches():
    """Yield what fit takes, one batch after the other."""
    X, y = data()
    orders = EpochOrders(len(X), 0)
    for epoch in count():
        (order,) = orders.epochs(epoch, 1)
        for start in range(0, len(X), 16):
            rows = order[start : start + 16]
            yield X[rows], y[rows]


def test_every_optimizer_is_here():
    public = {*cr.optimizers.__all__}
    assert {type(make()).__name__ for make in VARIANTS.values()} == public
    for name in public:
        assert any(case["optimizer"] == name and not case["numbers"] for case in GOLDEN["cases"]), (
            f"tests/golden/generate_optimizers.py has no case of {name} with its defaults"
        )


# Others are also what fit takes by default, and what scikit-learn's solvers stand for.
@pytest.mark.parametrize("name", ["Adagrad", "Lion", "NAdam", "RMSprop"])
def test_the_package_names_an_optimizer_in_its_own_few_files(name):
    package, operation = Path(cr.__file__).parent, getattr(cr, name).operation
    word = re.compile(rf"\b({name}|{operation})(_update)?\b")
    found = {p.relative_to(package) for p in package.rglob("*.py") if word.search(p.read_text())}
    folders = "operations", "optimizers", "reference"
    own = {Path(folder, f"{operation}.py") for folder in folders}
    assert found == own | {Path("optimizers/__init__.py")}


# Formulas


@pytest.mark.parametrize(
    ("backend", "dtype", "tolerance"),
    [("numba", "float64", 1e-12), ("numpy", "float64", 1e-12), ("numba", "float32", 2e-5)],
)
@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=lambda case: f"{case['optimizer']} {case['numbers']}"
)
def test_steps_are_those_of_pytorch(case, backend, dtype, tolerance):
    optimizer = getattr(cr, case["optimizer"])(**case["numbers"])
    net = vector(len(GOLDEN["start"]), dtype, backend)
    net.params = np.array(GOLDEN["start"])
    path = []
    for gradient in GOLDEN["gradients"]:
        net.grads[:] = gradient
        optimizer.step(net)
        path.append(net.params.copy())
    np.testing.assert_allclose(path, case["path"], rtol=tolerance, atol=tolerance)


UPDATES = [
    operation
    for _, name, _ in iter_modules(operations.__path__)
    if isinstance(
        operation := getattr(import_module(f"chainrule.operations.{name}"), "OPERATION", None),
        UpdateOperation,
    )
]
NUMBERS = {
    "lr": 0.01, "beta1": 0.8, "beta2": 0.95, "alpha": 0.9, "eps": 1e-6, "momentum": 0.7,
    "weight_decay": 0.1, "lr_decay": 0.3, "momentum_decay": 0.02, "step": 3,
}  # fmt: skip
FLAGS = "nesterov", "amsgrad", "centered", "decoupled_weight_decay"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("flag", [False, True])
@pytest.mark.parametrize("operation", UPDATES, ids=lambda operation: operation.name)
def test_an_update_equals_its_twin(operation, flag, dtype):
    kernel = operation.update.code
    twin = twin_of(kernel)
    names = operation.update.names
    assert names == tuple(inspect.signature(twin).parameters)
    rng = np.random.default_rng(0)
    numbers = NUMBERS | dict.fromkeys(FLAGS, flag)
    for size in (1, 7, 64, 1001):
        given = [
            numbers[name] if name in numbers else rng.normal(size=size).astype(dtype)
            for name in names
        ]
        for name, value in zip(names, given, strict=True):
            if name in ("square", "largest", "root"):
                np.abs(value, out=value)
        mine = [value.copy() if isinstance(value, np.ndarray) else value for value in given]
        kernel(*mine)
        twin(*given)
        tolerance = 64 * np.finfo(dtype).eps
        for name, value, expected in zip(names, mine, given, strict=True):
            np.testing.assert_allclose(
                value, expected, rtol=tolerance, atol=tolerance, err_msg=name
            )


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("momentum_decay", [0.0, 0.004, 1.0, 1e39])
def test_product_of_momenta(beta1, momentum_decay):
    for step in (1, 2, 10, 60, 1000, 20_000):
        expected = 1 - twin_of(momentum_product)(beta1, momentum_decay, step)
        assert 1 - momentum_product(beta1, momentum_decay, step) == pytest.approx(expected, 1e-12)


@each
def test_weight_decay_by_name_is_that_of_each_parameter_alone(make):
    decays = {"0.weight": 0.1, "*.weight": 0.5}
    net = network(dtype="float64")
    optimizer = make(lr=0.1, weight_decay=decays)
    gradients = np.random.default_rng(1).normal(size=(5, net.params.size))
    alone = {decay: network(dtype="float64") for decay in (0.1, 0.5, 0.0)}
    rules = {decay: make(lr=0.1, weight_decay=decay) for decay in alone}
    for gradient in gradients:
        for one, rule in ((net, optimizer), *((alone[d], rules[d]) for d in alone)):
            one.grads[:] = gradient
            rule.step(one)
    for name, view in net.parameters().items():
        decay = {"0.weight": 0.1, "2.weight": 0.5}.get(name, 0.0)
        np.testing.assert_allclose(view, alone[decay].parameters()[name], rtol=1e-14)


# The range of numbers


@each_backend
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each
def test_no_gradient_freezes_a_weight(make, dtype, backend):
    """All whose square is a number move it, and larger ones too, or make it NaN."""
    largest = np.finfo(dtype).max
    exponents = np.linspace(-3, np.log10(largest), 300)
    gradients = (10.0 ** exponents[:-1]).astype(dtype)
    net = vector(gradients.size, dtype, backend)
    net.grads[:] = gradients
    with np.errstate(over="ignore", invalid="ignore"):
        make(lr=0.1).step(net)
    assert ((net.params < 0) | np.isnan(net.params)).all()
    assert np.isfinite(net.params[gradients < np.sqrt(largest)]).all()


def test_no_square_overflows_in_adagrad():
    gradients = np.array([1e-30, 1e-10, 1.0, 1e19, 1e30, 2e38], "f")
    for backend in ("numba", "numpy"):
        net, optimizer = vector(gradients.size, "float32", backend), cr.Adagrad(eps=1e-38)
        for _ in range(2):
            net.grads[:] = gradients
            optimizer.step(net)
        np.testing.assert_allclose(net.params, -0.01 * (1 + 2**-0.5), rtol=1e-5)


@each_backend
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@each
def test_what_is_not_finite_is_seen(make, value, backend):
    """In the parameters, so that no state holds it unseen."""
    net, optimizer = vector(9, "float32", backend), make()
    for gradient in (1.0, value, 1.0):
        net.grads[:] = 1.0
        net.grads[4] = gradient
        with np.errstate(invalid="ignore"):
            optimizer.step(net)
    assert not np.isfinite(net.params[4])
    assert np.isfinite(np.delete(net.params, 4)).all()
    assert np.isfinite(np.delete(optimizer.state(net).vectors, 4, axis=1)).all()


@each_backend
@pytest.mark.parametrize("alpha", [0.5, 0.9, 0.99])
def test_a_variance_is_never_below_0(alpha, backend):
    """As the difference of a square and a mean it would be, by rounding: PyTorch's becomes NaN."""
    net = vector(3, "float32", backend)
    optimizer = cr.RMSprop(alpha=alpha, centered=True)
    for _ in range(150):
        net.grads[:] = [2.5, 0.1, 1e3]
        optimizer.step(net)
    assert np.isfinite(net.params).all()


# What is remembered


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [
        (cr.SGD(), []),
        (cr.SGD(momentum=0.5), ["velocity"]),
        (cr.Adam(), ["mean", "square"]),
        (cr.Adam(amsgrad=True), ["mean", "square", "largest"]),
        (cr.RMSprop(), ["square"]),
        (cr.RMSprop(momentum=0.5), ["square", "velocity"]),
        (cr.RMSprop(momentum=0.5, centered=True), ["square", "mean", "velocity"]),
        (cr.Adagrad(), ["root"]),
        (cr.Lion(), ["mean"]),
    ],
    ids=repr,
)
def test_only_vectors_that_are_needed_are_kept(optimizer, names):
    net = vector(5)
    state = optimizer.state(net)
    assert list(state.names) == names
    assert state.vectors.shape == (optimizer.state_vectors, 5) == (len(names), 5)


def test_sum_begins_at_its_initial_value():
    net = vector(2)
    optimizer = cr.Adagrad(initial_accumulator_value=9.0)
    assert (optimizer.state(net).vectors == 3.0).all()
    net.grads[:] = [0.0, 4.0]
    optimizer.step(net)
    np.testing.assert_allclose(net.params, [0.0, -0.01 * 4 / 5])


@each_backend
def test_vectors_come_and_go_with_the_numbers(backend):
    net, twin = vector(4, backend=backend), vector(4, backend=backend)
    optimizer, other = cr.RMSprop(), cr.RMSprop(momentum=1e-300)
    for step in range(6):
        if step == 3:
            optimizer.momentum = other.momentum = 0.5
            other.state(twin).vectors[1] = 0.0
        for one, rule in ((net, optimizer), (twin, other)):
            one.grads[:] = np.arange(4) - 1.5 * step
            rule.step(one)
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-14)
    assert optimizer.state(net).step == 6
    optimizer.momentum = 0.0
    assert optimizer.state(net).names == ("square",)
    np.testing.assert_array_equal(optimizer.state(net).vectors[0], other.state(twin).vectors[0])


@each
def test_a_copy_goes_on_as_the_original(make):
    net, optimizer = network(), make()
    fit(net, optimizer)
    its_net, its_optimizer = pickle.loads(pickle.dumps((net, optimizer)))
    assert repr(its_optimizer) == repr(optimizer)
    for one, rule in ((net, optimizer), (its_net, its_optimizer)):
        fit(one, rule, epochs=2)
    assert np.array_equal(its_net.params, net.params)


# Training


@each_backend
@each
def test_it_trains(make, backend):
    net = network(backend=backend)
    history = fit(net, make(lr=0.05), epochs=20)
    assert history.loss[-1] < 0.9 * history.loss[0]


@pytest.mark.skipif(JIT_DISABLED, reason="plain Python runs in one thread")
@each
def test_bits_do_not_depend_on_the_number_of_threads(make, eager_threads):
    ends = []
    for threads in (1, 2, 3):
        net = network()
        optimizer = make(lr=0.02, weight_decay={"0.*": 0.1, "2.weight": 0.2})
        with cr.threads(threads):
            fit(net, optimizer, clip_norm=1.0)
        ends.append((net.params.tobytes(), optimizer.state(net).vectors.tobytes()))
    assert ends[0] == ends[1] == ends[2]


# Frozen parameters and factors of the learning rate


@pytest.mark.parametrize("clip_norm", [None, 0.01])
@each_backend
@each
def test_frozen_parameters_do_not_change_and_others_do_as_without_them(make, backend, clip_norm):
    net, optimizer = network(backend=backend), make(lr=0.02, weight_decay=0.1)
    fit(net, optimizer, epochs=1)  # there are momenta, if any
    net.freeze("0.*")
    first, before = net.parameters()["0.weight"], net.parameters()["0.weight"].copy()
    twin, other = pickle.loads(pickle.dumps((net, optimizer)))
    fit(net, optimizer, epochs=2, clip_norm=clip_norm)
    assert np.array_equal(first, before)
    loss, batch = cr.MSELoss(), islice(batches(), 3, 9)
    for x, y in batch:  # by hand, on the last layer alone
        twin.backward(loss(twin.forward(x), y)[1])
        twin.gradients()["0.weight"][:] = twin.gradients()["0.bias"][:] = 0
        if clip_norm:
            cr.clip_grad_norm(twin, clip_norm)
        other.step(twin)
    assert np.array_equal(net.params, twin.params)
    net.unfreeze()
    fit(net, optimizer, epochs=1)
    assert not np.array_equal(first, before)


@each
def test_a_frozen_parameter_keeps_its_state(make):
    net, optimizer = network(), make(lr=0.02, weight_decay=0.1)
    step = cr.train_step(net, cr.MSELoss(), optimizer)
    x, y = data()
    step(x, y)
    before = {name: view.copy() for name, view in net.parameters().items()}
    states = optimizer.state(net).vectors.copy()
    net.freeze("*.weight")
    step(x, y)  # the prepared step notices it
    for name, view in net.parameters().items():
        assert np.array_equal(view, before[name]) == name.endswith("weight"), name
    for state, then in zip(optimizer.state(net).vectors, states, strict=True):
        for name, view in net.views(state).items():
            if name.endswith("weight"):
                assert np.array_equal(view, net.views(then)[name])
    net.freeze("*")
    everything = net.params.copy()
    step(x, y)
    fit(net, optimizer, clip_norm=1.0)
    assert np.array_equal(net.params, everything)


@each_backend
@each
def test_a_factor_of_the_learning_rate_is_that_rate_for_its_parameters(make, backend):
    rates = {"0.weight": 0.002, "0.bias": 0.002, "2.weight": 0.02, "2.bias": 0.04}
    factors = {"0.*": 0.1, "2.bias": 2.0}
    net, optimizer = network(backend=backend), make(lr=0.02, weight_decay=0.1, lr_factors=factors)
    twins = {rate: network(backend=backend) for rate in set(rates.values())}
    rules = {rate: make(lr=rate, weight_decay=0.1) for rate in twins}
    for x, y in islice(batches(), 5):
        net.backward(cr.MSELoss()(net.forward(x), y)[1])
        optimizer.step(net)
        for rate, twin in twins.items():
            twin.grads = net.grads
            rules[rate].step(twin)
        for name, rate in rates.items():
            expected = twins[rate].parameters()[name]
            np.testing.assert_allclose(net.parameters()[name], expected, rtol=1e-6, atol=1e-8)
    again = make(lr=0.02, weight_decay=0.1, lr_factors=factors)
    assert repr(again) == repr(optimizer)


@each
def test_a_schedule_sets_the_rate_that_the_factors_apply_to(make):
    schedule = cr.schedules.LinearLR(0.02, start_factor=0.1)
    nets = [network() for _ in range(2)]
    optimizer, other = make(lr_factors={"2.*": 0.25}), make(lr_factors={"2.*": 0.25})
    history = fit(nets[0], optimizer, schedule=schedule)
    by_step = schedule.in_steps(3, 6)
    for number, (x, y) in enumerate(islice(batches(), 18)):
        other.lr = by_step(number)
        nets[1].backward(cr.MSELoss()(nets[1].forward(x), y)[1])
        other.step(nets[1])
    assert np.array_equal(nets[0].params, nets[1].params)
    assert history.lr[-1] == by_step(17)


@pytest.mark.skipif(JIT_DISABLED, reason="plain Python runs in one thread")
@each
def test_frozen_parameters_and_factors_give_the_same_bits_with_any_threads(make, eager_threads):
    ends = []
    for threads in (1, 2, 3):
        net, optimizer = network(), make(lr=0.02, lr_factors={"0.*": 0.3}, weight_decay=0.1)
        net.freeze("0.bias")
        with cr.threads(threads):
            fit(net, optimizer, clip_norm=0.1)
        ends.append((net.params.tobytes(), optimizer.state(net).vectors.tobytes()))
    assert ends[0] == ends[1] == ends[2]


class Unfreeze(cr.Callback):
    def on_epoch_end(self, training):
        if training.epoch == 2:
            training.network.unfreeze("0.weight")


@each
def test_a_training_with_frozen_parameters_goes_on_from_its_checkpoint(make, tmp_path):
    path, calls, factors = tmp_path / "run.safetensors", [Unfreeze()], {"2.*": 0.5}

    def start(seed):
        net = network(seed=seed)
        net.freeze("0.*")
        return net, make(lr_factors=factors)

    whole, optimizer = start(0)
    fit(whole, optimizer, callbacks=calls)
    fit(*start(0), epochs=3, checkpoint=path, callbacks=calls)
    net, optimizer = start(1)
    fit(net, optimizer, checkpoint=path, resume=True, callbacks=calls)
    assert np.array_equal(net.params, whole.params)
    assert net.frozen == ("0.bias",)
    longer, rule = start(0)  # in the same process, where the callback's change is in place
    fit(longer, rule, epochs=3, checkpoint=path, callbacks=calls)
    assert longer.frozen == ("0.bias",)
    fit(longer, rule, checkpoint=path, resume=True, callbacks=calls)
    assert np.array_equal(longer.params, whole.params)
    with pytest.raises(ValueError, match=r"frozen is \[\], but was \['0.weight', '0.bias'\]"):
        fit(network(), make(lr_factors=factors), checkpoint=path, resume=True)
    with pytest.raises(ValueError, match="lr_factors is None, but was"):
        fit(start(1)[0], make(), checkpoint=path, resume=True)


class Change(cr.Callback):
    """Sets numbers of the optimizer after some steps."""

    every = 1

    def __init__(self, numbers):
        self.numbers = numbers

    def on_steps(self, training):
        training.optimizer.set_hyperparameters(self.numbers.get(training.step, {}))


CHANGES = {"momentum": 0.5, "amsgrad": True, "centered": True}
each_change = pytest.mark.parametrize(
    ("make", "changed"),
    [
        pytest.param(make, changed, id=f"{name} {changed}")
        for name, make in VARIANTS.items()
        for changed in ({}, *({key: value} for key, value in CHANGES.items()))
        if changed.keys() <= make().hyperparameters().keys()
    ],
)


@each_change
def test_a_training_goes_on_from_its_checkpoint(make, changed, tmp_path):
    calls = [Change({5: changed})]
    path, decay = tmp_path / "run.safetensors", {"*.weight": 0.1}
    whole, net = network(), network()
    fit(whole, make(weight_decay=decay), callbacks=calls)
    fit(net, make(weight_decay=decay), epochs=3, checkpoint=path, callbacks=calls)
    net, optimizer = network(seed=1), make(weight_decay=decay)
    fit(net, optimizer, checkpoint=path, resume=True, callbacks=calls)
    assert np.array_equal(net.params, whole.params)
    assert optimizer.state(net).step == 18
    with pytest.raises(ValueError, match=r"optimizer numbers lr is 0\.5"):
        fit(network(), make(lr=0.5, weight_decay=decay), checkpoint=path, resume=True)


@each_backend
@each_change
def test_it_goes_back_to_the_last_finite_parameters(make, backend, changed):
    numbers = {5: changed, 7: {"lr": 1e38}}
    net, twin, optimizer = network(backend=backend), network(backend=backend), make(lr=1e-3)
    with pytest.raises(cr.NonFiniteError) as caught:
        fit(net, make(lr=1e-3), callbacks=[Change(numbers)], epochs=50)
    steps = 3 * (caught.value.epoch - 1) + caught.value.step - 1
    assert 7 <= steps < 20
    for step, (x, y) in enumerate(islice(batches(), steps)):
        optimizer.set_hyperparameters(numbers.get(step, {}))
        _, d_out = cr.MSELoss()(twin.forward(x), y)
        twin.backward(d_out)
        optimizer.step(twin)
    assert np.isfinite(net.params).all()
    assert np.array_equal(net.params, twin.params)


# Numbers


WRONG = [
    (cr.RMSprop, "alpha", 1.0, ValueError, "at least 0 and less than 1, not 1.0"),
    (cr.RMSprop, "eps", 0.0, ValueError, "more than 0, not 0.0"),
    (cr.RMSprop, "momentum", 1.5, ValueError, "at least 0 and less than 1, not 1.5"),
    (cr.RMSprop, "centered", 1, TypeError, "True or False, not 1"),
    (cr.Adagrad, "lr_decay", -0.1, ValueError, "0 or more, not -0.1"),
    (cr.Adagrad, "initial_accumulator_value", -1.0, ValueError, "0 or more, not -1.0"),
    (cr.Adagrad, "eps", "a", TypeError, "a number, not 'a'"),
    (cr.NAdam, "momentum_decay", np.inf, ValueError, "0 or more, not inf"),
    (cr.NAdam, "decoupled_weight_decay", None, TypeError, "True or False, not None"),
    (cr.NAdam, "betas", (0.9,), ValueError, "two numbers, not"),
    (cr.Adam, "amsgrad", "yes", TypeError, "True or False, not 'yes'"),
    (cr.Lion, "betas", 0.9, ValueError, "two numbers, not 0.9"),
]


@pytest.mark.parametrize(("made", "name", "value", "error", "expected"), WRONG)
def test_wrong_numbers(made, name, value, error, expected):
    message = rf"^{made.__name__}'s {name} must be {expected}"
    with pytest.raises(error, match=message):
        made(**{name: value})
    optimizer = made()
    before = repr(optimizer)
    with pytest.raises(error, match=message):
        setattr(optimizer, name, value)
    assert repr(optimizer) == before


@pytest.mark.parametrize("name", cr.optimizers.__all__)
def test_an_optimizer_is_shown_as_it_is_written(name):
    optimizer = getattr(cr, name)(lr=0.25)
    assert repr(eval(repr(optimizer), vars(cr))) == repr(optimizer)
    assert [*optimizer.hyperparameters()] == [*inspect.signature(type(optimizer)).parameters]


def test_a_state_vector_has_one_name():
    for operation in UPDATES:
        assert find(operation.name) is operation
        assert {*operation.optional} <= {*operation.state} <= {*operation.update.names}
        assert {*operation.optional.values()} <= {*operation.update.names}

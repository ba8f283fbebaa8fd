"""Operations against PyTorch, and that each is known by few files only."""

import ast
import inspect
import json
import tokenize
from importlib import import_module
from math import lgamma
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest

import chainrule as cr
import chainrule.operations

PACKAGE = Path(cr.__file__).parent
GOLDEN = json.loads((Path(__file__).parent / "golden" / "operations.json").read_text())
# Embedding, which only begins a network, has its case in layers/test_embedding.py; BatchNorm whose
# rows depend on each other, in layers/test_batch_norm.py.
GOLDEN = [case for case in GOLDEN if case.get("layer") != "Embedding"]
GOLDEN = [case for case in GOLDEN if case["options"].get("track", True)]
LAYER_CASES = [case for case in GOLDEN if "layer" in case]
LOSS_CASES = [case for case in GOLDEN if "loss" in case]
both_backends = pytest.mark.parametrize("backend", ["numba", "numpy"])


def name_of(case):
    return f"{case.get('layer') or case['loss']}-{case['options']}"


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@both_backends
@pytest.mark.parametrize("case", LAYER_CASES, ids=name_of)
def test_layer_is_as_in_pytorch(case, backend):
    layer = getattr(cr, case["layer"])(**case["options"])
    net = cr.Sequential(layer, seed=0, dtype="float64", backend=backend)
    if "state" in case:
        cr.interop.torch.from_state_dict(net, {f"0.{k}": v for k, v in case["state"].items()})
    x, y, loss = np.array(case["x"]), np.array(case["y"]), cr.MSELoss()
    close(net.predict(x), case["output"])
    value, (d_x, d_params) = cr.value_and_grad(net, loss, wrt=("x", "params"))(net.params, x, y)
    close(value, case["value"])
    close(d_x, case["gradient"])
    expected = [np.array(array).reshape(-1) for array in case["d_parameters"]]
    close(d_params, np.concatenate([*expected, []]))
    close(cr.hvp(net, loss, x, y, np.array(case["direction"]), wrt="x"), case["hessian_product"])


@both_backends
@pytest.mark.parametrize("case", [c for c in LAYER_CASES if "training" in c], ids=name_of)
def test_training_steps_of_a_layer_are_as_in_pytorch(case, backend):
    layer, state = getattr(cr, case["layer"])(**case["options"]), case["state"]
    net = cr.Sequential(layer, seed=0, dtype="float64", backend=backend)
    cr.interop.torch.from_state_dict(net, {f"0.{k}": v for k, v in state.items()})
    x, y, expected = np.array(case["x"]), np.array(case["y"]), case["training"]
    net.forward(x + y)
    output = net.forward(x)
    close(output, expected["output"])
    close(net.backward(cr.MSELoss()(output, y)[1]), expected["gradient"])
    close(net.grads, np.concatenate([*expected["d_parameters"], []]))
    found = cr.interop.torch.to_state_dict(net, framework="numpy")
    assert list(found) == [f"0.{key}" for key in expected["state"]]
    for key, value in expected["state"].items():
        close(found[f"0.{key}"], value)


@both_backends
@pytest.mark.parametrize("case", LOSS_CASES, ids=name_of)
def test_loss_is_as_in_pytorch(case, backend):
    loss, output, y = getattr(cr, case["loss"])(**case["options"]), case["output"], case["y"]
    value, d_output = loss(output, y)
    close(value, case["value"])
    close(d_output, case["gradient"])
    net = cr.Sequential(cr.Identity(), dtype="float64", backend=backend)
    value, d_x = cr.value_and_grad(net, loss, wrt="x")(net.params, output, y)
    close(value, case["value"])
    close(d_x, case["gradient"])
    direction, weights = np.array(case["direction"]), case["sample_weight"]
    close(cr.hvp(net, loss, output, y, direction, wrt="x"), case["hessian_product"])
    value, d_x = cr.value_and_grad(net, loss, wrt="x")(net.params, output, y, weights)
    close(value, case["weighted_value"])
    close(d_x, case["weighted_gradient"])
    found = cr.hvp(net, loss, output, y, direction, wrt="x", sample_weight=weights)
    close(found, case["weighted_hessian_product"])


@both_backends
@pytest.mark.parametrize("case", GOLDEN, ids=name_of)
def test_float32_is_float64_rounded(case, backend):
    if "layer" in case:
        layer, loss = getattr(cr, case["layer"])(**case["options"]), cr.MSELoss()
        x = np.array(case["x"], "float32")
    else:
        layer, loss = cr.Identity(), getattr(cr, case["loss"])(**case["options"])
        x = np.array(case["output"], "float32")
    found = []
    for dtype in ("float32", "float64"):
        net = cr.Sequential(layer, seed=0, dtype=dtype, backend=backend)
        evaluate = cr.value_and_grad(net, loss, wrt=("params", "x"))
        value, (d_params, d_x) = evaluate(net.params, x, case["y"])
        assert d_params.dtype == d_x.dtype == dtype
        found.append(np.concatenate([[value], d_params, d_x.reshape(-1)]))
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", LAYER_CASES, ids=name_of)
def test_second_derivatives_of_a_layer_between_others(case):
    layer = getattr(cr, case["layer"])(**case["options"])
    width = 2 if isinstance(layer, cr.GLU) else 4
    net = cr.Sequential(cr.Linear(3, 4), layer, cr.Tanh(), cr.Linear(width, 2), seed=1)
    x, y = rng(0).normal(size=(5, 3)), rng(1).normal(size=(5, 2))
    assert cr.gradgradcheck(net, cr.MSELoss(), x, y).passed


@pytest.mark.parametrize("case", LAYER_CASES, ids=name_of)
def test_third_derivatives_of_a_layer(case):
    """The gradient of second derivatives, as a loss of a differential equation has it."""
    layer = getattr(cr, case["layer"])(**case["options"])
    width = 2 if isinstance(layer, cr.GLU) else 4
    net = cr.Sequential(cr.Linear(2, 4), layer, cr.Linear(width, 1), seed=3, dtype="float64")
    x, h, chosen = rng(0).normal(size=(6, 2)), 1e-5, [(0, 0), (0, 1)]
    values, pullback = cr.input_derivatives(net, x, chosen)
    weights = [rng(i).normal(size=value.shape) for i, value in enumerate(values)]
    d_params, d_x = pullback(weights)

    def weighted(params, x):
        values, _ = cr.input_derivatives(net, x, chosen, params=params)
        return sum((w * value).sum() for w, value in zip(weights, values, strict=True))

    moves = rng(5).normal(size=net.params.size), rng(6).normal(size=x.shape)
    ends = [weighted(net.params + step * moves[0], x + step * moves[1]) for step in (h, -h)]
    found = (d_params * moves[0]).sum() + (d_x * moves[1]).sum()
    assert found == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("case", GOLDEN, ids=name_of)
def test_any_number_of_threads_gives_the_same_bits(all_threads, case):
    if "layer" in case:
        layer, loss = getattr(cr, case["layer"])(**case["options"]), cr.MSELoss()
        width = 2 if isinstance(layer, cr.GLU) else 4
    else:
        layer, loss, width = cr.Tanh(), getattr(cr, case["loss"])(**case["options"]), 4
    last = [cr.Linear(width, 4), cr.Softplus()]
    X = rng(0).normal(size=(150, 3))
    shape = (150, *loss.target_shape((4,)))
    y = rng(1).integers(0, 4, 150) if loss.takes_labels else rng(1).uniform(size=shape)
    found = []
    for threads in (1, 2, 3):
        net = cr.Sequential(cr.Linear(3, 4), layer, *last, seed=0)
        with all_threads(), cr.threads(threads):
            history = cr.fit(
                net, X, y, loss=loss, optimizer=cr.Adam(lr=0.01), epochs=3, batch_size=50,
                sample_weight=rng(2).uniform(size=150), validation=(X, y), progress=False,
            )  # fmt: skip
        found.append((net.params.tobytes(), history.loss, history.validation_loss))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("case", LAYER_CASES, ids=name_of)
def test_files_hold_a_layer_with_its_parameters(tmp_path, case):
    pytest.importorskip("onnx")
    layer = getattr(cr, case["layer"])(**case["options"])
    net = cr.Sequential(cr.Linear(3, 4), layer, seed=0)
    net.params[:] = rng(0).normal(size=net.params.size)
    x = rng(1).normal(size=(5, 3)).astype("float32")
    net.save(tmp_path / "model.safetensors")
    net.to_onnx(tmp_path / "model.onnx")
    state = cr.interop.torch.to_state_dict(net, framework="numpy")
    of_state = cr.Sequential(cr.Linear(3, 4), layer, seed=1)
    cr.interop.torch.from_state_dict(of_state, state)
    read = cr.load(tmp_path / "model.safetensors"), cr.from_onnx(tmp_path / "model.onnx"), of_state
    for same in read:
        assert [type(each) for each in same.layers] == [cr.Linear, type(layer)]
        np.testing.assert_array_equal(same.predict(x), net.predict(x))


# Losses: what is special


def rng(seed):
    return np.random.default_rng(seed)


def test_class_weights_are_weights_of_rows():
    """Over blocks, batches and epochs, in a validation, and beside sample weights."""
    rows, class_weight = 3000, np.array([0.5, 2.0, 0.25])
    X, y = rng(0).normal(size=(rows, 4)), rng(1).integers(0, 3, rows)
    given = rng(2).uniform(size=rows)
    nets = [cr.Sequential(cr.Linear(4, 3), seed=0, dtype="float64") for _ in range(2)]
    ways = [
        (cr.CrossEntropyLoss(weight=class_weight), given),
        (cr.CrossEntropyLoss(), given * class_weight[y]),
    ]
    found = []
    for net, (loss, weights) in zip(nets, ways, strict=True):
        value, gradient = cr.value_and_grad(net, loss)(net.params, X, y, weights)
        at_start, d_start = cr.objective(net, loss, X, y, sample_weight=weights).fun(net.params)
        history = cr.fit(
            net, X, y, loss=loss, batch_size=64, epochs=2, sample_weight=weights, seed=0,
            validation=(X, y, weights), progress=False,
        )  # fmt: skip
        numbers = [value, *gradient, at_start, *d_start, *history.loss, *history.validation_loss]
        found.append([*numbers, *net.params])
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-15)


def test_accuracy_counts_rows_without_class_weights():
    net = cr.Sequential(cr.Identity())
    X, y = np.eye(2), np.array([0, 0])
    loss = cr.CrossEntropyLoss(weight=[1.0, 5.0])
    history = cr.fit(net, X, y, loss=loss, epochs=1, validation=(X, y), progress=False)
    assert history.validation_accuracy == [0.5]


def test_samples_of_weighted_classes_have_gradients_by_their_weights():
    net = cr.Sequential(cr.Linear(3, 2), seed=0, dtype="float64")
    x, y, weight = rng(0).normal(size=(5, 3)), [0, 1, 1, 0, 1], [0.5, 3.0]
    found = cr.per_sample_grad(net, cr.CrossEntropyLoss(weight=weight), x, y)
    plain = cr.per_sample_grad(net, cr.CrossEntropyLoss(), x, y)
    np.testing.assert_allclose(found, plain * np.array(weight)[y][:, np.newaxis], rtol=1e-12)


def test_variances_below_eps_count_as_eps_and_come_back():
    value, d_output = cr.GaussianNLLLoss(eps=0.1)([[1.0, -3.0]], [2.0])
    at_eps, d_at_eps = cr.GaussianNLLLoss()([[1.0, 0.1]], [2.0])
    assert value == pytest.approx(at_eps)
    np.testing.assert_allclose(d_output, d_at_eps)
    assert d_output[0, 1] < 0  # a step makes the variance larger


def test_quantiles_of_a_sample():
    y = rng(0).normal(size=2000)
    quantiles = [0.1, 0.5, 0.9]
    net = cr.Sequential(cr.Linear(1, 3), seed=0)
    cr.fit(
        net, np.zeros((2000, 1)), y, loss=cr.QuantileLoss(quantiles), optimizer=cr.Adam(lr=0.05),
        epochs=60, batch_size=200, progress=False,
    )  # fmt: skip
    np.testing.assert_allclose(net.predict([[0.0]])[0], np.quantile(y, quantiles), atol=0.06)


def test_quantiles_of_several_targets():
    output, y = rng(0).normal(size=(4, 3, 2)), rng(1).normal(size=(4, 3))
    loss = cr.QuantileLoss((0.2, 0.7))
    value, d_output = loss(output, y)
    parts = [loss(output[:, j], y[:, j]) for j in range(3)]
    assert value == pytest.approx(np.mean([part for part, _ in parts]))
    np.testing.assert_allclose(d_output, np.stack([d for _, d in parts], axis=1) / 3)


ERRORS = np.linspace(-40.0, 40.0, 80_001)
COUNTS = np.arange(80.0)


def huber_density(delta):
    clipped = np.clip(ERRORS, -delta, delta)
    return np.exp(-clipped * (ERRORS - clipped / 2))


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


# For each loss: a row's output, targets, how probable each is, and how many rows it counts for.
LIKELIHOODS = [
    (cr.MSELoss(), [0.5], 0.5 + ERRORS, np.exp(-(ERRORS**2)), 1.0),
    (cr.HuberLoss(0.8), [0.5], 0.5 + ERRORS, huber_density(0.8), 1.0),
    (cr.L1Loss(), [0.5], 0.5 + ERRORS, np.exp(-abs(ERRORS)), 1.0),
    (cr.QuantileLoss([0.3]), [0.5], 0.5 + ERRORS,
     np.exp(-np.where(ERRORS > 0, 0.3, -0.7) * ERRORS), 1.0),
    (cr.GaussianNLLLoss(), [0.5, 1.5], 0.5 + ERRORS, np.exp(-(ERRORS**2) / 3), 1.0),
    (cr.PoissonNLLLoss(), [0.7], COUNTS,
     [np.exp(0.7 * n - np.exp(0.7) - lgamma(n + 1)) for n in COUNTS], 1.0),
    (cr.PoissonNLLLoss(log_input=False, full=True), [2.5], COUNTS,
     [np.exp(n * np.log(2.5) - 2.5 - lgamma(n + 1)) for n in COUNTS], 1.0),
    (cr.BCEWithLogitsLoss(), [np.log(3)], np.arange(2.0), [0.25, 0.75], 1.0),
    (cr.BCEWithLogitsLoss(pos_weight=4.0), [np.log(3)], np.arange(2.0), [0.25, 0.75], [1.0, 4.0]),
    (cr.CrossEntropyLoss(), [0.1, 0.9, -0.4], np.arange(3), softmax([0.1, 0.9, -0.4]), 1.0),
    (cr.CrossEntropyLoss(weight=[1.0, 0.0, 3.0]), [0.1, 0.9, -0.4], np.arange(3),
     softmax([0.1, 0.9, -0.4]), [1.0, 0.0, 3.0]),
]  # fmt: skip


def test_each_loss_has_its_likelihood_here():
    public = {getattr(cr, name) for name in cr.losses.__all__}
    assert {type(loss) for loss, *_ in LIKELIHOODS} == public


@both_backends
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda case: repr(case[0]))
def test_fisher_is_the_mean_of_squared_gradients(likelihood, backend):
    """Over targets of the distribution whose likelihood the loss is."""
    loss, output, targets, probable, counts = likelihood
    rows, size = len(targets), len(output)
    unweighted = type(loss)() if np.ndim(counts) else loss
    gradients = unweighted(np.tile(output, (rows, 1)), targets)[1] * rows
    probable = np.array(probable) / np.sum(probable)
    expected = (gradients.T * (probable * counts)) @ gradients
    if isinstance(loss, cr.CrossEntropyLoss):  # which divides by the weights of classes
        expected /= (probable * counts).sum()

    net = cr.Sequential(cr.Linear(1, size, bias=False), dtype="float64", backend=backend)
    x, scale = [[1.0], [0.5]], [2.0, 0.0]  # the second row counts for nothing
    for direction, product in zip(np.eye(size), expected, strict=True):
        found = cr.fisher_vp(net, loss, x, direction, sample_weight=scale, params=output)
        np.testing.assert_allclose(found, product, rtol=1e-3, atol=1e-9)


def test_fisher_with_class_weights_over_several_blocks():
    """A row counts by the mean weight of its classes, in the divisor too."""
    net = cr.Sequential(cr.Linear(2, 4), cr.Tanh(), cr.Linear(4, 3), dtype="float64", seed=0)
    x, rows = rng(0).normal(size=(700, 2)), 700
    weight, of_classes = rng(1).uniform(0, 2, rows), np.array([0.5, 2.0, 0.1])
    vector = rng(2).normal(size=net.params.size)
    p = np.apply_along_axis(softmax, 1, net.predict(x))
    product, total = np.zeros(vector.size), 0.0
    for label in range(3):
        gradients = cr.per_sample_grad(net, cr.CrossEntropyLoss(), x, np.full(rows, label))
        counts = weight * p[:, label] * of_classes[label]
        product += (counts * (gradients @ vector)) @ gradients
        total += counts.sum()
    for smoothing in (0.0, 0.1):
        loss = cr.CrossEntropyLoss(smoothing, weight=of_classes)
        found = cr.fisher_vp(net, loss, x, vector, sample_weight=weight)
        np.testing.assert_allclose(found, product / total, rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.QuantileLoss([]), "at least one number"),
        (lambda: cr.QuantileLoss([0.5, 1.0]), r"quantiles\[1\] must be more than 0"),
        (lambda: cr.QuantileLoss([0.5])([[1.0, 2.0]], [1.0]), "last axis has 1 elements"),
        (lambda: cr.GaussianNLLLoss()(np.ones((2, 3)), [1.0, 2.0]), "means and variances"),
        (lambda: cr.PoissonNLLLoss()([[1.0]], [-1.0]), "must not be negative"),
        (lambda: cr.PoissonNLLLoss(eps=0.0), "more than 0"),
        (lambda: cr.BCEWithLogitsLoss(pos_weight=[1.0, 2.0])([[1.0]], [1.0]), "has 2 numbers"),
        (lambda: cr.BCEWithLogitsLoss(pos_weight=-1.0), "more than 0"),
        (lambda: cr.CrossEntropyLoss(weight=[1.0, -1.0]), r"weight\[1\] must be 0 or more"),
        (lambda: cr.CrossEntropyLoss(weight=[1.0])([[1.0, 2.0]], [1]), "has 1 numbers"),
        (lambda: cr.CrossEntropyLoss(0.1, weight=[1.0, 0.0]), "with label_smoothing"),
        (lambda: cr.PReLU(0), "num_parameters must be at least 1"),
        (lambda: cr.Sequential(cr.PReLU(3)).predict([[1.0, 2.0]]), "expects 3 channels"),
        (lambda: cr.Sequential(cr.GLU()).predict([[1.0]]), "last axis of even length"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["quantiles", "weight", "pos_weight"])
def test_numbers_in_lists_must_be_numbers(name):
    kind = {"quantiles": cr.QuantileLoss, "weight": cr.CrossEntropyLoss}.get(
        name, cr.BCEWithLogitsLoss
    )
    with pytest.raises(TypeError, match=f"{name} must be a number|{name} must be numbers"):
        kind(**{name: "abc"})
    with pytest.raises(TypeError, match=name):
        kind(**{name: [1.0, "a"] if name != "quantiles" else [0.5, "a"]})


FLAGS = [
    (kind, name)
    for package in (cr.losses, cr.optimizers)
    for kind in (getattr(package, name) for name in package.__all__)
    for name, parameter in inspect.signature(kind).parameters.items()
    if isinstance(parameter.default, bool)
]


@pytest.mark.parametrize(("kind", "name"), FLAGS)
def test_flags_are_true_or_false(kind, name):
    with pytest.raises(TypeError, match=f"{name} must be True or False, not 'no'"):
        kind(**{name: "no"} | ({"momentum": 0.9} if name == "nesterov" else {}))
    kind(**{name: np.False_})


# An operation is known by few files only


def operations():
    names = [name for _, name, _ in iter_modules(chainrule.operations.__path__)]
    modules = {name: import_module(f"chainrule.operations.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "OPERATION")}


OPERATIONS = operations()
# The classes that users write, by the operation that they become.
SPECS = {}
for _package in (cr.layers, cr.losses, cr.optimizers):
    for _name in _package.__all__:
        _operation = getattr(getattr(_package, _name), "operation", None)
        if isinstance(_operation, str):
            SPECS.setdefault(_operation, set()).add(_name)

MOST_FILES = 5
# What has a default network, loss or optimizer for those who name none.
WITH_DEFAULTS = ("cli/", "training/", "explain/influence.py", "engine/ahead.py")
# Where an operation's own files lie: descriptions, kernels and twins; specs; what other packages
# call it; the same as a function on arrays, and in other libraries.
OWN = (
    *("operations", "kernels", "reference", "layers", "losses", "optimizers"),
    *("interop", "ops", "cli/measurement"),
)
# Who builds on an operation that is there, and would not have to be touched for a new one: other
# operations, what has defaults, and scikit-learn's estimators, whose options are not ours.
USERS = ("operations/", "reference/", *WITH_DEFAULTS, "interop/sklearn/")
# What is all the same more than the rest: the linear layer's product and its fusion with ReLU, in
# planning and in ops, save a pass over memory; PReLU's functions on arrays have two results.
MORE = {
    "linear": {"kernels/affine.py", "ops/__init__.py", "ops/affine.py", "reference/ops.py"},
    "relu": {"ops/affine.py"},
    "prelu": {"ops/__init__.py", "ops/prelu.py", "reference/ops.py"},
}
# Files of the reference that say what functions on arrays there are.
OF_REFERENCE = ("reference/ops.py", "reference/array_functions.py")
BESIDE = {
    "add": {"plan/builder.py"},  # what layers and tangents are lowered with
    "dropout": {"plan/builder.py"},
    "put_columns": {"plan/builder.py"},
    "slice_columns": {"explain/one_input.py"},
    "rescale": {"plan/builder.py", "plan/forward.py"},  # the gather does it while it converts
    # These are functions of numbers as well, for users' own activations.
    **{name: {"elementary.py", "kernels/elementary.py"} for name in ("sigmoid", "softplus")},
    "tanh": {
        *("elementary.py", "kernels/elementary.py"),
        *("reference/array_functions.py", "interop/onnx/activations.py"),  # a form of GELU
    },
    "multiply": {"kernels/gemm.py", "ops/product.py"},  # the product of matrices is called so, too
}


def words_in(path):
    """Return the names in a file, the texts that are nothing but a name, and what it imports.

    Functions that it defines count as imported, by their names.
    """
    source = path.read_text("utf-8")
    with open(path, "rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    names = {token.string for token in tokens if token.type == tokenize.NAME}
    texts = {token.string.strip("\"'") for token in tokens if token.type == tokenize.STRING}
    taken = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            taken.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            taken |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names, texts, taken


WORDS = {
    path.relative_to(PACKAGE).as_posix(): words_in(path) for path in sorted(PACKAGE.rglob("*.py"))
}


def files_of(name):
    """Return the files that name an operation, but for those that use it as any other one."""
    own = {f"{folder}/{name}.py" for folder in ("operations", "reference")}
    specs = SPECS.get(name, set())
    taken = {f"chainrule.{folder}.{name}" for folder in ("operations", "reference")}
    taken |= {name, f"{name}_backward", f"{name}_update"}
    found = {
        file
        for file, (names, texts, others) in WORDS.items()
        if (name in texts and not file.startswith("kernels/"))  # where texts are instructions
        or specs & names
        or taken & others
    }
    kept = {file for file in found if not file.startswith(USERS) or file in OF_REFERENCE}
    return own | kept - BESIDE.get(name, set())


def test_there_are_operations_to_look_at():
    assert len(OPERATIONS) > 40
    assert SPECS["mish"] == {"Mish"}
    assert SPECS["prelu"] == {"PReLU"}
    of_mish = {"operations/mish.py", "reference/mish.py", "layers/activation.py"}
    assert files_of("mish") == of_mish | {"interop/onnx/activations.py"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_named_in_its_own_few_files(name):
    assert len(files_of(name) - MORE.get(name, set())) <= MOST_FILES, files_of(name)


def test_kernels_stand_in_the_files_of_their_operations():
    """In kernels/ is what several operations share, and the products of the linear layer."""
    for name, module in OPERATIONS.items():
        operation = module.OPERATION
        functions = [getattr(operation, "forward", None) or operation.update]
        functions += [getattr(operation, "curvature", None), *getattr(operation, "derivatives", ())]
        for function in filter(None, functions):
            home = function.code.__module__
            assert home.startswith("chainrule.operations.") or name.startswith("linear"), name


@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_general_names_an_operation(name):
    specs = SPECS.get(name, set())
    files = {file for file, (names, texts, _) in WORDS.items() if name in texts or specs & names}
    others = {file for file in files if not file.startswith((*OWN, *WITH_DEFAULTS))}
    assert others <= BESIDE.get(name, set())

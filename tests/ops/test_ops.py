"""``chainrule.ops`` against ``chainrule.reference``: same names, same signatures, same results."""

import doctest
import inspect
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.ops import elementwise, validation
from chainrule.ops.validation import NumberChecks
from chainrule.utils.arguments import at_least_zero

NAMES = sorted(cr.ops.__all__)
ELEMENTWISE = [
    name for name in NAMES if "where" in inspect.signature(getattr(cr.ops, name)).parameters
]
UPDATES = [name for name in NAMES if name.endswith("_update")]
TAKEN = {name: inspect.signature(getattr(cr.ops, name)).parameters for name in NAMES}
LOSSES = [name for name in NAMES if "sample_weight" in TAKEN[name]]
# Those with one shape for output and target.
POINTWISE = sorted({*LOSSES} - {"cross_entropy", "gaussian_nll", "quantile"})
IN_PLACE = [*UPDATES, "clip_grad_norm"]

each_name = pytest.mark.parametrize("name", NAMES)
each_elementwise = pytest.mark.parametrize("name", ELEMENTWISE)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def mine_and_reference(name):
    return getattr(cr.ops, name), getattr(cr.reference, name)


def test_both_have_the_same_functions():
    assert cr.reference.__all__ == NAMES


@each_name
def test_both_have_the_same_signature(name):
    mine, reference = (
        [*inspect.signature(f).parameters.values()] for f in mine_and_reference(name)
    )
    assert [(p.name, p.kind, p.default) for p in mine] == [
        (p.name, p.kind, p.default) for p in reference
    ]


def public(package):
    return [getattr(package, name) for name in package.__all__]


def test_every_activation_loss_and_update_is_there():
    activations = [kind for kind in public(cr.layers) if kind.__module__.endswith("activation")]
    for activation in {*activations, cr.PReLU, cr.GLU} - {cr.Identity}:
        assert {activation.operation, f"{activation.operation}_backward"} <= {*NAMES}
    assert {loss().operation for loss in public(cr.losses)} == {*LOSSES}
    assert {f"{optimizer.operation}_update" for optimizer in public(cr.optimizers)} == {*UPDATES}


def test_their_arguments_are_those_of_layers_losses_and_optimizers():
    """Also what numbers usually are; an optimizer's state begins with zeros here."""
    others = {"name", "weight_decay", "lr_factors", "initial_accumulator_value"}
    compared = 0
    for kind in {*public(cr.layers), *public(cr.losses), *public(cr.optimizers)}:
        operation = getattr(kind, "operation", None)
        operation = kind().operation if isinstance(operation, property) else operation
        name = f"{operation}_update" if issubclass(kind, cr.optimizers.Optimizer) else operation
        if name in NAMES and name not in ("linear", "prelu"):
            for number in inspect.signature(kind).parameters.values():
                if number.name not in others:
                    assert TAKEN[name][number.name].default == number.default, (name, number)
                    compared += 1
    assert compared > 20


def test_type_checkers_see_the_functions_as_they_are():
    stub = runpy.run_path(str(Path(__file__).with_name("stub.py")))
    assert stub["STUB"].read_text() == stub["text"](), "python tests/ops/stub.py writes it anew"


@each_name
def test_docstrings_have_examples_that_run(name):
    function = getattr(cr.ops, name)
    examples = doctest.DocTestParser().get_doctest(inspect.getdoc(function), {}, name, None, None)
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0
    assert inspect.getdoc(getattr(cr.reference, name))
    assert inspect.getsource(function).startswith(f"def {name}(")


def test_numba_waits_for_the_first_use():
    code = "import sys, chainrule as cr; print('numba' in sys.modules, 'ops' in dir(cr)); cr.ops"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False True\n"


# Arguments, by the names of parameters.


def arguments(name, leading, dtype="float64", seed=0):
    """Return the arguments of a function for arrays with these leading axes."""
    rng = np.random.default_rng(seed)
    columns, inputs = 4, 6
    shapes = {
        "weight": (columns,),
        "w": (inputs, columns),
        "b": (columns,),
        "bias": (columns,),
        "a": (*leading, inputs),
        "label": leading,
        "sample_weight": (leading or (columns,))[:1],
    }
    if "linear" in name:
        shapes["x"] = (*leading, inputs)
    if name == "matmul":
        shapes["b"] = (inputs, columns)
    if name == "cross_entropy":
        shapes["sample_weight"] = leading
    if name.startswith("prelu"):
        leading = leading or (3,)
    if name == "glu_backward":
        shapes["dy"] = (*leading, columns // 2)
    if name == "gaussian_nll":  # matrices only
        leading = leading if len(leading) == 1 else (3,)
        shapes["target"], shapes["sample_weight"] = (*leading, columns // 2), leading
    if name == "quantile":
        columns, leading = 3, leading or (2,)
        shapes["target"], shapes["sample_weight"] = leading, leading[:1]
    given = {}
    for parameter in inspect.signature(getattr(cr.ops, name)).parameters.values():
        shape = shapes.get(parameter.name, (*leading, columns))
        is_optional = parameter.name in ("b", "bias", "velocity", "sample_weight", "largest")
        is_optional |= name == "rmsprop_update" and parameter.name == "mean"
        if parameter.name == "label":
            given["label"] = rng.integers(0, columns, shape)
        elif is_optional or parameter.default is parameter.empty:
            is_positive = parameter.name in ("square", "sample_weight", "target", "root", "largest")
            is_positive |= name == "gaussian_nll"
            draw = rng.random if is_positive else rng.standard_normal
            given[parameter.name] = np.asarray(draw(shape), dtype)
    numbers = {"step": 3, "max_norm": 0.5}
    given |= {key: value for key, value in numbers.items() if key in given}
    given |= {key: True for key in ("amsgrad", "centered") if key in TAKEN[name]}
    if name == "rmsprop_update":
        given["momentum"] = 0.5
    if name == "sgd_update":
        given |= {"momentum": 0.5, "weight_decay": 0.1, "nesterov": True}
    return given


def mapped(function, given):
    """Apply a function to all arrays of floats."""
    return {
        key: function(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for key, value in given.items()
    }


def results(function, given):
    """Return all that a function returns or changes."""
    returned = function(**given)
    if function.__name__ in IN_PLACE:
        return [returned, *(value for value in given.values() if isinstance(value, np.ndarray))]
    return list(returned) if isinstance(returned, tuple) else [returned]


def assert_same(mine, expected, dtype="float64"):
    tolerance = 200 * np.finfo(dtype).eps
    for a, b in zip(mine, expected, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            assert np.shape(a) == np.shape(b)
            assert np.asarray(a).dtype.name == np.asarray(b).dtype.name
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def unaligned(array):
    memory = np.frombuffer(bytearray(b"0" + array.tobytes()), np.uint8)
    return memory[1:].view(array.dtype).reshape(array.shape)


FORMS = {
    "plain": np.copy,
    "by columns": lambda a: np.array(a, order="F"),
    "every second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a.copy(),
    "backwards": lambda a: a[..., ::-1].copy()[..., ::-1] if a.ndim else a.copy(),
    "unaligned": unaligned,
    "of the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
}


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch):
    """Let arrays of a few elements take the way of large ones, too."""
    if request.param == "large":
        monkeypatch.setattr(elementwise, "FEW", 0)
        monkeypatch.setattr(elementwise, "BLOCK", 8)


@each_name
@each_dtype
@pytest.mark.usefixtures("size")
def test_results_in_all_forms(name, dtype):
    mine, reference = mine_and_reference(name)
    for leading in [(), (7,), (2, 3), (0,)]:
        for make in FORMS.values():
            given = mapped(make, arguments(name, leading, dtype))
            expected = mapped(np.copy, arguments(name, leading, dtype))
            with np.errstate(all="ignore"):
                assert_same(results(mine, given), results(reference, expected), dtype)


@each_name
def test_what_is_only_read_may_be_read_only(name):
    mine, reference = mine_and_reference(name)
    changed = ("params", "mean", "square", "velocity", "largest", "root")
    changed += ("grads",) if "clip" in name else ()
    given = arguments(name, (7,))
    for key, value in given.items():
        if isinstance(value, np.ndarray) and key not in changed:
            value.flags.writeable = False
    before = mapped(np.copy, given)
    assert_same(results(mine, given), results(reference, mapped(np.copy, before)))
    for key, value in given.items():
        if key not in changed:
            np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in IN_PLACE])
@pytest.mark.parametrize(
    "dtypes", [("float32", "float64"), ("float16",), ("int32", "float32"), ("int16",), ("bool",)]
)
@pytest.mark.usefixtures("size")
def test_mixed_dtypes_are_promoted(name, dtypes):
    mine, reference = mine_and_reference(name)
    given = arguments(name, (5,))
    for i, (key, value) in enumerate(given.items()):
        if key not in ("label", "sample_weight"):
            given[key] = value.astype(dtypes[i % len(dtypes)])
    precision = "float16" if "float16" in dtypes else "float32"
    assert_same(results(mine, given), results(reference, given), precision)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in IN_PLACE])
def test_python_numbers_do_not_count_beside_arrays(name):
    mine, reference = mine_and_reference(name)
    given = arguments(name, (), "float32")
    scalars = {
        key: value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
        for key, value in given.items()
    }
    assert_same(results(mine, scalars), results(reference, scalars), "float32")


# Where results go.


@each_elementwise
@pytest.mark.usefixtures("size")
def test_where_and_out_are_as_for_ufuncs(name):
    mine, reference = mine_and_reference(name)
    given = arguments(name, (6,), "float32")
    mask = np.arange(4) % 2 == 0
    for make in (
        np.empty,
        lambda shape: np.empty((*shape, 2))[..., 1],
        lambda shape: np.empty((3, *shape), "f"),
    ):
        for where in (True, mask, np.arange(6)[:, None] > 2):
            out, expected = make((6, 4)), make((6, 4))
            out[...] = expected[...] = -7
            assert mine(**given, out=out, where=where) is out
            reference(**given, out=expected, where=where)
            assert_same([out], [expected], "float32")
    masked = mine(**given, where=mask)
    assert_same([masked[:, mask]], [reference(**given)[:, mask]], "float32")


@pytest.mark.parametrize("out", [None, np.zeros((4, 6))])
def test_a_wrong_where_is_named(out):
    x = np.ones((4, 6))
    with pytest.raises(ValueError, match=r"where .*\(3,\)"):
        cr.ops.tanh(x, out=out, where=np.ones(3, bool))
    with pytest.raises(TypeError, match="where must hold booleans, but its dtype is float64"):
        cr.ops.tanh(x, out=out, where=x)
    assert out is None or not out.any()


@each_elementwise
@each_dtype
@pytest.mark.usefixtures("size")
def test_out_may_overlap_the_arguments(name, dtype):
    mine, reference = mine_and_reference(name)
    for key, value in arguments(name, (9,), dtype).items():
        given = arguments(name, (9,), dtype)
        expected = reference(**given)
        for places in [
            (slice(0, 9), slice(0, 9)),
            (slice(0, 9), slice(1, 10)),
            (slice(1, 10), slice(0, 9)),
            (slice(0, 9), slice(8, None, -1)),
            (slice(0, 9), slice(0, 18, 2)),
        ]:
            memory = np.zeros((18, *value.shape[1:]), dtype)
            argument, out = (memory[place] for place in places)
            argument[...] = value
            assert mine(**given | {key: argument}, out=out) is out
            assert_same([out], [expected], dtype)


@pytest.mark.parametrize("name", [*POINTWISE, "cross_entropy"])
@pytest.mark.parametrize("begin", [0, 7, 18])
@each_dtype
def test_the_gradient_may_overlap_the_weights_of_a_loss(name, begin, dtype):
    loss, rng = getattr(cr.ops, name), np.random.default_rng(0)
    output, weight = rng.normal(size=(9, 3)).astype(dtype), rng.uniform(0.5, 2, 9).astype(dtype)
    label = rng.integers(0, 2, 9)
    target = label if name == "cross_entropy" else np.repeat(label, 3).reshape(9, 3).astype(dtype)
    value, gradient = loss(output, target, sample_weight=weight)
    memory = np.zeros(27, dtype)
    shared, out = memory[begin : begin + 9], memory.reshape(9, 3)
    shared[...] = weight
    found, _ = loss(output, target, sample_weight=shared, out=out)
    assert found == value
    assert np.array_equal(out, gradient)


def overlapping(name, key):
    """Return arguments of which one shares memory with an array of the results' shape."""
    given = arguments(name, (4,))
    if given[key].ndim != 2:
        return None
    memory = np.zeros(64)
    argument = memory[: given[key].size].reshape(given[key].shape)
    argument[...] = given[key]
    return given | {key: argument}, memory


@pytest.mark.parametrize(
    "name",
    ["linear", "matmul", "softmax", "softmax_backward", "log_softmax", "log_softmax_backward"],
)
def test_out_may_overlap_the_factors(name):
    mine, reference = mine_and_reference(name)
    for key in arguments(name, (4,)):
        prepared = overlapping(name, key)
        if prepared is None:
            continue
        given, memory = prepared
        expected = reference(**given)
        out = memory[1 : 1 + expected.size].reshape(expected.shape)
        assert mine(**given, out=out) is out
        assert_same([out], [expected])


@pytest.mark.parametrize("name", LOSSES)
def test_losses_write_where_they_are_told(name):
    mine, reference = mine_and_reference(name)
    given = arguments(name, (5,), "float32")
    expected = reference(**given)
    rows, columns = given["output"].shape
    wide = np.empty((rows, 2 * columns), "f")
    for out in (np.empty((rows, columns), "f"), np.empty((rows, columns)), wide[:, ::2]):
        value, d_output = mine(**given, out=out)
        assert d_output is out
        assert_same([value, out.astype("f")], expected, "float32")
    value, d_output = mine(**given, out=given["output"])
    assert_same([value, d_output], expected, "float32")


@pytest.mark.parametrize("out", [(None, None, None), "plain", "by columns", "double", "shared"])
def test_derivatives_of_linear_go_where_they_are_told(out):
    given = arguments("linear_backward", (5,), "float32")
    expected = cr.reference.linear_backward(**given)
    if out == "shared":
        out = [given["x"], given["w"], None]
    elif isinstance(out, str):
        make = {
            "plain": np.copy,
            "by columns": np.asfortranarray,
            "double": lambda a: a.astype(float),
        }
        out = [make[out](np.zeros_like(array)) for array in expected]
    returned = cr.ops.linear_backward(**given, out=out)
    for mine, place, exact in zip(returned, out, expected, strict=True):
        assert place is None or mine is place
        assert_same([mine.astype("f")], [exact], "float32")


def test_a_first_layer_needs_no_derivative_by_its_input():
    dy, x, w = arguments("linear_backward", (5,)).values()
    dx, dw, db = cr.ops.linear_backward(dy, x, None)
    assert dx is None
    assert_same([dw, db], cr.reference.linear_backward(dy, x, w)[1:])


WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0, 1.5])
OF_LOSSES = [
    (cr.HuberLoss, {"delta": 0.3}),
    (cr.PoissonNLLLoss, {"full": True}),
    (cr.PoissonNLLLoss, {"log_input": False, "eps": 1e-3}),
    (cr.GaussianNLLLoss, {"full": True, "eps": 0.3}),
    (cr.QuantileLoss, {"quantiles": [0.1, 0.3, 0.6, 0.9]}),
    (cr.BCEWithLogitsLoss, {"pos_weight": 3.0}),
    (cr.BCEWithLogitsLoss, {"pos_weight": [1.0, 2.0, 3.0, 0.5]}),
    (cr.CrossEntropyLoss, {"label_smoothing": 0.2}),
    (cr.CrossEntropyLoss, {"weight": [0.5, 1.0, 2.0, 0.0]}),
    (cr.CrossEntropyLoss, {"weight": [0.5, 1.0, 2.0, 0.1], "label_smoothing": 0.2}),
]


@each_dtype
@pytest.mark.parametrize("weight", [None, WEIGHTS])
@pytest.mark.parametrize(("kind", "options"), OF_LOSSES)
def test_losses_are_those_of_networks(kind, options, weight, dtype):
    rng, name = np.random.default_rng(0), kind().operation
    output, target = (rng.uniform(0.2, 0.9, (5, 4)).astype(dtype) for _ in range(2))
    if name == "cross_entropy":
        target = np.array([0, 3, 1, 1, 2])
    target = {"gaussian_nll": target[..., :2], "quantile": target[..., 0]}.get(name, target)
    expected = kind(**options)(output, target, weight)
    for module in (cr.ops, cr.reference):
        found = getattr(module, name)(output, target, **options, sample_weight=weight)
        np.testing.assert_allclose(
            found[0], expected[0], rtol=1e-5 if dtype == "float32" else 1e-13
        )
        assert_same(found[1:], expected[1:], dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_class_weights_of_more_axes(dtype):
    rng = np.random.default_rng(0)
    output, label = rng.normal(size=(2, 5, 3)).astype(dtype), rng.integers(0, 3, (2, 5))
    weight = [1.0, 2.0, 0.5]
    value, d_output = cr.ops.cross_entropy(output, label, weight=weight, out=np.empty((2, 5, 3)))
    expected = cr.reference.cross_entropy(output.astype(float), label, weight=weight)
    assert value == pytest.approx(expected[0], rel=1e-3)
    np.testing.assert_allclose(d_output, expected[1], atol=1e-3)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_both_forms_of_gelu(approximate):
    x = np.linspace(-4.0, 4.0, 9)
    for name, given in (("gelu", (x,)), ("gelu_backward", (x[::-1], x))):
        mine, reference = mine_and_reference(name)
        assert_same([mine(*given, approximate)], [reference(*given, approximate)])
        for function in (mine, reference):
            with pytest.raises(ValueError, match="approximate must be 'none' or 'tanh', not 'exp'"):
                function(*given, "exp")
    assert not np.array_equal(cr.ops.gelu(x), cr.ops.gelu(x, "tanh"))


# Products.

SHAPES = [
    ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
    ((6, 1, 3, 4), (2, 4, 5)), ((4,), (2, 4, 5)), ((2, 3, 4), (4,)), ((0, 4), (4, 5)),
    ((3, 0), (0, 5)), ((3, 4), (4, 0)), ((2, 3, 0), (2, 0, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
def test_matmul_takes_the_shapes_that_numpy_takes(left, right, activation):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=left), rng.normal(size=right)
    mine, expected = (f.matmul(a, b, 0.5, activation=activation) for f in (cr.ops, cr.reference))
    assert_same([mine], [expected])


@each_dtype
@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
def test_products_of_transposes(dtype, activation):
    rng = np.random.default_rng(0)
    a, b, bias = (rng.normal(size=shape).astype(dtype) for shape in ((9, 20), (20, 17), 17))
    expected = cr.reference.matmul(a, b, bias, activation)
    for left in (a, a.T.copy().T):
        for right in (b, b.T.copy().T):
            assert_same([cr.ops.matmul(left, right, bias, activation)], [expected], dtype)


@pytest.mark.parametrize("bias", [2.0, np.ones(4), np.ones((1, 4)), np.ones(1), np.ones(4, "f")])
def test_biases(bias):
    x, w = arguments("linear", (3,))["x"], arguments("linear", (3,))["w"]
    assert_same([cr.ops.linear(x, w, bias)], [x @ w + bias])


def test_numbers_checked_in_another_thread_meanwhile_are_not_taken(monkeypatch):
    checks, types, x = NumberChecks({"lr": at_least_zero}), validation._types, np.ones(2)
    checks((0.1,), [x])

    def types_after_another_thread(values):
        monkeypatch.setattr(validation, "_types", types)
        checks((0.5,), [x])
        return types(values)

    monkeypatch.setattr(validation, "_types", types_after_another_thread)
    assert checks((0.1,), [x]) == (0.1,)


def test_threads_do_not_share_room():
    rng = np.random.default_rng(0)
    factors = [(rng.normal(size=(40, 500)), rng.normal(size=(500, 400))) for _ in range(4)]
    products = {}

    def multiply(i):
        for _ in range(5):
            products[i] = cr.ops.matmul(*factors[i])

    threads = [threading.Thread(target=multiply, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, (a, b) in enumerate(factors):
        np.testing.assert_allclose(products[i], a @ b, rtol=1e-10, atol=1e-10)


# Numbers that float32 does not hold: 1e39 would be infinite, 1e-50 would be 0.

NUMBERS = [
    (name, parameter.name)
    for name in NAMES
    for parameter in inspect.signature(getattr(cr.ops, name)).parameters.values()
    if parameter.annotation is float
]


@pytest.mark.parametrize("value", [1e39, 1e-50])
@pytest.mark.parametrize(("name", "number"), NUMBERS)
def test_numbers_are_named_or_right_in_float32(name, number, value):
    mine, reference = mine_and_reference(name)
    single, double = (arguments(name, (5,), dtype) | {number: value} for dtype in ("f", "d"))
    before, message, result = mapped(np.copy, single), "", None
    try:
        result = results(mine, single)
    except ValueError as error:
        message = str(error)
    if message:
        assert number in message
        assert_same(list(single.values()), list(before.values()))
        return
    for a, b in zip(result, results(reference, double), strict=True):
        if b is not None:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


# NaN and infinity.


@pytest.mark.parametrize("name", [name for name in NAMES if name not in IN_PLACE])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_through(name, bad):
    mine, reference = mine_and_reference(name)
    for key, value in arguments(name, (5,)).items():
        if value.dtype.kind == "f":
            given = arguments(name, (5,))
            given[key].flat[1] = bad
            with np.errstate(all="ignore"):
                expected = results(reference, given)
            assert_same(results(mine, given), expected)


# Updates.


@pytest.mark.parametrize("name", IN_PLACE)
def test_lists_of_arrays(name):
    mine, reference = mine_and_reference(name)
    groups = [arguments(name, leading, seed=i) for i, leading in enumerate([(5,), (2, 3), ()])]
    copies = [mapped(np.copy, group) for group in groups]

    def in_lists(groups):
        return {
            key: [group[key] for group in groups] if isinstance(value, np.ndarray) else value
            for key, value in groups[0].items()
        }

    returned = mine(**in_lists(groups)), reference(**in_lists(copies))
    assert returned[0] == returned[1] or name == "clip_grad_norm"
    for group, copy in zip(groups, copies, strict=True):
        assert_same(list(mapped(np.asarray, group).values()), list(copy.values()))


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize(
    "kinds", [("float32", "float64"), ("float64", "float32"), ("float16", "float16")]
)
def test_updates_of_mixed_dtypes(name, kinds):
    mine, reference = mine_and_reference(name)
    given = arguments(name, (5,), kinds[0])
    given["grads"] = given["grads"].astype(kinds[1])
    exact = mapped(lambda a: a.astype(float), given)
    mine(**given)
    reference(**exact)
    for key, value in given.items():
        if isinstance(value, np.ndarray):
            assert value.dtype == kinds[key == "grads"]
            np.testing.assert_allclose(value, exact[key], rtol=3e-3 if "float16" in kinds else 1e-5)


@pytest.mark.parametrize("name", UPDATES)
def test_updates_of_what_shares_memory(name):
    mine, reference = mine_and_reference(name)
    memory = np.random.default_rng(0).normal(size=21)
    given = arguments(name, (5,)) | {
        "params": memory[:20].reshape(5, 4),
        "grads": memory[1:].reshape(5, 4),
    }
    expected = mapped(np.copy, given)
    reference(**expected)
    mine(**given)
    np.testing.assert_allclose(given["params"], expected["params"], rtol=1e-12)
    if name != "sgd_update":
        first = [*TAKEN[name]][2]
        both = {"params": memory[:20].reshape(5, 4), first: memory[1:].reshape(5, 4)}
        before = memory.copy()
        with pytest.raises(ValueError, match=f"params and {first} share memory"):
            mine(**arguments(name, (5,)) | both)
        np.testing.assert_array_equal(memory, before)


def test_numbers_are_checked_again_where_they_change():
    """They are remembered while they stay the same."""
    x, betas = np.ones(3), [0.9, 0.99]
    state = [np.ones(3) for _ in range(3)]
    for _ in range(2):
        cr.ops.lion_update(*state, betas=betas)
        cr.ops.elu(x, 0.5)
    betas[0] = 2.0
    with pytest.raises(ValueError, match=r"betas\[0\]"):
        cr.ops.lion_update(*state, betas=betas)
    assert cr.ops.elu(-x, 0.25).tolist() == [-0.25 * (1 - np.exp(-1.0))] * 3
    with pytest.raises(ValueError, match="alpha must be 0 or more"):
        cr.ops.elu(x, -0.5)
    cr.ops.elu(x, 1e-60)
    with pytest.raises(ValueError, match="alpha must be 0 or more in float32"):
        cr.ops.elu(x.astype("f"), 1e60)
    cr.ops.poisson_nll(x, x, True)
    with pytest.raises(TypeError, match="log_input must be True or False"):
        cr.ops.poisson_nll(x, x, 1)


def test_interleaved_arrays_share_nothing():
    table = np.ones((4, 5))
    params, mean, square = table[:, :3].T
    cr.ops.adam_update(params, np.ones(4), mean, square, step=1, lr=0.5, betas=(0.5, 0.5))
    np.testing.assert_allclose(table[:, :3], [[1 - 0.5 * 2**0.5, 1.0, 1.0]] * 4)
    np.testing.assert_array_equal(table[:, 3:], 1)


def test_gradients_broadcast_to_their_parameters():
    w = np.zeros((1, 3))
    cr.ops.sgd_update(w, np.array([1.0, 2.0, 3.0]), lr=1.0)
    assert w.tolist() == [[-1.0, -2.0, -3.0]]


def test_short_gradients_stay_as_they_are():
    gradient = np.array([0.3, 0.4])
    assert cr.ops.clip_grad_norm(gradient, 1.0) == pytest.approx(0.5)
    assert gradient.tolist() == [0.3, 0.4]


# What is wrong.

X, W = np.ones((3, 4)), np.ones((4, 5))
FROZEN = np.broadcast_to(1.0, (3, 4))
BAD = [
    (lambda: cr.ops.tanh(1j), TypeError, "x must hold real numbers.* complex128"),
    (lambda: cr.ops.tanh("a"), TypeError, "x must hold real numbers"),
    (lambda: cr.ops.tanh([X, 1.0]), ValueError, "inhomogeneous"),
    (lambda: cr.ops.tanh(X.astype(np.longdouble)), TypeError, "at most 64 bits"),
    (lambda: cr.ops.tanh_backward(X, X[:2]), ValueError, r"dy and y .* \(3, 4\) and \(2, 4\)"),
    (lambda: cr.ops.tanh(X, out=[0.0]), TypeError, "out must be an array, not list"),
    (lambda: cr.ops.tanh(X, out=np.ones((3, 4), int)), TypeError, "out must hold floats, .* int64"),
    (lambda: cr.ops.tanh(X, out=FROZEN), ValueError, "out is read-only"),
    (lambda: cr.ops.tanh(X, out=np.ones(4)), ValueError, r"out has shape \(4,\)"),
    (lambda: cr.ops.leaky_relu(X, -1), ValueError, "negative_slope must be 0 or more"),
    (lambda: cr.ops.elu(X, np.nan), ValueError, "alpha must be 0 or more"),
    (lambda: cr.ops.gelu(X, "erf"), ValueError, "approximate must be 'none' or 'tanh', not 'erf'"),
    (lambda: cr.ops.softmax(X, axis=2), np.exceptions.AxisError, "axis"),
    (lambda: cr.ops.softmax(np.ones((3, 0))), ValueError, "x has shape .* empty along axis=-1"),
    (lambda: cr.ops.softmax(X, out=np.ones(4)), ValueError, "out has shape"),
    (lambda: cr.ops.linear(X, X), ValueError, r"x's last axis .* \(3, 4\) and \(3, 4\)"),
    (lambda: cr.ops.linear(X, W[0]), ValueError, r"w must have shape \(inputs, outputs\)"),
    (lambda: cr.ops.linear(X, W, X[0]), ValueError, r"b must have shape \(5,\)"),
    (lambda: cr.ops.linear(X, W, np.ones((3, 5))), ValueError, r"b must have shape \(5,\)"),
    (lambda: cr.ops.linear(X, W, out=X), ValueError, r"out has shape \(3, 4\)"),
    (lambda: cr.ops.linear(X, W > 0, "b"), TypeError, "b must hold real numbers"),
    (lambda: cr.ops.matmul(1.0, X), ValueError, "a's last axis"),
    (lambda: cr.ops.matmul(np.ones((2, 3, 4)), np.ones((3, 4, 5))), ValueError, "leading axes"),
    (lambda: cr.ops.matmul(X, W, None, "swish"), ValueError, "one of .*relu, .* not 'swish'"),
    (lambda: cr.ops.linear_backward(X, X[:2], W), ValueError, "dy and x"),
    (lambda: cr.ops.linear_backward(1.0, X, W), ValueError, "dy and x"),
    (lambda: cr.ops.linear_backward(X @ W, X, W.T), ValueError, r"w must have shape \(4, 5\)"),
    (lambda: cr.ops.linear_backward(X @ W, X, W, out=X), TypeError, "out must be three arrays"),
    (lambda: cr.ops.linear_backward(X @ W, X, W, out=(None, X, None)), ValueError, "out's dw has"),
    (lambda: cr.ops.mse(X, np.ones(3)), ValueError, r"target must .* \(3, 4\), .* \(3,\)"),
    (lambda: cr.ops.mse(X[0], X), ValueError, "target must broadcast"),
    (lambda: cr.ops.mse(X, X, np.ones(4)), ValueError, r"sample_weight must have shape \(3,\)"),
    (lambda: cr.ops.mse(X, X, out=np.ones(4)), ValueError, "out has shape"),
    (lambda: cr.ops.huber(X, X, 0.0), ValueError, "delta must be more than 0"),
    (lambda: cr.ops.cross_entropy(X, [0, 1, 4]), ValueError, "label holds 4, .* 0 to 3"),
    (lambda: cr.ops.cross_entropy(X, [0, 1, -1]), ValueError, "label holds -1"),
    (lambda: cr.ops.cross_entropy(X, [0, 1]), ValueError, r"\(3, 4\) and \(2,\)"),
    (lambda: cr.ops.cross_entropy(X, [0.0, 1.0, 2.0]), TypeError, "label must hold integers"),
    (lambda: cr.ops.cross_entropy(X, [0, 1, 2], 1.5), ValueError, "label_smoothing must be from"),
    (lambda: cr.ops.cross_entropy(1.0, 0), ValueError, "output and label"),
    (lambda: cr.ops.sgd_update(X, X, lr=-1), ValueError, "lr must be 0 or more"),
    (lambda: cr.ops.sgd_update(X, X, momentum=0.5), ValueError, "velocity must be given"),
    (lambda: cr.ops.sgd_update(X, X, X.copy(), nesterov=True), ValueError, "nesterov needs"),
    (lambda: cr.ops.sgd_update(FROZEN, X), ValueError, "params is read-only"),
    (lambda: cr.ops.sgd_update([1.0], [X]), TypeError, "params must be an array, not float"),
    (lambda: cr.ops.sgd_update([X], X), TypeError, "grads must be a list .* as params is"),
    (lambda: cr.ops.sgd_update([X], [X, X]), ValueError, "params has 1 arrays, and grads has 2"),
    (lambda: cr.ops.sgd_update(X.astype(int), X), TypeError, "params must hold floats"),
    (lambda: cr.ops.sgd_update(X, W), ValueError, r"grads must broadcast .* \(3, 4\)"),
    (lambda: cr.ops.sgd_update(X, X, W, momentum=0.5), ValueError, "velocity has shape"),
    (lambda: cr.ops.adam_update(X, X, X, X, step=0), ValueError, "step must be at least 1"),
    (lambda: cr.ops.adam_update(X, X, X, X, step=1, betas=(1, 0)), ValueError, r"betas\[0\]"),
    (lambda: cr.ops.adam_update(X, X, X, X, step=1, eps=0), ValueError, "eps must be more than 0"),
    (lambda: cr.ops.adam_update(X, X, X, X, step=1, amsgrad=True), ValueError, "largest must be"),
    (lambda: cr.ops.adam_update(X, X, X, X, step=1, amsgrad=1), TypeError, "amsgrad must be True"),
    (lambda: cr.ops.rmsprop_update(X, X, X, momentum=0.9), ValueError, "velocity must be given"),
    (lambda: cr.ops.lion_update(X, X, X, betas=(0.9, 1.0)), ValueError, r"betas\[1\]"),
    (lambda: cr.ops.nadam_update(X, X, X, X), TypeError, "argument: 'step'"),
    (lambda: cr.ops.glu(X[:, :3]), ValueError, "x must have a multiple of 2 elements along axis"),
    (lambda: cr.ops.glu_backward(X, X), ValueError, r"dy must have shape \(3, 2\), as x has"),
    (lambda: cr.ops.prelu(X, X[0, :3]), ValueError, r"weight must have shape \(4,\) or \(1,\)"),
    (lambda: cr.ops.prelu_backward(X, X, [1.0], out=X), TypeError, "out must be two arrays"),
    (lambda: cr.ops.quantile(X, X[:, 0]), ValueError, "last axis has 3 elements"),
    (lambda: cr.ops.quantile(X[:, :3], X), ValueError, r"target must broadcast .* \(3,\)"),
    (lambda: cr.ops.gaussian_nll(X[:, :3], X), ValueError, r"of shape \(n, 2 \* k\)"),
    (lambda: cr.ops.poisson_nll(X, X, log_input=1), TypeError, "log_input must be True or False"),
    (lambda: cr.ops.bce_with_logits(X, X, pos_weight=[1.0, 2.0]), ValueError, "has 2 numbers"),
    (lambda: cr.ops.cross_entropy(X, [0, 1, 2], weight=[1.0]), ValueError, "has 1 numbers"),
    (lambda: cr.ops.elu(X, np.ones(2)), TypeError, "alpha must be a number"),
    (lambda: cr.ops.clip_grad_norm(FROZEN, 1.0), ValueError, "grads is read-only"),
    (lambda: cr.ops.clip_grad_norm([1.0], 1.0), TypeError, "grads must be an array"),
    (lambda: cr.ops.clip_grad_norm(X, -1.0), ValueError, "max_norm must be 0 or more"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert (X == 1).all()


@pytest.mark.parametrize("wrong", [{"grads": W}, {"params": FROZEN}])
def test_nothing_changes_if_one_of_many_is_wrong(wrong):
    params, mean, square = [X.copy(), X.copy()], [X.copy(), X.copy()], [X.copy(), X.copy()]
    given = {"params": params, "grads": [X, X], "mean": mean, "square": square}
    for key, array in wrong.items():
        given[key][1] = array
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cr.ops.adam_update(**given, step=1)
    assert (params[0] == 1).all()
    assert (mean[0] == 1).all()


def test_norms_of_float32_do_not_overflow():
    grads = np.array([3e19, 4e19], "f")
    assert cr.ops.clip_grad_norm(grads, 1.0) == pytest.approx(5e19)
    np.testing.assert_allclose(grads, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("loss", ["mse", "huber", "bce_with_logits"])
def test_the_loss_of_nothing_is_0(loss):
    for module in (cr.ops, cr.reference):
        value, gradient = getattr(module, loss)(np.zeros((0, 3)), np.zeros((0, 3)))
        assert (value, gradient.shape) == (0.0, (0, 3))


def test_references_take_lists():
    np.testing.assert_allclose(cr.reference.tanh([1.0, 2.0]), cr.ops.tanh([1.0, 2.0]), rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cr.ops.softmax(np.ones((2, 3)), axis=None), "axis must be an integer"),
        (lambda: cr.ops.softmax(np.ones((2, 3)), axis=5), "axis 5 is out of bounds"),
        (
            lambda: cr.ops.adam_update(*np.ones((4, 3)), step=1, betas=0.9),
            "betas must be two numbers",
        ),
    ],
)
def test_wrong_numbers_are_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()

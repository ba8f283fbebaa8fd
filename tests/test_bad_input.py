"""Wrong arguments: the message says what, expected and came; and nothing has changed."""

import os

import numpy as np
import pytest

import chainrule as cr

X = np.random.default_rng(0).normal(size=(12, 4))
Y = np.random.default_rng(1).integers(0, 3, 12)
TARGETS = np.random.default_rng(2).normal(size=(12, 3))


def network(**options):
    return cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, 3), seed=0, **options)


def with_value(array, index, value):
    changed = array.astype(object if isinstance(value, str) else array.dtype)
    changed[index] = value
    return changed


BAD_X = {
    "one feature too many": (
        np.zeros((12, 5)),
        ValueError,
        r"Linear\(4, 8\) \(layer 0\) expects 4 input features, but {name} has shape \(n, 5\)\.",
    ),
    "a single sample": (
        np.zeros(4),
        ValueError,
        r"{name} must have shape \(n, features\), batch first, but its shape is \(4,\)\. "
        r"A single sample is {name}\[None\], a single feature {name}\[:, None\]\.",
    ),
    "a number": (3.0, ValueError, r"{name} must have shape \(n, features\).*its shape is \(\)\."),
    "no rows": (
        np.empty((0, 4)),
        ValueError,
        r"{name} must have at least one row, but its shape is \(0, 4\)\.",
    ),
    "no features": (
        np.empty((12, 0)),
        ValueError,
        r"{name} must have no empty axis, but its shape is \(12, 0\)\.",
    ),
    "empty list": ([], ValueError, r"{name} must have shape \(n, features\).*\(0,\)"),
    "NaN": (
        with_value(X, (7, 2), np.nan),
        ValueError,
        r"{name} must be finite, but {name}\[7, 2\] is nan\.",
    ),
    "infinity": (
        with_value(X, (0, 1), -np.inf),
        ValueError,
        r"{name} must be finite, but {name}\[0, 1\] is -inf\.",
    ),
    "too large for float32": (
        with_value(X, (3, 0), 1e300),
        ValueError,
        r"{name}\[3, 0\] is inf \(1e\+300 does not fit into float32\)",
    ),
    "objects": (
        X.astype(object),
        TypeError,
        r"{name} must hold real numbers, but its dtype is object\.",
    ),
    "complex": (X + 1j, TypeError, r"{name} must hold real numbers, but its dtype is complex128"),
    "strings": (X.astype(str), TypeError, r"{name} must hold real numbers, but its dtype is <U"),
    "None": (None, TypeError, r"{name} must be an array, not a NoneType\."),
    "dates": (
        np.zeros((12, 4), "datetime64[s]"),
        TypeError,
        r"{name} must hold real numbers, but its dtype is datetime64",
    ),
    "rows of different lengths": (
        [[1.0, 2.0], [3.0]],
        ValueError,
        r"{name} cannot be read as an array: .* inhomogeneous shape",
    ),
}

BAD_LABELS = {
    "too large": (
        with_value(Y, 5, 3),
        ValueError,
        r"y has label 3 at row 5, but the network has 3 outputs \(labels 0 to 2\)\.",
    ),
    "negative": (with_value(Y, 0, -1), ValueError, r"y has label -1 at row 0"),
    "floats": (
        Y.astype(float),
        TypeError,
        r"must hold integer class labels, but its dtype is float64\. Use numpy\.asarray\(y, int\)",
    ),
    "strings": (
        np.full(12, "three"),
        TypeError,
        r"y must hold integer class labels, but its dtype is <U5",
    ),
    "too few": (
        Y[:-1],
        ValueError,
        r"y must have shape \(12,\), one label a row, but its shape is \(11,\)\.",
    ),
    "one-hot": (np.eye(3, dtype=int)[Y], ValueError, r"\(12, 3\)\. Use numpy\.argmax\(y"),
    "a column": (Y[:, None], ValueError, r"but its shape is \(12, 1\)\. Use numpy\.rav"),
}

BAD_TARGETS = {
    "too few columns": (
        TARGETS[:, :2],
        ValueError,
        r"y must have the shape of the output, \(12, 3\), but its shape is \(12, 2\)\.",
    ),
    "one dimension": (TARGETS[:, 0], ValueError, r"\(12, 3\), but its shape is \(12,\)\."),
    "NaN": (
        with_value(TARGETS, (2, 0), np.nan),
        ValueError,
        r"y must be finite, but y\[2, 0\] is nan",
    ),
    "strings": (TARGETS.astype(str), TypeError, r"y must hold real numbers"),
}

BAD_OPTIONS = {
    "no batch": ({"batch_size": 0}, ValueError, r"batch_size must be at least 1, not 0\."),
    "part of a row": (
        {"batch_size": 2.5},
        TypeError,
        r"batch_size must be an integer, not 2\.5\.",
    ),
    "no epochs": ({"epochs": 0}, ValueError, r"epochs must be at least 1, not 0\."),
    "epochs in words": ({"epochs": "ten"}, TypeError, r"epochs must be an integer, not 'ten'\."),
    "a truth for epochs": ({"epochs": True}, TypeError, r"epochs must be an integer, not True\."),
    "negative seed": ({"seed": -1}, ValueError, r"seed must be at least 0, not -1\."),
    "a seed in words": ({"seed": "lucky"}, TypeError, r"seed must be an integer, not 'lucky'\."),
    "loss as a class": (
        {"loss": cr.CrossEntropyLoss},
        TypeError,
        r"loss must be a loss such as cr\.MSELoss\(\), not <class",
    ),
    "loss by name": ({"loss": "mse"}, TypeError, r"loss must be a loss .* not 'mse'\."),
    "optimizer by name": (
        {"optimizer": "adam"},
        TypeError,
        r"optimizer must be an optimizer such as cr\.Adam\(\), not 'adam'\.",
    ),
    "unknown backend": (
        {"backend": "cuda"},
        ValueError,
        r"backend must be one of numba, numpy, not 'cuda'\.",
    ),
    "negative weight": (
        {"sample_weight": with_value(np.ones(12), 4, -1.0), "validation_split": 0.5},
        ValueError,
        r"sample_weight must not be negative with validation_split, but sample_weight\[4\] is -1",
    ),
    "class weights of no classes": (
        {"class_weight": {"a": 2.0}},
        ValueError,
        r"class_weight has \['a'\], which are not classes, but lacks \[0, 1",
    ),
    "class weights by name": (
        {"class_weight": "equal"},
        TypeError,
        r'class_weight must be a dict of classes and weights, or "balanced", not \'equal\'\.',
    ),
    "negative class weight": (
        {"class_weight": {0: -1.0}},
        ValueError,
        r"class_weight\[0\] must be 0 or more",
    ),
    "nothing held out": (
        {"validation_split": 0.01},
        ValueError,
        r"validation_split is 0\.01, which holds out 0 of 12 rows",
    ),
    "all held out": (
        {"validation_split": 1.0},
        ValueError,
        "must be more than 0 and less than 1",
    ),
    "held out and given": (
        {"validation_split": 0.5, "validation": (X, Y)},
        ValueError,
        "fit takes validation or validation_split, not both",
    ),
    "too few weights": (
        {"sample_weight": np.ones(11)},
        ValueError,
        r"sample_weight must have shape \(12,\), one weight a row, but its shape is \(11,\)\.",
    ),
    "no weight": (
        {"sample_weight": np.zeros(12)},
        ValueError,
        r"^sample_weight must not be 0 everywhere, in float32\.",
    ),
    "weights that are 0 in float32": (
        {"sample_weight": np.full(12, 1e-50)},
        ValueError,
        r"^sample_weight must not be 0 everywhere, in float32\.",
    ),
    "validation of four": ({"validation": (X, Y, Y, Y)}, ValueError, r"not a tuple of 4\."),
    "negative validation weights": (
        {"validation": (X, Y, -np.ones(12))},
        ValueError,
        r"validation sample_weight must not be negative, but validation sample_weight\[0\] is -1",
    ),
    "too few validation weights": (
        {"validation": (X, Y, np.ones(11))},
        ValueError,
        r"validation sample_weight must have shape \(12,\)",
    ),
    "no validation weight": (
        {"validation": (X, Y, np.zeros(12))},
        ValueError,
        r"validation sample_weight must not be 0 everywhere, in float32\.",
    ),
    "validation without y": ({"validation": X}, ValueError, r"validation must be \(X, y\) or "),
    "validation of another shape": (
        {"validation": (X[:, :3], Y)},
        ValueError,
        r"expects 4 input features, but validation X has shape \(n, 3\)\.",
    ),
    "validation labels out of range": (
        {"validation": (X, Y + 1)},
        ValueError,
        r"validation y has label 3 at row",
    ),
}

BAD_OPTIMIZERS = {
    "negative lr": (
        lambda: cr.SGD(lr=-0.1),
        ValueError,
        r"SGD's lr must be 0 or more, not -0\.1\.",
    ),
    "NaN for lr": (lambda: cr.Adam(lr=np.nan), ValueError, r"Adam's lr must be 0 or more, not nan"),
    "lr in words": (
        lambda: cr.AdamW(lr="fast"),
        TypeError,
        r"AdamW's lr must be a number, not 'fast'\.",
    ),
}


def cases(table):
    return pytest.mark.parametrize(("bad", "error", "message"), table.values(), ids=table)


def fit(net, **changed):
    arguments = {"X": X, "y": Y, "loss": cr.CrossEntropyLoss(), "epochs": 1, "progress": False}
    arguments = arguments | {"batch_size": 4} | changed
    return cr.fit(net, arguments.pop("X"), arguments.pop("y"), **arguments)


@pytest.fixture
def net():
    """A network that must be the same after the test, and so must its optimizer's state."""
    net = network()
    net.grads[:] = 1.0
    params, grads = net.params.copy(), net.grads.copy()
    yield net
    assert np.array_equal(net.params, params)
    assert np.array_equal(net.grads, grads)


@cases(BAD_X)
def test_x(net, bad, error, message):
    with pytest.raises(error, match=message.replace("{name}", "X")):
        fit(net, X=bad)
    with pytest.raises(error, match=message.replace("{name}", "X")):
        net.predict(bad)
    with pytest.raises(error, match=message.replace("{name}", "x")):
        net.forward(bad)


@cases(BAD_LABELS)
def test_labels(net, bad, error, message):
    for call in (
        lambda: fit(net, y=bad),
        lambda: cr.CrossEntropyLoss()(np.zeros((12, 3)), bad),
        lambda: cr.gradcheck(net, cr.CrossEntropyLoss(), X, bad),
    ):
        with pytest.raises(error, match=message):
            call()


@cases(BAD_TARGETS)
@pytest.mark.parametrize("loss", [cr.MSELoss(), cr.HuberLoss(), cr.BCEWithLogitsLoss()], ids=repr)
def test_targets(net, loss, bad, error, message):
    for call in (lambda: fit(net, y=bad, loss=loss), lambda: loss(np.zeros((12, 3)), bad)):
        with pytest.raises(error, match=message):
            call()


@cases(BAD_OPTIONS)
def test_options_of_fit(net, bad, error, message):
    optimizer = cr.Adam()
    with pytest.raises(error, match=message):
        fit(net, **{"optimizer": optimizer} | bad)
    assert optimizer.state(net).step == 0


@cases(BAD_OPTIMIZERS)
def test_optimizers(bad, error, message):
    with pytest.raises(error, match=message):
        bad()


@pytest.mark.parametrize("rows", [3, 30_000])
@pytest.mark.parametrize("largest", [1e200, -1e308])
def test_numbers_whose_squares_overflow_are_finite(rows, largest):
    X = np.full((rows, 4), 1.0)
    X[-1, 2] = largest
    assert network(dtype="float64").check_input(X, "X") is X


@pytest.mark.parametrize("rows", [3, 30_000])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_last_number_of_many_is_seen(rows, bad):
    X = np.full((rows, 4), 1.0)
    X[-1, 3] = bad
    with pytest.raises(ValueError, match=rf"X\[{rows - 1}, 3\] is {bad}"):
        network().check_input(X, "X")


def test_net_of_fit():
    with pytest.raises(TypeError, match=r"net must be a Sequential, not \[Linear\(4, 3\)\]"):
        fit([cr.Linear(4, 3)])


@cases(
    {
        "too short": (np.zeros(66), ValueError, r"params must have shape \(67,\).*is \(66,\)\."),
        "a matrix": (np.zeros((67, 1)), ValueError, r"params must have shape \(67,\).*\(67, 1\)"),
        "a number": (0.0, ValueError, r"params must have shape \(67,\), but its shape is \(\)\."),
        "NaN": (np.full(67, np.nan), ValueError, r"params must be finite, but params\[0\] is nan"),
        "complex": (np.zeros(67, complex), TypeError, r"params must hold real numbers"),
    }
)
def test_params(net, bad, error, message):
    with pytest.raises(error, match=message):
        net.params = bad


def test_params_that_are_not_finite_are_refused_before_training():
    net = network()
    net.params[3] = np.inf
    with pytest.raises(ValueError, match=r"net\.params must be finite before the training"):
        fit(net)


@cases(
    {
        "wrong shape": (np.zeros((12, 2)), ValueError, r"d_out must have the output's shape, "),
        "too few rows": (np.zeros((11, 3)), ValueError, r"\(12, 3\), but its shape is \(11, 3\)"),
        "NaN": (np.full((12, 3), np.nan), ValueError, r"d_out must be finite"),
        "strings": (np.full((12, 3), "a"), TypeError, r"d_out must hold real numbers"),
    }
)
def test_d_out(net, bad, error, message):
    out = net.forward(X)
    with pytest.raises(error, match=message):
        net.backward(bad)
    kept = net.grads.copy()
    assert net.backward(out).shape == X.shape  # the forward is not lost
    net.grads[:] = kept


def as_read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "variant",
    [
        as_read_only,
        np.asfortranarray,
        lambda array: np.repeat(array, 2, axis=0)[::2],
        lambda array: array[::-1].copy()[::-1],
        lambda array: array.astype(array.dtype.newbyteorder()),
        lambda array: array.tolist(),
        lambda array: (
            np.frombuffer(b"0" + array.tobytes(), np.uint8)[1:]
            .view(array.dtype)
            .reshape(array.shape)
        ),
    ],
    ids=["read-only", "Fortran", "every second", "reversed", "big-endian", "list", "unaligned"],
)
def test_any_layout_gives_the_same_bits(variant):
    for loss, y in ((cr.CrossEntropyLoss(), Y), (cr.MSELoss(), TARGETS)):
        plain, other = network(), network()
        fit(plain, X=X, y=y, loss=loss)
        fit(other, X=variant(X), y=variant(y), loss=loss, sample_weight=variant(np.ones(12)))
        assert np.array_equal(plain.params, other.params)
        assert np.array_equal(plain.predict(X), other.predict(variant(X)))
        value, d_out = loss(plain.forward(X), y)
        dx = plain.backward(d_out)
        other.forward(variant(X))
        assert np.array_equal(dx, other.backward(variant(d_out)))
        assert np.array_equal(plain.grads, other.grads)
        assert loss(variant(plain.predict(X)), variant(y))[0] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint64", "bool", "float16", "longdouble"])
def test_other_real_dtypes_are_converted(dtype):
    rows = np.arange(48).reshape(12, 4).astype(dtype)
    net = network()
    assert np.array_equal(net.predict(rows), net.predict(rows.astype("float32")))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64", ">i8"])
def test_labels_of_any_integer_dtype(dtype):
    a, b = network(), network()
    fit(a)
    fit(b, y=Y.astype(dtype))
    assert np.array_equal(a.params, b.params)


NET = cr.Sequential(cr.Linear(4, 30), cr.Linear(30, 3), seed=0)
LARGE = NET.parameters() | {str(i): np.arange(500.0) for i in range(20)}
TAKES_ONE = {
    "lr": lambda value: cr.Adam(value),
    "epochs": lambda value: cr.fit(NET, X, Y, loss=cr.CrossEntropyLoss(), epochs=value),
    "optimizer": lambda value: cr.fit(NET, X, Y, loss=cr.CrossEntropyLoss(), optimizer=value),
    "schedule": lambda value: cr.fit(NET, X, Y, loss=cr.CrossEntropyLoss(), schedule=value),
    "average": lambda value: cr.fit(NET, X, Y, loss=cr.CrossEntropyLoss(), average=value),
    "checkpoint": lambda value: cr.fit(NET, X, Y, loss=cr.CrossEntropyLoss(), checkpoint=value),
    "callbacks": lambda value: cr.fit(NET, X, Y, loss=cr.CrossEntropyLoss(), callbacks=value),
    "loss": lambda value: cr.fit(NET, X, Y, loss=value),
    "net": lambda value: cr.fit(value, X, Y, loss=cr.CrossEntropyLoss()),
    "Layer 0": lambda value: cr.Sequential(value),
    "monitor": lambda value: cr.callbacks.EarlyStopping(value),
    "step": lambda value: cr.Adam().step(value),
}


@pytest.mark.parametrize("name", TAKES_ONE)
@pytest.mark.parametrize(
    "value", [LARGE, [0.5] * 9999, np.ones((90, 90))], ids=["dict", "list", "array"]
)
def test_a_large_value_in_a_wrong_place_is_named_and_shown_in_short(name, value):
    with pytest.raises(TypeError, match=name) as caught:
        TAKES_ONE[name](value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("path", [0, True, None, 2.5, b"model"])
@pytest.mark.parametrize(
    "use",
    [
        lambda path: network().save(path),
        lambda path: cr.explain(network(), cr.MSELoss(), X, TARGETS).to_html(path),
        cr.load,
        cr.load_metadata,
        cr.Checkpoint,
        cr.callbacks.ModelCheckpoint,
        cr.callbacks.CSVLogger,
        cr.callbacks.JSONLLogger,
        cr.datasets.load,
        cr.datasets.load_images,
        cr.datasets.load_table,
    ],
)
def test_a_number_is_no_path(use, path):
    # open(0) would read the standard input, and close it.
    with pytest.raises(TypeError, match=r"path must be a path, such as 'folder/file', not "):
        use(path)
    os.fstat(0)


@pytest.mark.parametrize("path", [0, True, None])
def test_a_number_is_no_path_of_an_onnx_file(path):
    pytest.importorskip("onnx")
    for use in (network().to_onnx, cr.from_onnx):
        with pytest.raises(TypeError, match=r"path must be a path, such as 'folder/file', not "):
            use(path)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (cr.CrossEntropyLoss(), np.zeros(4, int), r"GlobalAvgPool\(\) in the network"),
        (cr.MSELoss(), np.zeros(4), r"\(4, 1, 1\), but its shape is \(4,\)\. Flatten\(\) in the"),
    ],
    ids=["labels", "numbers"],
)
def test_a_flatten_that_is_missing(loss, y, message):
    net = cr.Sequential(cr.Embedding(3, 4), cr.Linear(4, 1), seed=0)
    with pytest.raises(ValueError, match=message):
        cr.fit(net, np.zeros((4, 1)), y, loss=loss, progress=False)


def test_a_linear_layer_on_images():
    net = cr.Sequential(cr.Linear(6, 1), seed=0)
    with pytest.raises(ValueError, match=r"\(n, 2, 3\), of which Flatten\(\) makes 6 features"):
        net.predict(np.zeros((4, 2, 3)))


def test_several_inputs_in_a_dict():
    net = cr.Sequential(cr.Inputs(cr.Linear(2, 1), cr.Linear(2, 1)), seed=0)
    with pytest.raises(ValueError, match=r"a tuple of 2 arrays.* but it is a dict of 2\."):
        net.predict({"a": np.zeros((3, 2)), "b": np.zeros((3, 2))})

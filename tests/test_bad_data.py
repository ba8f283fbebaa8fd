"""Images, signals and tables that do not fit: the message names the array, and what helps."""

import re
import warnings

import numpy as np
import pytest

import chainrule as cr

pytestmark = pytest.mark.once

rng = np.random.default_rng(0)
Y = rng.integers(0, 3, 12)
GRAY = rng.normal(size=(12, 8, 8, 1)).astype("f4")
COLOUR = rng.normal(size=(12, 8, 8, 3)).astype("f4")
SIGNALS = rng.normal(size=(12, 8, 6)).astype("f4")
TABLE = rng.normal(size=(12, 2))
TRAINING = {"loss": cr.CrossEntropyLoss(), "epochs": 1, "progress": False}


def images(channels):
    convolution = cr.Sequential(cr.Conv2d(channels, 2, 3), cr.ReLU(), cr.Flatten())
    return cr.Sequential(convolution, cr.Linear(72, 3), seed=0)


def signals():
    convolution = cr.Sequential(cr.Conv1d(6, 2, 3), cr.ReLU(), cr.Flatten())
    return cr.Sequential(convolution, cr.Linear(12, 3), seed=0)


def beside_table(net):
    """Return a network that takes a table as well."""
    width = net[-1].in_features + 2
    inputs = cr.Inputs(net[0], cr.Identity())
    return cr.Sequential(inputs, cr.Linear(width, 3), seed=0)


def labels(x):
    return Y[: len(x[0] if isinstance(x, tuple) else x)]


def validated(net, right, wrong):
    return cr.fit(net, right, labels(right), validation=(wrong, labels(wrong)), **TRAINING)


def stepped(net, right, wrong):
    return cr.train_step(net, cr.CrossEntropyLoss(), cr.SGD())(wrong, labels(wrong))


def explained(net, right, wrong):
    return cr.explain(net, cr.CrossEntropyLoss(), wrong, labels(wrong))


# How wrong data is given: what the error calls the array, and the call.
WAYS = {
    "predict": ("X", lambda net, right, wrong: net.predict(wrong)),
    "forward": ("x", lambda net, right, wrong: net.forward(wrong)),
    "fit": ("X", lambda net, right, wrong: cr.fit(net, wrong, labels(wrong), **TRAINING)),
    "batches": ("x", lambda net, right, wrong: cr.fit(net, [(wrong, labels(wrong))], **TRAINING)),
    "validation": ("validation X", validated),
    "train_step": ("x", stepped),
    "explain": ("x", explained),
}
IN_CODE = {"X": "X", "x": "x", "validation X": "validation[0]"}
REMEDY = re.compile(r" but .*: (?:channels come last, as )?(\S.*?) (?:puts|has|makes|leaves) ")

MISFITS = {
    "channels first": (lambda: images(3), COLOUR, lambda x: x.transpose(0, 3, 1, 2)),
    "one channel first": (lambda: images(1), GRAY, lambda x: x.transpose(0, 3, 1, 2)),
    "signals' channels first": (signals, SIGNALS, lambda x: x.transpose(0, 2, 1)),
    "no channel": (lambda: images(1), GRAY, lambda x: x[..., 0]),
    "grey instead of coloured": (lambda: images(3), COLOUR, lambda x: x[..., :1]),
    "coloured instead of grey": (lambda: images(1), GRAY, lambda x: x.repeat(3, axis=-1)),
    "with transparency": (lambda: images(3), COLOUR, lambda x: x[..., [0, 1, 2, 2]]),
    "one image": (lambda: images(3), COLOUR, lambda x: x[0]),
}


def bits(net):
    return net.values.tobytes(), net.grads.tobytes(), net.next_masks


def error_of(net, call, right, wrong):
    """Return the message of the error, which leaves the network as it was."""
    before = bits(net)
    with pytest.raises(ValueError, match=r"^(Batch 1 of epoch 1: )?\w") as raised:
        call(net, right, wrong)
    assert bits(net) == before
    return str(raised.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("misfit", MISFITS)
def test_what_errors_on_shapes_advise_helps(way, misfit):
    make, right, spoil = MISFITS[misfit]
    name, call = WAYS[way]
    net, wrong = make(), spoil(right)
    message = error_of(net, call, right, wrong)
    assert f"but {name} has shape (n, " in message
    (remedy,) = REMEDY.findall(message)
    assert remedy.startswith(IN_CODE[name])
    mended = eval(remedy, {"np": np, "X": wrong, "x": wrong, "validation": (wrong, Y)})
    call(net, right, mended)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("misfit", [m for m in MISFITS if m != "one image"])
def test_what_errors_on_one_of_several_inputs_advise_helps(way, misfit):
    make, right, spoil = MISFITS[misfit]
    name, call = WAYS[way]
    net, wrong = beside_table(make()), (spoil(right), TABLE)
    message = error_of(net, call, (right, TABLE), wrong)
    assert f"but {name}[0] has shape (n, " in message
    (remedy,) = REMEDY.findall(message)
    assert remedy.startswith(f"{IN_CODE[name]}[0]")
    mended = eval(remedy, {"np": np, "X": wrong, "x": wrong, "validation": (wrong, Y)})
    call(net, (right, TABLE), (mended, TABLE))


def table_of(x):
    return pytest.importorskip("pandas").DataFrame(x)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (list(GRAY[..., 0]), "(n, 8, 8)"),
        (list(GRAY.transpose(0, 3, 1, 2)), "(n, 1, 8, 8)"),
        (GRAY[0].tolist(), "(n, 8, 1)"),
        (lambda: table_of(GRAY.reshape(12, -1)), "(n, 64)"),
    ],
    ids=["grey images", "channels first", "one image", "table of pixels"],
)
def test_what_errors_on_lists_and_tables_advise_helps(given, shape):
    given, net = given() if callable(given) else given, images(1)
    for x, name, call in (
        (given, "X", net.predict),
        ((given, TABLE), "X[0]", lambda x: beside_table(net).predict((x[0], TABLE[: len(x[0])]))),
    ):
        with pytest.raises(ValueError, match=re.escape(f"but {name} has shape {shape}: ")) as e:
            call(x)
        (remedy,) = REMEDY.findall(str(e.value).replace(", and ", " has "))
        assert remedy.startswith(f"np.asarray({name})")
        mended = eval(remedy, {"np": np, "X": x, "height": 8, "width": 8})
        call(mended if name == "X" else (mended, TABLE))


@pytest.mark.parametrize("way", WAYS)
def test_an_image_of_another_size_is_named_where_a_later_layer_finds_it(way):
    name, call = WAYS[way]
    large = np.zeros((12, 9, 9, 1))
    message = error_of(images(1), call, GRAY, large)
    assert message.endswith(f" gives shape (n, 98), as {name} has shape (n, 9, 9, 1).")
    message = error_of(beside_table(images(1)), call, (GRAY, TABLE), (large, TABLE))
    shapes = f"{name}[0] has shape (n, 9, 9, 1) and {name}[1] has shape (n, 2)."
    assert message.endswith(f", as {shapes}")


def test_a_remedy_is_for_the_input_alone():
    """Behind a layer that changes the shape, only the shapes are named."""
    net = cr.Sequential(cr.MaxPool2d(2), cr.Conv2d(3, 2, 3), cr.Flatten(), seed=0)
    with pytest.raises(ValueError, match=r"gives shape \(n, 3, 4, 8\), as X has shape .*, 8\)\.$"):
        net.predict(np.zeros((2, 6, 8, 8)))
    flipped = cr.Sequential(cr.RandomFlip(), cr.Conv2d(3, 2, 3), seed=0)
    with pytest.raises(ValueError, match=r"RandomFlip.* gives .*: channels come last, as X\.tr"):
        flipped.predict(COLOUR.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("layer", [cr.BatchNorm(3), cr.LayerNorm(3), cr.GroupNorm(3, 3)], ids=repr)
@pytest.mark.parametrize("x", [COLOUR, SIGNALS[..., :3]])
def test_channels_first_before_a_layer_that_normalizes(layer, x):
    net, first = cr.Sequential(layer, seed=0), np.moveaxis(x, -1, 1)
    with pytest.raises(ValueError, match=r"expects 3 features, but X has .*: channels come") as e:
        net.predict(first)
    (remedy,) = REMEDY.findall(str(e.value))
    np.testing.assert_array_equal(net.predict(eval(remedy, {"X": first})), net.predict(x))


# Batches of one row


def normalized(momentum=0.1, **options):
    return cr.Sequential(cr.Linear(2, 4), cr.BatchNorm(4, **options), cr.Linear(4, 3), seed=0)


@pytest.mark.parametrize(
    ("rows", "batch_size", "which"),
    [
        (12, 1, "Each batch has 1 of 12 rows with batch_size=1: "),
        (129, 128, "The last batch of an epoch has 1 of 129 rows with batch_size=128: "),
        (129, None, "The last batch of an epoch has 1 of 129 rows with batch_size=32: "),
        (3, 2, "The last batch of an epoch has 1 of 3 rows with batch_size=2: "),
        (2, 1, "Each batch has 1 of 2 rows with batch_size=1: "),
    ],
)
def test_the_batch_size_that_the_error_names_helps(rows, batch_size, which):
    X, y = np.tile(TABLE, (11, 1))[:rows], np.tile(Y, 11)[:rows]
    net = normalized()
    before = bits(net)
    with pytest.raises(ValueError, match=r"LayerNorm and GroupNorm normalize each row") as raised:
        cr.fit(net, X, y, batch_size=batch_size, **TRAINING)
    assert bits(net) == before
    assert str(raised.value).startswith(f"{which}BatchNorm(4) (layer 1) expects at least two value")
    (advised,) = re.findall(r"With batch_size=(\d+), no batch has 1 row\.$", str(raised.value))
    cr.fit(net, X, y, batch_size=int(advised), **TRAINING)


def test_one_row_by_hand_and_in_all():
    net, one, y = normalized(), TABLE[:1], Y[:1]
    with pytest.raises(ValueError, match=r"^There is only 1 row to train on: BatchNorm"):
        cr.fit(net, one, y, **TRAINING)
    with pytest.raises(ValueError, match=r"^Batch 2 of epoch 1: BatchNorm.* drop_last=True does"):
        cr.fit(net.copy(), [(TABLE, Y), (one, y)], **TRAINING)
    with pytest.raises(ValueError, match=r"1 row of .* GroupNorm normalize each row by itself\.$"):
        cr.train_step(net, cr.CrossEntropyLoss(), cr.SGD())(one, y)
    with pytest.raises(ValueError, match=r"With net\.training = False, it is a prediction"):
        net.forward(one)
    net.training = False
    np.testing.assert_array_equal(net.forward(one), net.predict(one))
    for layer in (cr.LayerNorm(2), cr.GroupNorm(1, 2), cr.RMSNorm(2)):
        own = cr.Sequential(layer, cr.Linear(2, 3), seed=0)
        cr.fit(own, TABLE, Y, batch_size=1, **TRAINING)
    untracked = normalized(track=False)
    with pytest.raises(ValueError, match=r"but X has 1 row of shape"):
        untracked.predict(one)
    with pytest.raises(ValueError, match=r"but validation X has 1 row of shape"):
        cr.fit(untracked, TABLE, Y, validation=(one, y), **TRAINING)
    before = bits(untracked)
    with pytest.raises(ValueError, match=r"but what validation_split holds out has 1 row of sha"):
        cr.fit(untracked, TABLE, Y, validation_split=1 / 12, **TRAINING)
    assert bits(untracked) == before


# Codes in tables

COLUMNS = ["size", "city", "age"]
CITIES = np.column_stack([TABLE[:, 0], rng.integers(0, 5, 12), TABLE[:, 1]])


def cities():
    codes = cr.Sequential(cr.Columns([1]), cr.Embedding(5, 4), cr.Flatten())
    both = cr.Parallel(codes, cr.Columns([0, 2]), combine="concatenate")
    return cr.Sequential(both, cr.Linear(6, 3), seed=0)


def pandas_table(values):
    return pytest.importorskip("pandas").DataFrame(values, columns=COLUMNS)


def polars_table(values):
    return pytest.importorskip("polars").DataFrame(values, schema=COLUMNS, orient="row")


def arrow_table(values):
    arrow = pytest.importorskip("pyarrow")
    return arrow.table(dict(zip(COLUMNS, np.array(values).T, strict=True)))


WRONG_CODES = {
    2.5: r"\.$",
    5: r"\. There are 5 codes, and the first is 0\.$",
    -1: r"\. In codes of pandas, -1 stands for no value: give it a code\.$",
}


@pytest.mark.parametrize("code", WRONG_CODES)
@pytest.mark.parametrize("table", [pandas_table, polars_table, arrow_table, np.array])
@pytest.mark.parametrize("way", WAYS)
def test_the_column_of_a_wrong_code_is_named(way, table, code):
    name, call = WAYS[way]
    wrong = CITIES.copy()
    wrong[7, 1] = code
    message = error_of(cities(), call, table(CITIES), table(wrong))
    column = "" if table is np.array else r" \('city'\)"
    assert re.search(
        rf"{name} has the code {float(code)} at row 7, column 1{column}, but Embedding\(5, 4\) "
        rf"\(layer 0\.0\.1\) takes whole numbers from 0 to 4{WRONG_CODES[code]}",
        message,
    )


def test_the_column_of_a_wrong_code_of_several_inputs_is_named():
    codes = cr.Sequential(cr.Embedding(5, 4), cr.Flatten())
    net = cr.Sequential(cr.Inputs(cr.Identity(), codes), cr.Linear(10, 3), seed=0)
    table = pytest.importorskip("pandas").DataFrame({"home": Y, "work": Y + 3})
    with pytest.raises(
        ValueError, match=r"^X\[1\] has the code 5\.0 at .*, column 1 \('work'\), but"
    ):
        net.predict((TABLE, table))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_estimators_name_the_column_of_what_is_wrong(solver):
    exceptions = pytest.importorskip("sklearn.exceptions")
    from chainrule.interop.sklearn import NetworkClassifier

    def make():
        return NetworkClassifier(module=cities(), max_iter=1, solver=solver, random_state=0)

    right = pandas_table(CITIES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        model = make().fit(right, Y)
    before = bits(model.network_)
    calls = [lambda X: make().fit(X, Y), model.predict, model.predict_proba]
    if solver == "adam":
        calls.append(lambda X: model.partial_fit(X, Y))
    for cell, message in {
        2.5: r"X has the code 2\.5 at row 7, column 1 \('city'\), but Embedding",
        np.nan: r"^X must be finite, but X\[7, 1\] \(column 'city'\) is nan\.\nInput X",
        "Rome": r"^X must hold real numbers, but the dtype of its column 'city' is object\. Row",
    }.items():
        wrong = right.astype({"city": object}) if isinstance(cell, str) else right.copy()
        wrong.loc[7, "city"] = cell
        for call in calls:
            with pytest.raises((TypeError, ValueError), match=message):
                call(wrong)
    assert bits(model.network_) == before


def test_estimators_name_the_shape_of_images():
    exceptions = pytest.importorskip("sklearn.exceptions")
    from chainrule.interop.sklearn import NetworkClassifier

    any_size = cr.Sequential(cr.Conv2d(1, 2, 3), cr.GlobalAvgPool(), cr.Linear(2, 3), seed=0)
    models = [NetworkClassifier(module=net, max_iter=1) for net in (images(1), any_size)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        one, other = (model.fit(GRAY, Y) for model in models)
    with pytest.raises(ValueError, match=r"gives shape \(n, 98\), as X has shape \(n, 9, 9, 1\)"):
        one.predict(np.zeros((2, 9, 9, 1)))
    with pytest.raises(ValueError, match=r"as high as those in fit, .* \(2, 9, 9, 1\)\."):
        other.predict(np.zeros((2, 9, 9, 1)))
    assert other.predict(np.zeros((2, 8, 9, 1))).shape == (2,)
    with pytest.raises(ValueError, match=r"Give a network for images as module, or X\.reshape"):
        NetworkClassifier().fit(GRAY, Y)
    different = [image[: 7 + i % 2] for i, image in enumerate(GRAY)]
    with pytest.raises(ValueError, match=r"row 0 has \(7, 8, 1\) and row 1 has \(8, 8, 1\)"):
        one.fit(different, Y)


# NaN and infinity


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("way", WAYS)
def test_the_first_place_that_is_not_finite_is_named(way, dtype, value, tmp_path):
    name, call = WAYS[way]
    wrong = GRAY.astype(dtype)
    wrong[3, 1, 2, 0] = wrong[5, 0, 0, 0] = value
    np.save(tmp_path / "X.npy", wrong)
    for given in (wrong, np.asfortranarray(wrong), np.load(tmp_path / "X.npy", mmap_mode="r")):
        message = error_of(images(1), call, GRAY, given)
        assert message.endswith(f"{name} must be finite, but {name}[3, 1, 2, 0] is {value}.")
        message = error_of(beside_table(images(1)), call, (GRAY, TABLE), (given, TABLE))
        assert message.endswith(f"{name}[0] must be finite, but {name}[0][3, 1, 2, 0] is {value}.")


# Other kinds of X and y


class Picture:
    """An image as packages for images have it."""

    def __init__(self, *shape):
        self.array = np.zeros(shape, np.uint8)

    @property
    def __array_interface__(self):
        return self.array.__array_interface__


def archive(tmp_path):
    np.savez(tmp_path / "data.npz", X=GRAY, y=Y)
    return np.load(tmp_path / "data.npz")


KINDS = {
    "images of different sizes": (
        lambda path: [np.zeros((8, 8, 1)), np.zeros((9, 7, 1))],
        r"list of 2 arrays of different shapes; .* row 0 has \(8, 8, 1\) and row 1 has \(9, 7, 1\)",
    ),
    "pictures of different sizes": (
        lambda path: [Picture(8, 8, 1), Picture(8, 8, 1), Picture(9, 7, 1)],
        r"cannot be read as an array: .* row 0 has \(8, 8, 1\) and row 2 has \(9, 7, 1\)\.$",
    ),
    "grey and coloured pictures": (
        lambda path: [Picture(8, 8, 3), Picture(8, 8)],
        r"cannot be read as an array: .* row 0 has \(8, 8, 3\) and row 1 has \(8, 8\)\.$",
    ),
    "grey pictures": (
        lambda path: [Picture(8, 8), Picture(8, 8)],
        r"X has shape \(n, 8, 8\): np\.asarray\(X\)\[..., np\.newaxis\] has an axis for the one ch",
    ),
    "an array of arrays": (
        lambda path: np.array([np.zeros((8, 8, 1)), np.zeros((9, 7, 1))], object),
        r"its dtype is object\. Rows of one array have one shape, but row 0 has \(8, 8, 1\) and",
    ),
    "an archive": (archive, r"must be an array, not a NpzFile with 'X', 'y'\. Take one of its arr"),
    "a dict": (lambda path: {"X": GRAY}, r"an array, not a dict with 'X'\. Take one of its arrays"),
    "a generator": (lambda path: iter(GRAY), r"must be an array, not a \w+\. Give list\(X\)\."),
    "a sparse matrix": (
        lambda path: pytest.importorskip("scipy.sparse").csr_matrix(TABLE),
        r"must be an array, not a csr_matrix\. Give X\.toarray\(\), which is dense",
    ),
    "fields": (
        lambda path: np.zeros(4, [("a", "f4"), ("b", "f4")]),
        r"structured_to_unstructured\(X\) has a column for each field",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_data(kind, tmp_path):
    make, message = KINDS[kind]
    net = images(1)
    before = bits(net)
    for call in (net.predict, lambda X: cr.fit(net, X, Y, **TRAINING)):
        with pytest.raises((TypeError, ValueError), match=message):
            call(make(tmp_path))
    assert bits(net) == before


def test_an_array_of_images_of_one_size():
    objects = np.empty(12, object)
    objects[:] = list(GRAY)
    net = images(1)
    with pytest.raises(TypeError, match=r"numpy\.stack\(X\) makes one array of its arrays\.$"):
        net.predict(objects)
    assert (net.predict(np.stack(objects)) == net.predict(GRAY)).all()


LABELS = {
    "from 1 on": (Y + 1, ValueError, "y - 1"),
    "a column": (Y[:, None], ValueError, "numpy.ravel(y)"),
    "one-hot": (np.eye(3)[Y], ValueError, "numpy.argmax(y, axis=1)"),
    "floats": (Y.astype(float), TypeError, "numpy.asarray(y, int)"),
}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("is_validation", [False, True])
def test_what_errors_on_labels_advise_helps(labels, is_validation):
    wrong, error, remedy = LABELS[labels]
    right = np.array([0, 1, 2] * 4)

    def fit(y):
        y, validation = (right, (GRAY, y)) if is_validation else (y, None)
        cr.fit(images(1), GRAY, y, validation=validation, **TRAINING)

    name = "validation[1]" if is_validation else "y"
    written = remedy.replace("y)", f"{name})").replace("y,", f"{name},").replace("y -", f"{name} -")
    with pytest.raises(error, match=re.escape(written)):
        fit(wrong)
    fit(eval(written, {"numpy": np, "y": wrong, "validation": (GRAY, wrong)}))


def test_labels_of_a_validation_get_the_numbers_of_the_training():
    classes, texts = np.array(["a", "b", "c"]), np.array(["c", "b"] * 6)
    with pytest.raises(TypeError, match=r"numpy\.searchsorted\(classes, validation\[1\]\)") as e:
        cr.fit(images(1), GRAY, Y, validation=(GRAY, texts), **TRAINING)
    assert "with the classes that numpy.unique(y) returns" in str(e.value)
    np.testing.assert_array_equal(classes[np.searchsorted(classes, texts)], texts)


@pytest.mark.parametrize("values", [(1, 2), (-1, 1), (0, 255)])
def test_two_classes_that_are_not_0_and_1(values):
    y, net = np.array(values * 6), cr.Sequential(cr.Linear(2, 1), seed=0)
    message = rf"numpy\.asarray\(y\) == {values[1]}\.0 has True and False for 1 and 0\.$"
    with pytest.raises(ValueError, match=message):
        cr.fit(net, TABLE, y, **TRAINING | {"loss": cr.BCEWithLogitsLoss()})
    cr.fit(net, TABLE, y == values[1], **TRAINING | {"loss": cr.BCEWithLogitsLoss()})


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (Y, {"loss": cr.MSELoss()}, r"is \(12,\)\. cr\.CrossEntropyLoss\(\) takes class labels\."),
        ((Y, Y), {}, r"is \(2, 12\)\. A tuple of targets is for cr\.MultiLoss"),
        (
            np.r_[Y, Y],
            {},
            r"y must have shape \(12,\), one label a row, but its shape is \(24",
        ),
        (Y, {"sample_weight": np.ones((12, 1))}, r"Use numpy\.ravel\(sample_weight\)\.$"),
        (Y, {"validation": 0.2}, r"not a float\. validation_split=0\.2 holds out some of the rows"),
        (Y, {"validation": GRAY}, r"must be \(X, y\) or .*, not a ndarray\."),
        (Y, {"validation": {"X": GRAY}}, r"must be \(X, y\) or .*, not a dict\."),
        (Y, {"validation": (GRAY, Y, np.ones((12, 1)))}, r"Use numpy\.ravel\(validation\[2\]\)\.$"),
        (Y, {"validation": (GRAY[0], Y)}, r"but validation X has .*: validation\[0\]\[np\.newaxis"),
        (Y, {"validation": (Y, GRAY)}, r"A single sample is validation\[0\]\[None\], a single fe"),
    ],
)
def test_other_arguments_of_fit(y, options, message):
    net = images(1)
    before = bits(net)
    with pytest.raises(ValueError, match=message):
        cr.fit(net, GRAY, y, **TRAINING | options)
    assert bits(net) == before


@pytest.mark.parametrize(
    ("layers", "y", "remedy"),
    [
        ([cr.Conv2d(1, 3, 1)], COLOUR.transpose(0, 3, 1, 2), "np.moveaxis(y, 1, -1)"),
        ([cr.Conv1d(6, 6, 1)], SIGNALS.transpose(0, 2, 1), "np.moveaxis(y, 1, -1)"),
        ([cr.Flatten(), cr.Linear(64, 64)], GRAY, "numpy.reshape(y, (12, 64))"),
    ],
)
def test_what_errors_on_targets_of_images_advise_helps(layers, y, remedy):
    net, options = cr.Sequential(*layers, seed=0), TRAINING | {"loss": cr.MSELoss()}
    X = SIGNALS if isinstance(layers[0], cr.Conv1d) else GRAY
    with pytest.raises(ValueError, match=re.escape(remedy)):
        cr.fit(net, X, y, **options)
    cr.fit(net, X, eval(remedy, {"np": np, "numpy": np, "y": y}), **options)


def test_a_label_at_each_place():
    net, y = cr.Sequential(cr.Conv2d(1, 3, 1), seed=0), (GRAY[..., 0] > 0).astype(int)
    with pytest.raises(ValueError, match=r"takes the output's shape, as numpy\.eye\(3\)\[y\] has"):
        cr.fit(net, GRAY, y, **TRAINING)
    cr.fit(net, GRAY, np.eye(3)[y], **TRAINING | {"loss": cr.BCEWithLogitsLoss()})


@pytest.mark.parametrize("X", [(GRAY, Y), [GRAY, Y]])
def test_y_in_one_argument_with_x(X):
    with pytest.raises(TypeError, match=r"^y is missing.* Give it after X: fit\(net, X, y, \.\.\."):
        cr.fit(images(1), X, **TRAINING)
    with pytest.raises(TypeError, match=r"^y is missing.* Give it after X: fit\(net, X, y, \.\.\."):
        cr.fit(beside_table(images(1)), [(GRAY, TABLE), Y], **TRAINING)


def test_branches_of_different_axes():
    codes = cr.Sequential(cr.Columns([1]), cr.Embedding(5, 4))
    net = cr.Sequential(cr.Parallel(codes, cr.Columns([0, 2]), combine="concatenate"), seed=0)
    with pytest.raises(ValueError, match=r"as X has shape \(n, 3\); Flatten\(\) leaves one axis"):
        net.predict(CITIES)

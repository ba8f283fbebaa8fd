"""Messages that say what to do, for what users of other packages try first."""

import inspect
import pickle
import re
import warnings
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import save_file

import chainrule as cr
from chainrule.utils.other_names import HINTS

pytestmark = pytest.mark.once

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
OPTIONS = {"epochs": 1, "batch_size": 10, "progress": False}
OPTIMIZERS = [getattr(cr, name) for name in cr.optimizers.__all__ if name != "Optimizer"]
LAYERS = [getattr(cr, name) for name in cr.layers.__all__]
LOGITS = [cr.CrossEntropyLoss(), cr.BCEWithLogitsLoss()]


def network(*last):
    return cr.Sequential(cr.Linear(3, 2), *last, seed=0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "given", [network(), network().parameters(), network().params, iter([]), [np.zeros(2)]]
)
def test_optimizers_take_no_parameters(optimizer, given):
    name = optimizer.__name__
    made = rf"cr\.{name}\(lr=0\.1\)"
    message = rf"^{made} takes no parameters: .* cr\.fit\(net, \.\.\., optimizer={made}\)\.$"
    for options in ({}, {"lr": 0.1}, {"weight_decay": 0.1}):
        with pytest.raises(TypeError, match=message):
            optimizer(given, **options)
        with pytest.raises(TypeError, match=message):
            optimizer(params=given, **options)
    cr.fit(network(), X, Y, loss=cr.CrossEntropyLoss(), optimizer=optimizer(lr=0.1), **OPTIONS)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_still_have_their_signature(optimizer):
    assert next(iter(inspect.signature(optimizer).parameters)) == "lr"
    for rate in (0.5, np.float32(0.5), np.array(0.5)):
        assert optimizer(rate).lr == 0.5
    assert repr(pickle.loads(pickle.dumps(optimizer(0.5)))) == repr(optimizer(0.5))
    with pytest.raises(TypeError, match=r"lr must be a number, not '0\.1'"):
        optimizer("0.1")
    with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
        optimizer(rate=0.1)


def probabilities():
    """Which layers give numbers from 0 to 1 that sum to 1, or are sigmoids."""
    return [kind for kind in LAYERS if kind.gives_probabilities]


def trained(net, loss, y):
    return cr.fit(net, X, y, loss=loss, **OPTIONS)


def searched(net, loss, y):
    return cr.find_lr(net, X, y, loss=loss, steps=3)


def stepped(net, loss, y):
    return cr.train_step(net, loss, cr.Adam())(X, y)


def targets_of(loss):
    return Y if loss.takes_labels else np.eye(2)[Y]


@pytest.mark.parametrize("train", [trained, stepped, searched])
@pytest.mark.parametrize("loss", LOGITS, ids=repr)
@pytest.mark.parametrize("layer", [cr.Softmax, cr.Sigmoid])
def test_probabilities_for_a_loss_that_takes_logits_are_warned_of(layer, loss, train):
    message = rf"{type(loss).__name__} takes logits .* ends in {layer.__name__}\(\) \(layer 1\)"
    with pytest.warns(UserWarning, match=message) as said:
        train(network(layer()), loss, targets_of(loss))
    assert [warning.filename for warning in said] == [__file__]


@pytest.mark.parametrize(
    "last", [[cr.Flatten()], [cr.Dropout(0.1)], [cr.Identity(), cr.Flatten(), cr.Dropout(0.5)]]
)
def test_layers_that_pass_probabilities_may_follow(last):
    with pytest.warns(UserWarning, match=r"ends in Softmax\(\) \(layer 1\)"):
        trained(network(cr.Softmax(), *last), cr.CrossEntropyLoss(), Y)
    with warnings.catch_warnings(action="error"):
        trained(network(cr.Softmax(), *last), cr.MSELoss(), np.eye(2)[Y])
        trained(network(*last), cr.CrossEntropyLoss(), Y)


PIXELS = rng.integers(0, 256, (20, 8, 8, 1), np.uint8)
OF_CLASSES = {"loss": cr.CrossEntropyLoss(), **OPTIONS}


def trained_on_batches(net, x):
    return cr.fit(net, [(x, Y)] * 3, loss=cr.CrossEntropyLoss(), epochs=2, progress=False)


def stepped_twice(net, x):
    step = cr.train_step(net, cr.CrossEntropyLoss(), cr.Adam())
    return step(x, Y), step(x, Y)


def estimated(net, x):
    exceptions = pytest.importorskip("sklearn.exceptions")
    from chainrule.interop.sklearn import NetworkClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        NetworkClassifier(module=net, max_iter=2, loss=cr.CrossEntropyLoss()).fit(x, Y)


ON_PIXELS = {
    "fit": lambda net, x: cr.fit(net, x, Y, **OF_CLASSES),
    "fit on batches": trained_on_batches,
    "find_lr": lambda net, x: cr.find_lr(net, x, Y, loss=cr.CrossEntropyLoss(), steps=3),
    "train_step": stepped_twice,
    "objective": lambda net, x: cr.objective(net, cr.CrossEntropyLoss(), x, Y),
}
OF_IMAGES = {
    "Conv2d": [cr.Conv2d(1, 2, 3), cr.Flatten(), cr.Linear(72, 2)],
    "Linear": [cr.RandomFlip(), cr.MaxPool2d(2), cr.Flatten(), cr.Linear(16, 2)],
    "Residual": [cr.Residual(cr.Conv2d(1, 1, 3, padding=1)), cr.Flatten(), cr.Linear(64, 2)],
    "Parallel": [cr.Parallel(cr.Flatten(), cr.Flatten()), cr.Linear(64, 2)],
}


@pytest.mark.parametrize("train", ON_PIXELS.values(), ids=ON_PIXELS)
@pytest.mark.parametrize("layers", OF_IMAGES.values(), ids=OF_IMAGES)
def test_pixels_that_are_not_rescaled_are_warned_of_once(train, layers):
    message = r"^[xX] holds whole .* (Conv2d|Linear)\(.*\) \(layer [\d.]+\) .* Rescale\(1 / 255\)"
    with pytest.warns(UserWarning, match=message) as said:
        train(cr.Sequential(*layers, seed=0), PIXELS)
    assert [warning.filename for warning in said] == [__file__]
    with warnings.catch_warnings(action="error"):
        train(cr.Sequential(cr.Rescale(1 / 255), *layers, seed=0), PIXELS)
        train(cr.Sequential(*layers, seed=0), PIXELS / 255)
        train(cr.Sequential(*layers, seed=0), (PIXELS > 99).astype(np.uint8))
    with pytest.warns(UserWarning, match=r"^[xX] holds numbers from 0 to 1, which Rescale .*alre"):
        train(cr.Sequential(cr.Rescale(1 / 255), *layers, seed=0), PIXELS / PIXELS.max())


@pytest.mark.parametrize(
    ("x", "scale"),
    [
        *((PIXELS.astype(dtype), 255) for dtype in ("int16", "int64", "f2", "f4", "f8")),
        (257 * PIXELS.astype(np.uint16), 65535),
        (16 * PIXELS.astype(np.uint16), 4095),  # a camera of 12 bits
        ((80 * PIXELS.astype(int) - 10_000).astype(np.int16), 16383),  # a sound
    ],
    ids=str,
)
def test_whole_numbers_that_are_large_are_warned_of_in_any_dtype(x, scale):
    net = cr.Sequential(*OF_IMAGES["Conv2d"], seed=0)
    with pytest.warns(
        UserWarning, match=rf"Put Rescale\(1 / {scale}\) before that layer, or scale X first\.$"
    ) as said:
        cr.fit(net, x, Y, **OF_CLASSES)
    assert len(said) == 1
    with warnings.catch_warnings(action="error"):
        few = cr.Sequential(cr.Linear(63, 2), seed=0)  # of a table, and no pixels
        cr.fit(few, x.reshape(20, -1)[:, :63], Y, **OF_CLASSES)
        cr.fit(net, x + 0.25, Y, **OF_CLASSES)


@pytest.mark.parametrize("layers", OF_IMAGES.values(), ids=OF_IMAGES)
def test_estimators_warn_once_in_sklearn_as_they_do_of_convergence(layers):
    with pytest.warns(UserWarning, match=r"^X holds whole numbers .*, or scale X first\.$") as said:
        estimated(cr.Sequential(*layers, seed=0), PIXELS)
    assert len(said) == 1
    with warnings.catch_warnings(action="error"):
        estimated(cr.Sequential(cr.Rescale(1 / 255), *layers, seed=0), PIXELS)


def test_validation_data_in_another_scale():
    net = cr.Sequential(*OF_IMAGES["Conv2d"], seed=0)
    with pytest.warns(
        UserWarning, match="^validation X holds .* as large as 255, but X does not"
    ) as said:
        cr.fit(net, PIXELS / 255, Y, validation=(PIXELS, Y), **OF_CLASSES)
    with pytest.warns(UserWarning, match="^X holds") as both:
        cr.fit(net, PIXELS, Y, validation=(PIXELS, Y), **OF_CLASSES)
    assert len(said) == len(both) == 1


@pytest.mark.parametrize(
    "first",
    [
        [cr.BatchNorm(1), cr.Flatten()],
        [cr.Conv2d(1, 1, 3, padding=1), cr.BatchNorm(1), cr.Flatten()],
        [cr.GroupNorm(1, 1), cr.Flatten()],
        [cr.Flatten(), cr.LayerNorm(64)],
        [cr.Flatten(), cr.Standardize().adapt(PIXELS.reshape(20, 64))],
        [cr.Embedding(256, 1), cr.Flatten()],
        [cr.Flatten(), cr.Columns(range(64))],
    ],
    ids=str,
)
def test_pixels_that_are_normalized_and_codes_are_not_warned_of(first):
    with warnings.catch_warnings(action="error"):
        cr.fit(cr.Sequential(*first, cr.Linear(64, 2), seed=0), PIXELS, Y, **OF_CLASSES)


def test_which_input_has_pixels_that_are_not_rescaled():
    inputs = cr.Inputs(cr.Identity(), cr.Sequential(cr.Flatten(), cr.Linear(64, 2)))
    with pytest.warns(
        UserWarning, match=r"^X\[1\] holds whole .* Linear\(64, 2\) \(layer 0\.1\.1\)"
    ):
        cr.fit(cr.Sequential(inputs, cr.Linear(5, 2), seed=0), (X, PIXELS), Y, **OF_CLASSES)


def test_a_schedule_that_ends_too_early_is_named_at_the_users_line():
    schedule = cr.schedules.OneCycleLR(0.1, steps=2)
    with pytest.warns(UserWarning, match="fall to nothing") as said:
        cr.fit(
            network(),
            X,
            Y,
            loss=cr.CrossEntropyLoss(),
            schedule=schedule,
            **OPTIONS | {"epochs": 99},
        )
    assert [warning.filename for warning in said] == [__file__]


def test_no_other_layer_or_loss_is_warned_of():
    assert {*probabilities()} == {cr.Softmax, cr.Sigmoid}
    for loss in (getattr(cr.losses, name)() for name in cr.losses.__all__):
        assert loss.takes_logits == (type(loss) in map(type, LOGITS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for last in (cr.Identity(), cr.LogSoftmax(), cr.ReLU()):
            trained(network(last), cr.CrossEntropyLoss(), Y)
        trained(cr.Sequential(cr.Sigmoid(), cr.Linear(3, 2)), cr.CrossEntropyLoss(), Y)
        trained(network(cr.Softmax()), cr.MSELoss(), np.eye(2)[Y])


def test_each_of_several_outputs_is_looked_at():
    heads = cr.Branch(cr.Linear(3, 2), cr.Sequential(cr.Linear(3, 2), cr.Softmax()))
    net = cr.Sequential(cr.Linear(3, 3), heads, seed=0)
    trained(net, cr.MultiLoss(cr.CrossEntropyLoss(), cr.MSELoss()), (Y, np.eye(2)[Y]))
    with pytest.warns(UserWarning, match=r"ends in Softmax\(\) \(layer 1\.1\.1\)"):
        trained(net, cr.MultiLoss(cr.MSELoss(), cr.CrossEntropyLoss()), (np.eye(2)[Y], Y))


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        (
            "model.pt",
            b"PK\x03\x04" + bytes(100),
            r"safetensors\.torch\.save_file\(model\.state_dict",
        ),
        ("model.PTH", b"PK\x03\x04" + bytes(100), r"cr\.interop\.torch\.from_state_dict"),
        ("model", b"\x80\x02}q\x00." + bytes(100), r"looks like a file of torch\.save"),
        ("model.onnx", b"\x08\x08" + bytes(100), r"cr\.from_onnx\(path\) reads ONNX files"),
        ("model.safetensors", b"\x08" + bytes(100), r"is no safetensors file, or a damaged one"),
        ("empty.pt", b"", r"looks like a file of torch\.save"),
    ],
)
def test_files_of_others(tmp_path, name, content, hint):
    path = tmp_path / name
    path.write_bytes(content)
    calls = (
        lambda: cr.load(path),
        lambda: cr.load_metadata(str(path)),
        lambda: cr.interop.torch.from_state_dict(network(), path),
        lambda: cr.fit(
            network(), X, Y, loss=cr.CrossEntropyLoss(), checkpoint=path, resume=True, **OPTIONS
        ),
    )
    for call in calls:
        with pytest.raises(cr.ModelFileError, match=hint):
            call()
    assert path.read_bytes() == content


def test_weights_of_pytorch_in_a_safetensors_file(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"0.weight": np.ones((2, 3), "f4"), "0.bias": np.ones(2, "f4")}, path)
    with pytest.raises(
        cr.ModelFileError, match=r"cr\.interop\.torch\.from_state_dict\(net, path\)"
    ):
        cr.load(path)
    net = network()
    cr.interop.torch.from_state_dict(net, path)
    assert (net.params == 1).all()


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ([lambda y, output: 1.0], ValueError, r"metrics\[0\], <lambda>, has no name: give .* dict"),
        ([max, partial(min, key=0)], ValueError, r"metrics\[1\], functools\.partial.*has no name"),
        ([max, max], ValueError, r"two functions of the same name: give names in a dict"),
        ({"a b": max}, ValueError, r"has the name 'a b', which is no identifier\."),
        (max, TypeError, r"a list or a dict of functions, not <built-in.*>\. Put it into a list"),
        (
            ["accuracy"],
            TypeError,
            r"metrics\[0\] must be a function such as cr.metrics.r2_score, not 'accuracy'",
        ),
    ],
)
def test_metrics(metrics, error, message):
    with pytest.raises(error, match=message):
        cr.fit(
            network(), X, Y, loss=cr.CrossEntropyLoss(), validation=(X, Y), metrics=metrics,
            **OPTIONS,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cr.Sequential([cr.Linear(3, 2)]), r"Layers are arguments of their own: put a \*"),
        (lambda: cr.Sequential(cr.ReLU), "Did you forget the brackets"),
        (lambda: cr.Sequential(lambda x: x), r"cr\.Activation makes a layer of a function"),
        (lambda: trained(network(), cr.MSELoss, X), "Did you forget the brackets"),
        (lambda: cr.train_step(network(), cr.MSELoss(), cr.Adam), "Did you forget the brackets"),
        (
            lambda: cr.fit(network(), X, Y, loss=cr.CrossEntropyLoss(), optimizer=cr.Adam),
            "Did you forget the brackets",
        ),
    ],
)
def test_arguments_of_another_kind(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def pandas(values, dtype=None):
    return pytest.importorskip("pandas").Series(values, dtype=dtype)


def polars(values):
    return pytest.importorskip("polars").Series(values)


def arrow(values):
    return pytest.importorskip("pyarrow").array(values)


CONVERTIBLE = {
    "booleans as objects": lambda: np.array([True, False] * 10, object),
    "booleans as objects, pandas": lambda: pandas([True, False] * 10, object),
    "integers as objects": lambda: np.array([1, 0] * 10, object),
    "integers as objects, pandas": lambda: pandas([1, 0] * 10, object),
    "floats": lambda: [1.0, 0.0] * 10,
    "floats, NumPy": lambda: np.array([1.0, 0.0] * 10),
    "floats, pandas": lambda: pandas([1.0, 0.0] * 10),
    "floats as objects": lambda: pandas([1.0, 0.0] * 10, object),
    "digits": lambda: ["1", "0"] * 10,
    "digits, NumPy": lambda: np.array(["1", "0"] * 10),
    "digits, bytes": lambda: np.array([b"1", b"0"] * 10),
    "digits, pandas": lambda: pandas(["1", "0"] * 10),
    "digits, pandas, objects": lambda: pandas(["1", "0"] * 10, object),
    "digits, polars": lambda: polars(["1", "0"] * 10),
    "digits, arrow": lambda: arrow(["1", "0"] * 10),
    "texts": lambda: ["a", "b"] * 10,
    "texts, pandas": lambda: pandas(["a", "b"] * 10),
    "texts, polars": lambda: polars(["a", "b"] * 10),
    "texts, arrow": lambda: arrow(["a", "b"] * 10),
    "fractions as texts": lambda: ["0.5", "1.5"] * 10,
    "categories, pandas": lambda: pandas(["a", "b"] * 10, "category"),
    "categories, polars": lambda: polars(["a", "b"] * 10).cast(
        pytest.importorskip("polars").Categorical
    ),
    "categories, arrow": lambda: arrow(["a", "b"] * 10).dictionary_encode(),
}
REMEDIES = {
    "astype(int)": lambda y: y.astype(int),
    "astype(float)": lambda y: y.astype(float),
    "numpy.asarray(y, int)": lambda y: np.asarray(y, int),
    "numpy.asarray(y, float)": lambda y: np.asarray(y, float),
    "pandas.to_numeric(y)": lambda y: pytest.importorskip("pandas").to_numeric(y),
    "numpy.unique(y, return_inverse=True)": lambda y: np.unique(y, return_inverse=True)[1],
    ".cat.codes": lambda y: y.cat.codes,
}


def remedies_in(error):
    return [remedy for text, remedy in REMEDIES.items() if text in str(error)]


@pytest.mark.parametrize("kind", CONVERTIBLE)
def test_what_errors_on_labels_advise_helps(kind):
    y = CONVERTIBLE[kind]()
    with pytest.raises(TypeError, match=r"^y must hold integer class labels") as caught:
        trained(network(), cr.CrossEntropyLoss(), y)
    remedies = remedies_in(caught.value)
    assert remedies
    for remedy in remedies:
        trained(network(), cr.CrossEntropyLoss(), remedy(y))


@pytest.mark.parametrize(
    "kind", [kind for kind in CONVERTIBLE if "object" in kind or "digits" in kind]
)
def test_what_errors_on_targets_advise_helps(kind):
    y, net = CONVERTIBLE[kind](), cr.Sequential(cr.Linear(3, 1), seed=0)
    with pytest.raises(TypeError, match=r"^y must hold real numbers") as caught:
        trained(net, cr.MSELoss(), y)
    (remedy,) = remedies_in(caught.value)
    trained(net, cr.MSELoss(), remedy(y))


@pytest.mark.parametrize("digits", [["1", "2"], ["0.5", "-1e3"]])
def test_what_errors_on_a_column_advise_helps(digits):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"a": [1.0, 2.0], "b": digits})
    net = cr.Sequential(cr.Linear(2, 1), seed=0)
    with pytest.raises(TypeError, match=r"Row 0 has '.*'\. pandas\.to_numeric\(X\['b'\]\) has"):
        net.predict(table)
    table["b"] = pd.to_numeric(table["b"])
    net.predict(table)


MISSING = {
    "list": lambda: [1, None],
    "objects": lambda: np.array([1, None], object),
    "floats": lambda: [1.0, np.nan],
    "pandas, objects": lambda: pandas([1, None], object),
    "pandas, NaN among objects": lambda: pandas([True, np.nan], object),
    "pandas, integers": lambda: pandas([1, None], "Int64"),
    "pandas, booleans": lambda: pandas([True, None], "boolean"),
    "pandas, texts": lambda: pandas(["1", None]),
    "pandas, categories": lambda: pandas(["a", None], "category"),
    "polars": lambda: polars([1, None]),
    "polars, booleans": lambda: polars([True, None]),
    "arrow, booleans": lambda: arrow([True, None]),
}


@pytest.mark.parametrize("kind", MISSING)
def test_the_row_of_a_missing_label_is_named(kind):
    with pytest.raises(
        TypeError, match="Row 1 has no value: fill it, or leave the row out"
    ) as caught:
        cr.CrossEntropyLoss()(np.zeros((2, 2)), MISSING[kind]())
    assert not remedies_in(caught.value)


@pytest.mark.parametrize("kind", MISSING)
def test_the_row_of_a_missing_target_is_named(kind):
    message = r"Row 1 has no value|y must be finite, but y\[1\] is nan"
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        cr.MSELoss()(np.zeros((2, 1)), MISSING[kind]())
    assert not remedies_in(caught.value)


@pytest.mark.parametrize("make", [list, np.array, partial(np.array, dtype=object)])
@pytest.mark.parametrize("wrong", [0.5, np.inf])
def test_floats_that_are_no_labels_are_not_truncated(make, wrong):
    with pytest.raises(TypeError, match=rf"Row 1 has {re.escape(str(wrong))}\.$"):
        cr.CrossEntropyLoss()(np.zeros((2, 2)), make([1.0, wrong]))


@pytest.mark.parametrize("name", [f"{n}2d" if n in cr.__all__ else n for n in HINTS])
def test_names_of_other_packages_say_what_to_take(name):
    assert not hasattr(cr, name)
    with pytest.raises(AttributeError, match=r"^module 'chainrule' has no attribute") as caught:
        getattr(cr, name)
    text = str(caught.value)
    assert HINTS.get(name, HINTS.get(name.removesuffix("2d"))) in text
    for path in re.findall(r"\bcr((?:\.\w+)+)", text):
        attribute = cr
        for part in path[1:].split("."):
            attribute = getattr(attribute, part)


def calls_in(text):
    """Return the calls in a text, such as cr.ReLU()."""
    for begin in (match.start() for match in re.finditer(r"\bcr\.\w+\(", text)):
        for end in range(begin, len(text) + 1):
            if text[begin:end].endswith(")") and text[begin:end].count("(") == text[
                begin:end
            ].count(")"):
                yield text[begin:end]
                break


def test_calls_that_hints_name_can_be_made():
    net, loss = network(), cr.CrossEntropyLoss()
    names = {"cr": cr, "net": net, "loss": loss, "X": X, "y": Y, "p": 0.5}
    names |= {"channels": 4, "features": 4, "codes": 9, "in_features": 3, "out_features": 2}
    names |= dict.fromkeys(["top", "bottom", "left", "right"], 1)
    calls = {call for hint in HINTS.values() for call in calls_in(hint)} - {"cr.load(path)"}
    assert len(calls) > 40
    for call in calls:
        eval(call, dict(names))


@pytest.mark.parametrize("module", ["torch.nn", "torch.optim"])
def test_all_classes_of_pytorch_have_a_counterpart_or_a_hint(module):
    names = vars(pytest.importorskip(module))
    for name in (name for name in names if name[0].isupper() and not hasattr(cr, name)):
        if name not in ("Optimizer",):
            with pytest.raises(AttributeError, match=f"'{name}': "):
                getattr(cr, name)


@pytest.mark.parametrize("name", ["StepLR", "EarlyStopping", "XavierUniform", "r2_score"])
def test_names_of_a_module_say_which(name):
    with pytest.raises(AttributeError, match=rf"'{name}': it is cr\.\w+\.{name}\.$"):
        getattr(cr, name)
    assert not hasattr(cr, "something")


LARGE = {  # more than addresses are there for
    "Linear": lambda: cr.Linear(10**8, 10**8),
    "Embedding": lambda: cr.Embedding(10**9, 10**8),
    "Conv1d": lambda: cr.Conv1d(10**8, 10**8, 3),
    "Conv2d": lambda: cr.Conv2d(10**7, 10**7, 30),
    "ConvTranspose1d": lambda: cr.ConvTranspose1d(10**12, 10**6, 3),
    "ConvTranspose2d": lambda: cr.ConvTranspose2d(10**12, 10**5, 30),
    "more than an array can be": lambda: cr.Conv1d(10**8, 10**8, 10**8),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_needs_too_much_memory_is_named(name):
    layer = LARGE[name]()
    message = (
        rf"The largest is the weight of {re.escape(repr(layer))} \(layer 0\), whose shape is \("
    )
    with pytest.raises(MemoryError, match=message + r".*\): [0-9,]+\.0 GB\.$"):
        cr.Sequential(layer, cr.Sigmoid(), dtype="float64")

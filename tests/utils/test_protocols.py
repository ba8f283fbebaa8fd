"""Public functions take other libraries' arrays as they take NumPy's, mostly without a copy."""

from array import array
from functools import partial

import numpy as np
import pytest

import chainrule as cr
from chainrule.utils.protocols import as_array

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype("float32")
LABELS = RNG.integers(0, 3, 12)
TARGETS = RNG.normal(size=(12, 3)).astype("float32")
WEIGHTS = RNG.random(12).astype("float32")


class OnlyArray:
    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return self._values


class OnlyInterface:
    def __init__(self, values):
        self._values, self.__array_interface__ = values, values.__array_interface__


class OnlyDLPack:
    def __init__(self, values):
        self._values = values

    def __dlpack__(self, **options):
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


def torch(values):
    return pytest.importorskip("torch").from_numpy(values)


def jax(values):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax.numpy.asarray(values)


def pandas(values, **options):
    pd = pytest.importorskip("pandas")
    return (pd.DataFrame if values.ndim == 2 else pd.Series)(values, **options)


def pandas_nullable(values):
    return pandas(values).astype(values.dtype.name.capitalize())


def pandas_arrow(values):
    arrow_dtype = pytest.importorskip("pyarrow").from_numpy_dtype(values.dtype)
    return pandas(values).astype(pytest.importorskip("pandas").ArrowDtype(arrow_dtype))


def polars(values):
    pl = pytest.importorskip("polars")
    return pl.from_numpy(values) if values.ndim == 2 else pl.Series(values)


def polars_rows(values):
    return pytest.importorskip("polars").Series(values)


def arrow(values):
    pa = pytest.importorskip("pyarrow")
    if values.ndim == 1:
        return pa.array(values)
    return pa.table({f"column {i}": column for i, column in enumerate(values.T)})


def arrow_tensor(values):
    return pytest.importorskip("pyarrow").Tensor.from_numpy(values)


def memory_mapped(values, folder):
    np.save(folder / "values.npy", values)
    return np.load(folder / "values.npy", mmap_mode="r")


LENT = {  # their memory is read in place
    "__array__": OnlyArray,
    "__array_interface__": OnlyInterface,
    "DLPack": OnlyDLPack,
    "memoryview": memoryview,
    "torch": torch,
    "jax": jax,
    "pandas": partial(pandas, copy=False),
    "polars": polars_rows,
    "arrow": arrow_tensor,
}
COPIED = {  # tables by columns, and columns that are not NumPy's
    "pandas": pandas,
    "pandas, nullable": pandas_nullable,
    "pandas, arrow": pandas_arrow,
    "polars": polars,
    "arrow": arrow,
}


def everything(make):
    """Return what each public function gives for the arrays that ``make`` makes."""
    x, labels, targets, weights = map(make, (X, LABELS, TARGETS, WEIGHTS))
    results = []
    for loss, y in ((cr.CrossEntropyLoss(), labels), (cr.MSELoss(), targets)):
        net = cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, 3), seed=0)
        net.params = make(np.linspace(-1, 1, net.params.size, dtype="float32"))
        options = {"loss": loss, "epochs": 1, "batch_size": 5, "progress": False}
        history = cr.fit(net, x, y, sample_weight=weights, validation=(x, y), **options)
        results += [net.params, history.loss, history.validation_loss]
        output = net.forward(x)
        value, d_output = loss(make(output), y, weights)
        results += [output, value, d_output, net.backward(make(d_output)), net.grads]
        results += [cr.gradcheck(net, loss, x, y, sample_weight=weights).error]
        results += [cr.explain(net, loss, x, y).path("W1").gradient]
        results += [cr.nudge(net, loss, x, y, "W1", (0, 0), 0.1).actual]
        results += [net.predict(x)]
    results += [cr.metrics.accuracy(labels, make(output))]
    results += [cr.metrics.confusion_matrix(labels, make(output))]
    results += [cr.gradcheck(lambda x: (x**3).sum(), lambda x: make(3 * x**2), x).passed]
    return results


@pytest.fixture(scope="module")
def expected():
    return everything(lambda values: values)


def is_plain(result):
    return type(result) is np.ndarray or not isinstance(result, np.ndarray)


@pytest.mark.parametrize("make", LENT.values(), ids=LENT)
def test_every_door_gives_what_numpys_arrays_give(make, expected):
    found = everything(make)
    assert all(map(is_plain, found))
    for mine, numpys in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, numpys)


@pytest.mark.parametrize("make", COPIED.values(), ids=COPIED)
def test_tables_give_what_numpys_arrays_give(make, expected):
    found = everything(make)
    assert all(map(is_plain, found))
    for mine, numpys in zip(found, expected, strict=True):
        # A table of pandas' own float32 is read as float64, and so is the loss computed.
        np.testing.assert_allclose(mine, numpys, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "uint8"])
@pytest.mark.parametrize("make", LENT.values(), ids=LENT)
def test_x_is_not_copied(make, dtype):
    values = X.astype(dtype)
    lent, net = make(values), cr.Sequential(cr.Linear(4, 2), seed=0)
    first, second = (net.check_input(lent, "X") for _ in range(2))
    assert first.dtype == dtype
    assert np.array_equal(first, values)
    assert np.shares_memory(first, second)


@pytest.mark.parametrize(
    "make", [OnlyDLPack, partial(array, "f"), torch, jax, pandas, polars, arrow], ids=repr
)
def test_y_and_weights_of_the_networks_dtype_are_not_copied(make):
    lent = make(WEIGHTS)
    assert np.shares_memory(as_array(lent, "y"), as_array(lent, "y"))
    loss, shape = cr.MSELoss(), (12, 1)
    first, second = (loss.check_target(lent, shape, WEIGHTS.dtype) for _ in range(2))
    assert np.array_equal(first[:, 0], WEIGHTS)
    assert np.shares_memory(first, second)


def test_a_subclass_comes_in_as_what_it_holds(tmp_path):
    net = cr.Sequential(cr.Linear(4, 2), seed=0)
    mapped = memory_mapped(X, tmp_path)
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(X)
    for other in (mapped, matrix, np.ma.array(X)):
        assert np.shares_memory(net.check_input(other, "X"), other)
        found = net.predict(other)
        assert type(found) is np.ndarray
        assert np.array_equal(found, net.predict(X))


def test_booleans_beside_numbers_are_numbers():
    pd = pytest.importorskip("pandas")
    columns = {"a": [0.5, 2.0], "b": [True, False], "c": pd.array([1, 2], "Int32")}
    assert as_array(pd.DataFrame(columns), "X").tolist() == [[0.5, 1.0, 1.0], [2.0, 0.0, 2.0]]


def test_tables_whose_columns_have_the_names_of_attributes():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"dtype": [1.0], "dtypes": [2.0], "mask": [3.0], "kind": [4.0]})
    assert as_array(table, "X").tolist() == [[1.0, 2.0, 3.0, 4.0]]


def from_torch(make):
    return lambda: make(pytest.importorskip("torch"))


def from_pandas(make):
    return lambda: make(pytest.importorskip("pandas"))


def from_polars(make):
    return lambda: make(pytest.importorskip("polars"))


def from_arrow(make):
    return lambda: make(pytest.importorskip("pyarrow"))


class Broken:
    def __init__(self, error):
        self._error = error

    def __array__(self, dtype=None, copy=None):
        raise self._error


CATEGORIES = {"a": [1.0, 2.0], "b": [7, 9]}
REFUSED = {
    "masked": (
        lambda: np.ma.masked_greater(X, 1),
        ValueError,
        r"X has masked entries; fill them, or leave their rows out\.",
    ),
    "masked, from a class": (lambda: OnlyArray(np.ma.masked_greater(X, 1)), ValueError, "masked"),
    "objects": (lambda: OnlyArray(X.astype(object)), TypeError, r"X .*its dtype is object"),
    "complex": (lambda: OnlyDLPack(X + 1j), TypeError, r"real numbers, but its dtype is complex"),
    "strings": (lambda: OnlyArray(X.astype(str)), TypeError, r"real numbers, but its dtype is <U"),
    "records": (
        lambda: np.zeros(2, "f4,f4").view(np.recarray),
        TypeError,
        r"X must hold real numbers, but its dtype is .*f0",
    ),
    "characters": (lambda: memoryview(b"abc").cast("c"), TypeError, r"real.*its dtype is \|S1"),
    "bytes": (lambda: b"abc", TypeError, r"X must hold real numbers, but its dtype is \|S3"),
    "no array": (lambda: iter([1.0]), TypeError, r"X must be an array, not a list_iterator\."),
    "__array__ fails": (
        lambda: Broken(RuntimeError("it lies on another device")),
        TypeError,
        r"X cannot be read as an array: it lies on another device",
    ),
    "__array__ gives none": (lambda: OnlyArray(3), ValueError, r"X cannot be read.*__array__"),
    "torch, requires grad": (
        from_torch(lambda torch: torch.zeros(2, 4, requires_grad=True)),
        TypeError,
        r"X cannot be read as an array: .*requires grad\. Use tensor\.detach\(\)",
    ),
    "torch, bfloat16": (
        from_torch(lambda torch: torch.zeros(2, 4, dtype=torch.bfloat16)),
        TypeError,
        r"X cannot be read as an array: .*BFloat16",
    ),
    "torch, sparse": (
        from_torch(lambda torch: torch.zeros(2, 4).to_sparse()),
        TypeError,
        r"X cannot be read as an array: .*Use Tensor\.to_dense\(\)",
    ),
    "torch, without memory": (
        from_torch(lambda torch: torch.zeros(2, 4, device="meta")),
        TypeError,
        r"X cannot be read as an array: .*meta device",
    ),
    "jax, bfloat16": (
        lambda: pytest.importorskip("jax.numpy").zeros((2, 4), "bfloat16"),
        TypeError,
        r"X must hold real numbers, but its dtype is bfloat16\.",
    ),
    "pandas, categories that are numbers": (
        from_pandas(lambda pd: pd.Series([1, 2], dtype="category")),
        TypeError,
        r"X must hold real numbers, but its dtype is category\.",
    ),
    "pandas, a column of categories": (
        from_pandas(lambda pd: pd.DataFrame(CATEGORIES).astype({"b": "category"})),
        TypeError,
        r"the dtype of its column 'b' is category\. Encode it as numbers",
    ),
    "pandas, a column of strings": (
        from_pandas(lambda pd: pd.DataFrame({"a": [1.0], "b": ["two"]})),
        TypeError,
        r"but the dtype of its column 'b' is (str|object)\. Row 0 has 'two'\. Encode it as numbers",
    ),
    "pandas, a column of dates": (
        from_pandas(lambda pd: pd.DataFrame({"a": [1.0], "b": pd.to_datetime(["2020-01-01"])})),
        TypeError,
        r"the dtype of its column 'b' is datetime64\[..\]\. Convert dates to numbers",
    ),
    "pandas, a missing number": (
        from_pandas(lambda pd: pd.Series([1, None], dtype="Int64")),
        ValueError,
        r"X must be finite, but X\[1\] is nan",
    ),
    "pandas, a missing truth": (
        from_pandas(lambda pd: pd.Series([True, None], dtype="boolean")),
        ValueError,
        r"X must be finite, but X\[1\] is nan",
    ),
    "pandas, a missing number in a table": (
        from_pandas(lambda pd: pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [1.0, 2.0]})),
        ValueError,
        r"X must be finite, but X\[1, 0\]( \(column 'a'\))? is nan\.",
    ),
    "pandas, numbers as objects": (
        from_pandas(lambda pd: pd.Series([1, 2], dtype=object)),
        TypeError,
        r"but its dtype is object\. Its astype\(float\) has the numbers\.",
    ),
    "pandas, a text among numbers": (
        from_pandas(lambda pd: pd.DataFrame({"a": [1.0] * 3, "b": [None, 2, "n/a"]})),
        TypeError,
        r"the dtype of its column 'b' is object\. Row 2 has 'n/a'\.$",
    ),
    "polars, a column of dates": (
        from_polars(lambda pl: pl.DataFrame({"a": [1.0], "b": pl.Series([1]).cast(pl.Date)})),
        TypeError,
        r"X must hold real numbers, but the dtype of its column 'b' is Date\. Convert dates",
    ),
    "polars, a column of strings": (
        from_polars(lambda pl: pl.DataFrame({"a": [1.0], "b": ["two"]})),
        TypeError,
        r"the dtype of its column 'b' is String\. Row 0 has 'two'\. Encode it as numbers",
    ),
    "polars, categories": (
        from_polars(lambda pl: pl.Series(["a", "b"], dtype=pl.Categorical)),
        TypeError,
        r"X must hold real numbers, but its dtype is Categorical",
    ),
    "polars, a missing number": (
        from_polars(lambda pl: pl.Series([1, None])),
        ValueError,
        r"X must be finite, but X\[1\] is nan",
    ),
    "polars, not computed yet": (
        from_polars(lambda pl: pl.DataFrame({"a": [1.0]}).lazy()),
        TypeError,
        r"X must be an array, not a LazyFrame\.",
    ),
    "arrow, a missing number": (
        from_arrow(lambda pa: pa.array([1, None])),
        ValueError,
        r"X must be finite, but X\[1\] is nan",
    ),
    "arrow, a column of strings": (
        from_arrow(lambda pa: pa.table({"a": [1.0], "b": ["two"]})),
        TypeError,
        r"the dtype of its column 'b' is string\. Row 0 has 'two'\. Encode it as numbers",
    ),
    "arrow, dates beside numbers": (
        from_arrow(lambda pa: pa.table({"a": [1.0], "b": pa.array([1]).cast(pa.timestamp("s"))})),
        TypeError,
        r"X cannot be read as an array: ",
    ),
    "scipy, sparse": (
        lambda: pytest.importorskip("scipy.sparse").csr_array(X),
        TypeError,
        r"X must be an array, not a csr_array\.",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(make, error, message):
    net = cr.Sequential(cr.Linear(4, 3), seed=0)
    bad = make()
    with pytest.raises(error, match=message):
        net.predict(bad)
    with pytest.raises(error, match=message.replace("X", "sample_weight")):
        cr.MSELoss()(np.zeros((2, 1)), np.zeros(2), bad)


def test_a_missing_number_is_found_in_its_column():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"a": [1.0, 2.0], "b": pd.array([1, None], "Int64")})
    net = cr.Sequential(cr.Linear(2, 1))
    with pytest.raises(
        ValueError, match=r"X must be finite, but X\[1, 1\] \(column 'b'\) is nan\."
    ):
        cr.fit(net, table, [0.0, 0.0], loss=cr.MSELoss())


def test_labels_that_are_categories():
    y = pandas(LABELS).astype("category")
    with pytest.raises(TypeError, match=r"labels, but its dtype is category\. Its \.cat\.codes"):
        cr.CrossEntropyLoss()(TARGETS, y)
    value, _ = cr.CrossEntropyLoss()(TARGETS, y.cat.codes)
    assert value == cr.CrossEntropyLoss()(TARGETS, LABELS)[0]


def test_labels_that_are_categories_of_polars():
    pl = pytest.importorskip("polars")
    y = pl.Series([f"class {label}" for label in LABELS], dtype=pl.Categorical)
    with pytest.raises(TypeError, match=r"dtype is Categorical.*\. numpy\.unique\(y, return_inv"):
        cr.CrossEntropyLoss()(TARGETS, y)
    cr.CrossEntropyLoss()(TARGETS, np.unique(y, return_inverse=True)[1])


@pytest.mark.parametrize("make", [list, np.array, pandas, polars])
def test_labels_that_are_texts(make):
    texts = [f"class {label}" for label in LABELS]
    y = make(texts) if make in (list, np.array) else make(np.array(texts, object))
    with pytest.raises(TypeError, match=r"Row 0 has 'class \d'\. numpy\.unique\(y, return_in"):
        cr.CrossEntropyLoss()(TARGETS, y)
    classes, labels = np.unique(y, return_inverse=True)
    assert classes.tolist() == ["class 0", "class 1", "class 2"]
    assert np.array_equal(labels, LABELS)

"""Networks with several inputs: what they compute is what one input with all columns gives."""

import copy
import gc
import pickle
import weakref
from math import prod

import numpy as np
import pytest

import chainrule as cr
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.models.data_set import DataSet
from chainrule.utils.inputs import arrays_of

ROWS = 13


class Pick(cr.NumPyLayer):
    """Some columns of a table, in another shape: how a network of one input gets several."""

    linear = True

    def __init__(self, first, shape):
        self.columns, self.shape = slice(first, first + prod(shape)), shape

    def output_shape(self, input_shape):
        self.width = input_shape[0]
        return self.shape

    def forward(self, x):
        return x[:, self.columns].reshape(-1, *self.shape), x.shape

    def backward(self, dy, saved):
        dx = np.zeros(saved)
        dx[:, self.columns] = dy.reshape(len(dy), -1)
        return dx, {}


def image_and_table():
    image = cr.Sequential(cr.Rescale(0.5, 0.25), cr.Flatten(), cr.Linear(12, 4), cr.Tanh())
    return [image, cr.Identity()], [(3, 4), (2,)], [cr.Linear(6, 3)]


def three():
    parts = [cr.Linear(2, 4), cr.Sequential(cr.Linear(3, 4), cr.Sigmoid()), cr.Linear(1, 4)]
    return parts, [(2,), (3,), (1,)], [cr.Tanh(), cr.Linear(4, 3)]


def siamese():
    encoder = cr.Shared(cr.Linear(4, 5), cr.Tanh())
    return [encoder, encoder], [(4,), (4,)], [cr.Linear(5, 3)]


def heads():
    parts, shapes, _ = image_and_table()
    return parts, shapes, [cr.Branch(cr.Linear(6, 3), cr.Linear(6, 2))]


NETWORKS = {
    "image and table": (image_and_table, "concatenate"),
    "three": (three, "product"),
    "siamese": (siamese, "sum"),
    "several outputs": (heads, "concatenate"),
}
every_network = pytest.mark.parametrize("kind", NETWORKS)
both_backends = pytest.mark.parametrize("backend", ["numba", "numpy"])


class Problem:
    """A network with several inputs, and the same one with one."""

    def __init__(self, kind, backend="numba", rows=ROWS, dtype="float64"):
        make, combine = NETWORKS[kind]
        parts, self.shapes, others = make()
        options = {"seed": 0, "dtype": dtype, "backend": backend}
        self.net = cr.Sequential(cr.Inputs(*parts, combine=combine), *others, **options)
        begins = np.cumsum([0, *map(prod, self.shapes)]).tolist()
        branches = [
            cr.Sequential(Pick(begin, shape), part)
            for part, begin, shape in zip(parts, begins, self.shapes, strict=False)
        ]
        self.one = cr.Sequential(cr.Parallel(*branches, combine=combine), *others, **options)
        assert self.net.params.size == self.one.params.size
        rng = np.random.default_rng(1)
        self.net.params = self.one.params = rng.normal(0, 0.5, self.net.params.shape)
        self.x = tuple(rng.normal(size=(rows, *shape)) for shape in self.shapes)
        several = kind == "several outputs"
        self.y = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2))
        self.loss = cr.MultiLoss(cr.MSELoss(), cr.MSELoss()) if several else cr.MSELoss()
        self.y = self.y if several else self.y[0]
        self.v = rng.normal(size=self.net.params.shape)
        self.u = tuple(rng.normal(size=array.shape) for array in self.x)


def joined(arrays):
    """Return all columns of several inputs side by side."""
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def flat(result):
    """Return every number of a result, with those by several inputs side by side."""
    if isinstance(result, tuple | list):
        return np.concatenate([flat(part) for part in result])
    return np.ravel(result)


def by_inputs(result):
    return joined(result) if isinstance(result, tuple) else result


def train(net, x, p):
    cr.fit(net, x, p.y, loss=p.loss, epochs=3, batch_size=4, progress=False)
    return net.params.copy()


def train_by_hand(net, x, p):
    step = cr.train_step(net, p.loss, cr.Adam())
    return [np.array([step(x, p.y) for _ in range(3)]), net.params.copy()]


def passes(net, x, p):
    out = net(x)
    return out, by_inputs(net.backward(p.loss(out, p.y)[1])), net.grads.copy()


def vjp(net, x, p):
    out, pullback = cr.vjp(net, x)
    d_params, d_x = pullback(p.loss(out, p.y)[1])
    return out, d_params, by_inputs(d_x)


def hvp(net, x, p):
    u = p.u if isinstance(x, tuple) else joined(p.u)
    by_params, by_x = cr.hvp(net, p.loss, x, p.y, (p.v, u), ("params", "x"))
    return by_params, by_inputs(by_x)


def hvp_by_x(net, x, p):
    u = p.u if isinstance(x, tuple) else joined(p.u)
    return by_inputs(cr.hvp(net, p.loss, x, p.y, u, "x"))


def value_and_grad(net, x, p):
    value, (by_params, by_x) = cr.value_and_grad(net, p.loss, ("params", "x"))(net.params, x, p.y)
    return value, by_params, by_inputs(by_x)


def jacobian_by_x(net, x, p):
    found = cr.jacobian(net, x, wrt="x")
    several_outputs = isinstance(p.loss, cr.MultiLoss)
    outputs = found if several_outputs else (found,)
    return [
        np.concatenate([part.reshape(*part.shape[:2], -1) for part in by], axis=2)
        if isinstance(by, tuple)
        else by
        for by in outputs
    ]


COMPUTED = {
    "predict": lambda net, x, p: net.predict(x),
    "passes": passes,
    "vjp": vjp,
    "jvp": lambda net, x, p: cr.jvp(
        net, x, (p.v, p.u if isinstance(x, tuple) else joined(p.u)), ("params", "x")
    ),
    "value_and_grad": value_and_grad,
    "hvp": hvp,
    "hvp by x": hvp_by_x,
    "hvp by parameters": lambda net, x, p: cr.hvp(net, p.loss, x, p.y, p.v),
    "hessian": lambda net, x, p: cr.hessian(net, p.loss, x, p.y),
    "gauss_newton_vp": lambda net, x, p: cr.gauss_newton_vp(net, p.loss, x, p.y, p.v),
    "fisher_vp": lambda net, x, p: cr.fisher_vp(net, p.loss, x, p.v),
    "jacobian": lambda net, x, p: cr.jacobian(net, x),
    "jacobian by x": jacobian_by_x,
    "per_sample_grad": lambda net, x, p: cr.per_sample_grad(net, p.loss, x, p.y),
    "per_sample_norms": lambda net, x, p: cr.per_sample_norms(net, p.loss, x, p.y),
    "clipped_grad": lambda net, x, p: cr.clipped_grad(net, p.loss, x, p.y, 0.5),
    "fit": train,
    "train_step": train_by_hand,
    "objective": lambda net, x, p: cr.objective(net, p.loss, x, p.y).fun(net.params),
}


@every_network
@both_backends
@pytest.mark.parametrize("what", COMPUTED)
def test_it_computes_what_one_input_with_all_columns_gives(kind, backend, what):
    p = Problem(kind, backend)
    given = [array.copy() for array in p.x]
    found, expected = COMPUTED[what](p.net, p.x, p), COMPUTED[what](p.one, joined(p.x), p)
    np.testing.assert_allclose(flat(found), flat(expected), rtol=1e-10, atol=1e-12)
    assert all((a == b).all() for a, b in zip(given, p.x, strict=True))


def in_blocks(found, shapes, before=()):
    """Return second derivatives by all elements as matrices, from a tuple of tuples."""
    if not isinstance(found, tuple):
        return found
    return np.block(
        [
            [block.reshape(*before, prod(x), prod(z)) for block, z in zip(row, shapes, strict=True)]
            for row, x in zip(found, shapes, strict=True)
        ]
    )


def hessian_by_x(net, x, p):
    found = cr.hessian(net, p.loss, x, p.y, wrt="x")
    if not isinstance(x, tuple):
        return found
    rows, columns = len(x[0]), sum(map(prod, p.shapes))
    order = np.concatenate(  # of the elements when all columns stand side by side
        [
            np.arange(a.size).reshape(rows, -1) + begin
            for a, begin in zip(x, begins(x), strict=True)
        ],
        axis=1,
    ).reshape(-1)
    matrix = in_blocks(found, [array.shape for array in x])
    return matrix[np.ix_(order, order)].reshape(rows, columns, rows, columns)


def begins(arrays):
    return np.cumsum([0, *(array.size for array in arrays[:-1])])


def hessian_x(net, x, p):
    return in_blocks(cr.hessian_x(net, x), p.shapes, (len(p.x[0]), 3))


def laplacian(net, x, p):
    found = cr.laplacian(net, x)
    assert isinstance(found, tuple) == isinstance(x, tuple)
    return sum(found) if isinstance(found, tuple) else found


def input_derivatives(net, x, p):
    """Differentiate by the first element, and by the last one, of the last input."""
    last = sum(map(prod, p.shapes)) - 1
    chosen = [(), (0,), (last,), (0, last), (last, last)]
    values, pullback = cr.input_derivatives(net, x, chosen)
    d_params, d_x = pullback([np.cos(i + value) for i, value in enumerate(values)])
    return *values, d_params, by_inputs(d_x)


SECOND = {
    "hessian by x": hessian_by_x,
    "hessian_x": hessian_x,
    "laplacian": laplacian,
    "input_derivatives": input_derivatives,
}


@pytest.mark.parametrize("kind", ["image and table", "three", "siamese"])
@both_backends
@pytest.mark.parametrize("what", SECOND)
def test_second_derivatives_are_those_by_all_columns(kind, backend, what):
    p = Problem(kind, backend, rows=3)
    found, expected = SECOND[what](p.net, p.x, p), SECOND[what](p.one, joined(p.x), p)
    np.testing.assert_allclose(flat(found), flat(expected), rtol=1e-9, atol=1e-12)


def test_second_derivatives_have_the_form_of_the_inputs():
    p = Problem("image and table", rows=4)
    by_x = cr.hessian(p.net, p.loss, p.x, p.y, wrt="x")
    assert [[part.shape for part in row] for row in by_x] == [
        [a.shape + b.shape for b in p.x] for a in p.x
    ]
    found = cr.hessian_x(p.net, p.x)
    assert [[part.shape for part in row] for row in found] == [
        [(4, 3, *a.shape[1:], *b.shape[1:]) for b in p.x] for a in p.x
    ]
    sums = cr.laplacian(p.net, p.x)
    np.testing.assert_allclose(sums[0], np.einsum("noijij->no", found[0][0]), atol=1e-12)
    np.testing.assert_allclose(sums[1], np.einsum("noii->no", found[1][1]), atol=1e-12)
    (second,), _ = cr.input_derivatives(p.net, p.x, [(5, 12)])  # element 5 of one, 0 of the other
    np.testing.assert_allclose(second, found[0][1][:, :, 1, 1, 0], atol=1e-12)
    with pytest.raises(ValueError, match=r"a row of x has 14 elements \(numbers 0 to 13\)"):
        cr.input_derivatives(p.net, p.x, [(14,)])


@every_network
def test_gradients_are_those_of_differences(kind):
    p = Problem(kind)
    report = cr.gradcheck(p.net, p.loss, p.x, p.y)
    names = [f"x[{i}]" for i in range(len(p.x))]
    assert [row.name for row in report.parameters][: len(names)] == names
    assert cr.gradgradcheck(p.net, p.loss, p.x, p.y).passed


@pytest.mark.parametrize("many", [1, 5000])  # 5,000 rows are two blocks
def test_input_gradients_have_the_form_of_the_inputs(many):
    p = Problem("three", rows=many)
    net = cr.Sequential(p.net, cr.Linear(3, 1), seed=0)
    one = cr.Sequential(p.one, cr.Linear(3, 1), seed=0)
    one.params = net.params
    found = net.input_gradient(p.x)
    assert [gradient.shape for gradient in found] == [array.shape for array in p.x]
    np.testing.assert_allclose(joined(found), one.input_gradient(joined(p.x)), rtol=1e-4, atol=1e-6)


def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (256, 16, 16), np.uint8), rng.normal(size=(256, 40))
    y = rng.integers(0, 10, 256)
    image = cr.Sequential(cr.Rescale(1 / 255), cr.Flatten(), cr.Linear(256, 128), cr.ReLU())
    table = cr.Sequential(cr.Linear(40, 64), cr.Dropout(0.2))
    found = []
    for threads in (1, 2, 3):
        net = cr.Sequential(cr.Inputs(image, table), cr.Linear(192, 10), seed=0)
        with cr.threads(threads):
            options = {"epochs": 2, "batch_size": 128, "progress": False}
            cr.fit(net, x, y, loss=cr.CrossEntropyLoss(), **options)
            found.append((net.params.tobytes(), net.predict(x).tobytes()))
    assert found[0] == found[1] == found[2]


# Arrays


def test_arrays_of_any_kind_are_read_in_place(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 3, 4), np.uint8)
    table = rng.normal(size=(80, 2))[::2]
    path = tmp_path / "images.npy"
    np.save(path, images)
    mapped = np.load(path, mmap_mode="r")
    table.flags.writeable = False
    net = Problem("image and table", dtype="float32").net
    expected = net.predict((images.astype(float), table.copy()))
    for x in ((mapped, table), [mapped, table], (mapped[::-1][::-1], np.asfortranarray(table))):
        assert (net.predict(x) == expected).all()
    data = DataSet.checked(net, cr.MSELoss(), (mapped, table), rng.normal(size=(40, 3)), None)
    assert all(
        np.shares_memory(own, given)
        for own, given in zip(arrays_of(data.inputs), (mapped, table), strict=True)
    )
    y = rng.normal(size=(40, 3))
    options = {"loss": cr.MSELoss(), "epochs": 2, "progress": False}
    other = net.copy()
    cr.fit(net, (mapped, table), y, **options)
    cr.fit(other, (images.astype(float), table.tolist()), y, **options)
    assert (net.params == other.params).all()


def test_rows_of_one_batch_may_be_fewer_than_of_the_one_before():
    p = Problem("three")
    whole = p.net.forward(p.x)
    for rows in (4, 1, ROWS):
        part = tuple(array[:rows] for array in p.x)
        np.testing.assert_allclose(p.net.forward(part), whole[:rows], rtol=1e-14)
        np.testing.assert_allclose(p.net.predict(part), whole[:rows], rtol=1e-14)


@both_backends
def test_no_array_is_kept(backend):
    p = Problem("three", backend)
    p.net.predict(p.x)
    p.net.forward(p.x)
    cr.value_and_grad(p.net, p.loss)(p.net.params, p.x, p.y)
    alive = [weakref.ref(array) for array in p.x]
    del p.x
    gc.collect()
    assert [array for array in alive if array() is not None] == []


def test_an_embedding_takes_the_codes_of_its_own_input():
    rng = np.random.default_rng(0)
    table = cr.Sequential(cr.Embedding(5, 3), cr.Flatten())
    net = cr.Sequential(cr.Inputs(cr.Identity(), table), cr.Linear(2 + 6, 1), seed=0)
    x = rng.normal(size=(9, 2)), rng.integers(0, 5, (9, 2))
    report = cr.gradcheck(net, cr.MSELoss(), x, np.ones((9, 1)))
    assert [row.name for row in report.parameters][:2] == ["x[0]", "0.1.0.weight"]
    (by_numbers, _), (_, by_codes) = cr.hessian_x(cr.Sequential(net, cr.Tanh(), seed=0), x)
    assert by_numbers.any()
    assert not by_codes.any()
    x[1][3, 1] = 7
    with pytest.raises(ValueError, match=r"X\[1\] has the code 7 at row 3, column 1"):
        net.predict(x)


# Calls from Python

REPEATED = sorted(COMPUTED.keys() - {"fit", "objective"})


def rows_of(p, rows):
    """Return the same problem with the first rows only."""
    part = copy.copy(p)
    part.x, part.u = (tuple(array[:rows] for array in own) for own in (p.x, p.u))
    part.y = tuple(array[:rows] for array in p.y) if isinstance(p.y, tuple) else p.y[:rows]
    return part


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_network
@pytest.mark.parametrize("what", REPEATED)
def test_a_call_again_gives_the_same_bits(kind, dtype, what):
    """Lists are no batches that are prepared for; batches with fewer rows come in between."""
    p = Problem(kind, dtype=dtype)
    net, by_lists = p.net, p.net.copy()
    for rows in (ROWS, ROWS, 4, ROWS, 4, 4):
        part = rows_of(p, rows)
        found = COMPUTED[what](net, part.x, part)
        expected = COMPUTED[what](by_lists, tuple(array.tolist() for array in part.x), part)
        assert flat(found).tobytes() == flat(expected).tobytes()


@pytest.mark.skipif(JIT_DISABLED, reason="Python is called the long way")
@pytest.mark.parametrize("kind", ["image and table", "three", "siamese"])
def test_a_call_again_is_prepared(kind, monkeypatch):
    p = Problem(kind, dtype="float32", rows=1)
    x = tuple(array.astype("float32") for array in p.x)
    step, evaluate = cr.train_step(p.net, p.loss, cr.Adam()), cr.value_and_grad(p.net, p.loss, "x")
    called = {
        "predict": lambda: p.net.predict(x),
        "forward": lambda: p.net.forward(x),
        "train_step": lambda: step(x, p.y),
        "value_and_grad": lambda: evaluate(p.net.params, x, p.y),
        "hvp": lambda: cr.hvp(p.net, p.loss, x, p.y, p.u, "x"),
        "jacobian": lambda: cr.jacobian(p.net, x, "x"),
        "by parameters": lambda: cr.jacobian(p.net, x),
    }
    for call in called.values():
        call()
        call()
    monkeypatch.delattr(cr.Sequential, "check_input")  # the long way begins with it
    for call in called.values():
        call()
    with pytest.raises(AttributeError):
        p.net.predict(tuple(array[:, :1] for array in x))


def test_large_batches_are_not_copied():
    net = cr.Sequential(cr.Inputs(cr.Linear(600, 2), cr.Linear(3, 2)), cr.Linear(4, 1), seed=0)
    small, large = (
        (np.ones((rows, 600), "float32"), np.ones((rows, 3), "float32")) for rows in (8, 1000)
    )
    for x in (small, large, small, large):
        expected = net.copy().predict(x)
        for _ in range(2):
            assert (net.forward(x) == expected).all()
            assert (net.predict(x) == expected).all()


# Training


def test_fit_takes_all_that_it_takes_for_one_input(tmp_path):
    p = Problem("image and table", rows=60)
    x, y = p.x, p.y
    history = cr.fit(
        p.net, x, y, loss=p.loss, epochs=6, validation=(tuple(a[:9] for a in x), y[:9]),
        metrics=[cr.metrics.r2_score], sample_weight=np.linspace(0.5, 1, 60),
        average=cr.ExponentialMovingAverage(p.net), progress=False,
        callbacks=[cr.callbacks.EarlyStopping(patience=2)],
    )  # fmt: skip
    assert len(history.validation_loss) == 6
    assert cr.fit(p.net, x, y, loss=p.loss, epochs=1, validation_split=0.2, progress=False)
    assert len(cr.find_lr(p.net, x, y, loss=p.loss, steps=10).losses) > 1


@both_backends
def test_a_training_goes_on_from_its_checkpoint(tmp_path, backend):
    path = tmp_path / "training.safetensors"
    options = {"loss": cr.MSELoss(), "batch_size": 4, "progress": False}
    whole, parts = (Problem("three", backend, rows=30) for _ in range(2))
    cr.fit(whole.net, whole.x, whole.y, epochs=4, **options)
    stop = cr.callbacks.Callback()
    stop.on_epoch_end = lambda training: training.stop() if training.epoch == 2 else None
    cr.fit(parts.net, parts.x, parts.y, epochs=4, checkpoint=path, callbacks=[stop], **options)
    again = Problem("three", backend, rows=30)
    cr.fit(again.net, again.x, again.y, epochs=4, checkpoint=path, resume=True, **options)
    assert (again.net.params == whole.net.params).all()
    again.x[1][0, 0] += 1
    with pytest.raises(
        ValueError, match=r"from it: X\[1\] is 'float64 of [^']*', but was '[^']*'\.$"
    ):
        cr.fit(again.net, again.x, again.y, epochs=4, checkpoint=path, resume=True, **options)


def test_targets_are_not_forgotten():
    p = Problem("three")
    for x in (p.x, list(p.x), p.x[0]):
        with pytest.raises(TypeError, match="y is missing: only an iterable of batches"):
            cr.fit(p.net, x, loss=p.loss)


def test_batches_of_an_iterable():
    p, other = Problem("three", rows=12), Problem("three", rows=12)
    batches = [(tuple(a[i : i + 4] for a in p.x), p.y[i : i + 4]) for i in (0, 4, 8)]
    options = {"loss": p.loss, "epochs": 3, "progress": False}
    cr.fit(p.net, batches, **options)
    cr.fit(other.net, other.x, other.y, batch_size=4, shuffle=False, **options)
    np.testing.assert_allclose(p.net.params, other.net.params, rtol=1e-12)


def test_callbacks_are_given_a_tuple():
    seen = []

    class Look(cr.callbacks.Callback):
        def on_epoch_end(self, training):
            seen.append((training.X, training.rows, training.probe(5)[0]))

    p = Problem("three")
    cr.fit(p.net, p.x, p.y, loss=p.loss, epochs=1, callbacks=[Look()], progress=False)
    (X, rows, some), = seen  # fmt: skip
    assert rows == ROWS
    assert [a.shape for a in X] == [a.shape for a in p.x]
    assert [len(a) for a in some] == [5, 5, 5]


def test_a_step_that_is_not_finite_is_undone():
    p = Problem("three", dtype="float32", rows=30)
    with pytest.raises(cr.NonFiniteError):
        cr.fit(p.net, p.x, p.y, loss=p.loss, optimizer=cr.SGD(lr=1e25), epochs=9, progress=False)
    assert np.isfinite(p.net.params).all()


# Copies and files


@every_network
def test_copies_and_files(kind, tmp_path):
    p = Problem(kind)
    p.net.save(tmp_path / "net.safetensors")
    loaded = cr.load(tmp_path / "net.safetensors")
    assert repr(loaded) == repr(p.net)
    expected = flat(p.net.predict(p.x))
    for twin in (loaded, copy.deepcopy(p.net), pickle.loads(pickle.dumps(p.net))):
        assert (flat(twin.predict(p.x)) == expected).all()


def test_summary():
    p = Problem("image and table")
    text = str(p.net.summary())
    assert "0 Inputs(..., combine='concatenate')" in text
    assert p.net.output_shape(((3, 4), (2,))) == (3,)


# Errors

X1, X2 = np.ones((6, 2)), np.ones((6, 3))


def with_nan():
    array = X2.copy()
    array[4, 1] = np.nan
    return array


def two():
    return cr.Sequential(cr.Inputs(cr.Linear(2, 4), cr.Linear(3, 4)), cr.Linear(8, 1), seed=0)


WRONG = {
    "another number of rows": (
        (X1, X2[:5]),
        r"{0} must have arrays with the same number of rows, but {0}\[0\] has 6 rows and {0}\[1\] "
        r"has 5\.",
    ),
    "one array": (
        X1,
        r"{0} must be a tuple of 2 arrays, one for each input of the network, but it is an array "
        r"of shape \(6, 2\)\.",
    ),
    "three arrays": ((X1, X2, X2), r"{0} must be a tuple of 2 arrays, .*it is a tuple of 3\."),
    "rows": (X1.tolist(), r"{0} must be a tuple of 2 arrays, .*it is a list of 6\."),
    "a dict": (
        {"one": X1, "other": X2},
        r"{0} must be a tuple of 2 arrays, .* is a dict of 2\. Give its arrays as a tuple, in the",
    ),
    "another shape": (
        (X1, X1),
        r"Linear\(3, 4\) \(layer 0\.1\) expects 3 input features, but {0}\[1\] has shape \(n, 2\)",
    ),
    "NaN": ((X1, with_nan()), r"{0}\[1\] must be finite, but {0}\[1\]\[4, 1\] is nan\."),
    "one sample": ((X1[0], X2[0]), r"{0}\[0\] must have shape \(n, features\)"),
    "an empty axis": ((X1, X2[:, :0]), r"{0}\[1\] must have no empty axis"),
    "no rows": ((X1[:0], X2[:0]), r"{0}\[0\] must have at least one row"),
}


def test_the_wrong_input_is_named_behind_layers_that_take_any_shape():
    image = [cr.Rescale(1 / 255), cr.Tanh(), cr.Dropout(0.5), cr.Conv2d(1, 2, 3), cr.Flatten()]
    net = cr.Sequential(cr.Inputs(cr.Linear(3, 2), cr.Sequential(*image)), cr.Linear(4, 1), seed=0)
    table, images = np.ones((6, 3)), np.ones((6, 3, 3, 1))
    assert net.predict((table, images)).shape == (6, 1)
    with pytest.raises(ValueError, match=r"Conv2d\(1, 2, 3\) .*, but X\[1\] has shape \(n, 3\)"):
        net.predict((table, table))
    # Where a layer is made for a shape, the next one's error is about its output.
    with pytest.raises(
        ValueError, match=r"Linear\(4, 1\) .*, but Tanh\(\) \(layer 1\) gives shape"
    ):
        cr.Sequential(cr.Linear(3, 3), cr.Tanh(), cr.Linear(4, 1), seed=0)


def calls(net):
    y, loss = np.zeros((6, 1)), cr.MSELoss()
    step = cr.train_step(net, loss, cr.SGD())
    return {
        "predict": ("X", net.predict),
        "forward": ("x", net.forward),
        "fit": ("X", lambda x: cr.fit(net, x, y, loss=loss, epochs=1, progress=False)),
        "validation": (
            "validation X",
            lambda x: cr.fit(
                net, (X1, X2), y, loss=loss, epochs=1, validation=(x, y), progress=False
            ),
        ),
        "train_step": ("x", lambda x: step(x, y)),
        "value_and_grad": ("x", lambda x: cr.value_and_grad(net, loss)(net.params, x, y)),
        "jvp": ("x", lambda x: cr.jvp(net, x, net.params)),
        "jacobian": ("x", lambda x: cr.jacobian(net, x)),
        "gradcheck": ("x", lambda x: cr.gradcheck(net, loss, x, y)),
    }


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("called", calls(two()))
@pytest.mark.parametrize("before", [False, True])
def test_a_wrong_tuple_is_an_error_that_changes_nothing(wrong, called, before):
    net = two()
    params, grads = net.params.copy(), net.grads.copy()
    name, function = calls(net)[called]
    if before:  # what a right call prepares does not take a wrong one
        function((X1, X2))
        params, grads = net.params.copy(), net.grads.copy()
    x, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message.format(name)):
        function(x)
    assert (net.params == params).all()
    assert (net.grads == grads).all()


def test_a_tuple_of_arrays_for_one_input_is_an_error():
    net = cr.Sequential(cr.Linear(2, 1), seed=0)
    for x in ((X1, X2), (X1, X1), [X1, X2], [X1, X1[:4]]):
        with pytest.raises(
            ValueError, match=r"X must be one array, as the network has one input, bu"
        ):
            net.predict(x)
    # Numbers and rows in lists or tuples are one array, as in NumPy.
    rows = [[1.0, 2.0], [3.0, 4.0]]
    expected = net.predict(np.array(rows))
    for x in (rows, tuple(rows), tuple(map(tuple, rows)), tuple(map(np.array, rows))):
        assert (net.predict(x) == expected).all()
    images = cr.Sequential(cr.Flatten(), cr.Linear(12, 1), seed=0)
    assert images.predict(list(np.ones((5, 3, 4)))).shape == (5, 1)


def test_directions_and_gradients_are_tuples():
    p = Problem("three")
    with pytest.raises(ValueError, match="tangent must be a tuple of 3 arrays, one for each input"):
        cr.jvp(p.net, p.x, p.u[0], "x")
    with pytest.raises(ValueError, match=r"tangent\[1\] must have shape \(13, 3\), but its shape "):
        cr.jvp(p.net, p.x, (p.u[0], p.u[0], p.u[2]), "x")
    with pytest.raises(ValueError, match=r"vector\[1\]\[2\] must have shape \(13, 1\), but"):
        cr.hvp(p.net, p.loss, p.x, p.y, (p.v, (*p.u[:2], p.u[0])), ("params", "x"))


@pytest.mark.parametrize(
    "layers",
    [
        lambda own: [cr.Linear(2, 2), own],
        lambda own: [cr.Parallel(own, cr.Linear(2, 2))],
        lambda own: [cr.Residual(own)],
        lambda own: [cr.Inputs(own, cr.Identity())],
        lambda own: [cr.Branch(own, own)],
        lambda own: [own, own],
    ],
)
def test_inputs_are_first(layers):
    own = cr.Inputs(cr.Linear(2, 2), cr.Linear(2, 2))
    with pytest.raises(
        ValueError, match=r"Inputs \(layer .*\) takes the network's inputs: it must"
    ):
        cr.Sequential(*layers(own))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="Inputs needs at least two parts"):
        cr.Inputs(cr.Identity())
    with pytest.raises(TypeError, match="Part 1 of Inputs is no layer"):
        cr.Inputs(cr.Identity(), [cr.Identity()])
    with pytest.raises(
        ValueError, match="Inputs's combine must be 'sum', 'concatenate' or 'product'"
    ):
        cr.Inputs(cr.Identity(), cr.Identity(), combine="mean")
    with pytest.raises(
        ValueError, match=r"expects parts whose shapes differ in nothing but the las"
    ):
        two().output_shape(((5, 2), (3,)))
    with pytest.raises(
        ValueError, match="has 2 inputs: the shape of a row must be a tuple of 2 sha"
    ):
        two().output_shape((2,))
    with pytest.raises(ValueError, match=r"but input_shape\[1\] has shape \(n, 4\)"):
        two().output_shape(((2,), (4,)))

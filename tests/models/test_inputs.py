"""Networks with several inputs: what they compute is what one input with all columns gives."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from several_inputs import COMPUTED, ROWS, Problem, both_backends, every_network, flat, joined

import chainrule as cr
from chainrule.models.data_set import DataSet
from chainrule.utils.inputs import arrays_of


@every_network
@both_backends
@pytest.mark.parametrize("what", COMPUTED)
def test_it_computes_what_one_input_with_all_columns_gives(kind, backend, what):
    p = Problem(kind, backend)
    given = [array.copy() for array in p.x]
    found, expected = COMPUTED[what](p.net, p.x, p), COMPUTED[what](p.one, joined(p.x), p)
    np.testing.assert_allclose(flat(found), flat(expected), rtol=1e-10, atol=1e-12)
    assert all((a == b).all() for a, b in zip(given, p.x, strict=True))


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

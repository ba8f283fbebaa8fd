"""Networks: how they are built, their parameters, predict, forward and backward, copies."""

import copy
import pickle
import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.interop.torch import from_state_dict, to_state_dict


def network(**options):
    return cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, 3), **{"seed": 0} | options)


def batch(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Building


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: cr.Sequential(), ValueError, r"Sequential needs at least one layer\."),
        (
            lambda: cr.Sequential(cr.Linear(64, 16), cr.Linear(32, 10)),
            ValueError,
            r"Linear\(32, 10\) \(layer 1\) expects 32 input features, "
            r"but Linear\(64, 16\) \(layer 0\) gives shape \(n, 16\)\.",
        ),
        (
            lambda: cr.Sequential(
                cr.Linear(4, 5), cr.Sequential(cr.ReLU(), cr.Linear(4, 2, bias=False))
            ),
            ValueError,
            r"Linear\(4, 2, bias=False\) \(layer 1\.1\) expects 4 input features, "
            r"but ReLU\(\) \(layer 1\.0\) gives shape \(n, 5\)\.",
        ),
        (
            lambda: cr.Sequential(cr.Linear(4, 5), cr.ReLU),
            TypeError,
            r"Layer 1 is no layer but <class .*ReLU'>\. Did you forget the brackets\?",
        ),
        (
            lambda: cr.Sequential(np.tanh),
            TypeError,
            r"Layer 0 is no layer but <ufunc 'tanh'>\.",
        ),
        (lambda: cr.Sequential([cr.ReLU()]), TypeError, r"Layer 0 is no layer but \[ReLU\(\)\]"),
        (lambda: cr.Linear(0, 3), ValueError, r"Linear's in_features must be at least 1, not 0\."),
        (
            lambda: cr.Linear(3, -2),
            ValueError,
            r"Linear's out_features must be at least 1, not -2\.",
        ),
        (
            lambda: cr.Linear(3.0, 2),
            TypeError,
            r"Linear's in_features must be an integer, not 3\.0\.",
        ),
        (
            lambda: cr.Linear(3, 2, weight_init="zeros"),
            TypeError,
            r"Linear's weight_init must be an initializer .* not 'zeros'\.",
        ),
        (
            lambda: cr.LeakyReLU(-0.1),
            ValueError,
            r"LeakyReLU's negative_slope must be 0 or more, not -0\.1\.",
        ),
        (lambda: cr.ELU(float("nan")), ValueError, r"ELU's alpha must be 0 or more, not nan\."),
        (lambda: cr.Rescale(np.inf), ValueError, r"Rescale's scale must be finite, not inf\."),
        (lambda: cr.Rescale(1, "0"), TypeError, r"Rescale's offset must be a number, not '0'\."),
        (lambda: cr.GELU("erf"), ValueError, r"GELU's approximate must be .* not 'erf'\."),
        (
            lambda: network(dtype="float16"),
            ValueError,
            r"dtype must be float32 or float64, not 'float16'\.",
        ),
        (lambda: network(dtype="single bits"), ValueError, r"dtype must be .* not 'single bits'"),
        (lambda: network(backend="gpu"), ValueError, r"backend must be one of numba, numpy, not"),
        (lambda: network(seed=-1), ValueError, r"seed must be at least 0, not -1\."),
        (lambda: network(seed="lucky"), TypeError, r"seed must be an integer, not 'lucky'\."),
    ],
)
def test_what_cannot_be_built(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_same_seed_same_parameters():
    assert np.array_equal(network(seed=3).params, network(seed=3).params)
    assert not np.array_equal(network(seed=3).params, network(seed=4).params)
    assert not np.array_equal(network(seed=None).params, network(seed=None).params)


def test_both_dtypes_begin_alike():
    assert np.array_equal(network().params, network(dtype="float64").params.astype("float32"))


def test_layers_can_be_shared_between_networks():
    layer = cr.Linear(4, 4)
    net = cr.Sequential(layer, layer, seed=0)
    views = net.parameters()
    assert not np.array_equal(views["0.weight"], views["1.weight"])


def test_a_network_within_a_network_brings_its_parameters():
    inner = cr.Sequential(cr.Linear(4, 8), cr.Tanh(), seed=1)
    net = cr.Sequential(inner, cr.Sequential(cr.Sequential(cr.Linear(8, 3))), seed=0)
    assert list(net.parameters()) == ["0.0.weight", "0.0.bias", "1.0.0.weight", "1.0.0.bias"]
    assert np.array_equal(net.parameters()["0.0.weight"], inner.parameters()["0.weight"])
    inner.params[:] = 0
    assert net.parameters()["0.0.weight"].any()


def test_layers_by_position():
    net = network()
    assert len(net) == 3
    assert net[0] == cr.Linear(4, 8)
    assert net[-1] == cr.Linear(8, 3)
    assert repr(net) == "Sequential(Linear(4, 8), Tanh(), Linear(8, 3))"


def test_a_long_network_is_shown_with_a_layer_on_a_line():
    inner = cr.Parallel(*[cr.Linear(400, 400)] * 4, combine="product")
    net = cr.Sequential(cr.Linear(4, 400), inner, cr.Sequential(cr.Tanh(), cr.Identity()))
    assert repr(net).split("\n") == [
        *("Sequential(", "    Linear(4, 400),", "    Parallel("),
        *["        Linear(400, 400),"] * 4,
        *("        combine='product',", "    ),"),
        *("    Sequential(Tanh(), Identity()),", ")"),
    ]
    assert repr(eval(repr(net), vars(cr))) == repr(net)


# Parameters


def test_parameters_are_views_in_one_vector():
    net = network()
    flat = net.params
    net.parameters()["0.bias"][:] = 7
    assert (flat[32:40] == 7).all()
    flat[:] = 0
    assert not any(view.any() for view in net.parameters().values())
    assert not net.predict(batch(2, 4)).any()


def test_gradients_are_views_in_one_vector():
    net = network()
    out = net.forward(batch(5, 4))
    net.backward(out)
    assert [v.shape for v in net.gradients().values()] == [(4, 8), (8,), (8, 3), (3,)]
    np.testing.assert_allclose(net.gradients()["2.bias"], out.sum(axis=0), rtol=1e-5)
    net.grads[:] = 0
    assert not net.gradients()["0.weight"].any()


def test_assigned_params_are_copied():
    net, source = network(), np.ones(67)
    flat = net.params
    net.params = source
    source[:] = 2
    assert net.params is flat
    assert (flat == 1).all()


def test_assigned_values_are_those_of_parameters_and_buffers():
    net = cr.Sequential(cr.Linear(4, 3), cr.BatchNorm(3), seed=0)
    flat, out = net.values, net.forward(batch(5, 4))
    net.values = np.arange(flat.size)
    assert net.values is flat
    assert net.params[-1] + 1 == net.buffers()["1.running_mean"][0] == net.params.size
    with pytest.raises(RuntimeError, match=r"net\.values = \.\.\. has changed the parameters"):
        net.backward(out)
    for name in ("params", "grads", "values"):
        with pytest.raises(ValueError, match=rf"{name} must have shape \(\d+,\), but"):
            setattr(net, name, np.ones(2))


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_assigned_grads_are_copied_and_used_by_the_next_step(backend):
    net, optimizer = network(backend=backend), cr.SGD(lr=1.0)
    net.backward(net.forward(batch(5, 4)))
    optimizer.step(net)
    flat, before, source = net.grads, net.params.copy(), np.ones(67)
    net.grads = source
    source[:] = 2
    assert net.grads is flat
    assert all((view == 1).all() for view in net.gradients().values())
    optimizer.step(net)
    np.testing.assert_allclose(net.params, before - 1, atol=1e-6)


def test_network_without_parameters():
    net = cr.Sequential(cr.ReLU())
    assert net.params.shape == (0,)
    assert net.parameters() == {}
    out = net.forward([[-1.0, 2.0]])
    assert net.backward(out).tolist() == [[0.0, 2.0]]
    cr.Adam().step(net)
    history = cr.fit(net, [[-1.0]], [1.0], loss=cr.MSELoss(), batch_size=1, progress=False)
    assert history.loss == [1.0] * 10


# Computation


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("rows", [1, 2, 255, 256, 257, 1000])
def test_predict_any_number_of_rows(rows, backend):
    net, X = network(dtype="float64", backend=backend), batch(rows, 4)
    p = net.parameters()
    expected = np.tanh(X @ p["0.weight"] + p["0.bias"]) @ p["2.weight"] + p["2.bias"]
    np.testing.assert_allclose(net.predict(X), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(net.forward(X), expected, rtol=1e-12, atol=1e-14)


def test_linear_works_along_the_last_axis():
    net, X = network(dtype="float64"), batch(6, 5, 2, 4)
    out = net.forward(X)
    assert out.shape == (6, 5, 2, 3)
    np.testing.assert_allclose(out, net.predict(X.reshape(-1, 4)).reshape(out.shape), rtol=1e-12)
    assert net.backward(out).shape == X.shape
    assert cr.gradcheck(net, cr.MSELoss(), X, np.zeros(out.shape)).passed


def test_images_flattened():
    net = cr.Sequential(cr.Flatten(), cr.Linear(3 * 5 * 2, 4), seed=0)
    X = batch(7, 3, 5, 2)
    assert np.array_equal(net.predict(X), net.predict(X.reshape(7, -1)))
    assert net.backward(net.forward(X)).shape == X.shape


@pytest.mark.parametrize(("before", "rows"), [(9, 4), (400, 300), (33, 24), (70, 7)])
@pytest.mark.parametrize(
    "layers",
    [(cr.Linear(4, 3),), (cr.BatchNorm(4), cr.Linear(4, 3)), (cr.LayerNorm(4), cr.PReLU(4))],
    ids=["linear", "batch norm", "layer norm"],
)
def test_a_smaller_batch_after_a_larger_one(layers, before, rows):
    net, fresh = (cr.Sequential(*layers, cr.Tanh(), seed=0) for _ in range(2))
    X = batch(before, 4)
    net.backward(net.forward(X))
    net.values = fresh.values
    out = net.forward(X[:rows])
    dx = net.backward(out)
    assert np.array_equal(out, fresh.forward(X[:rows]))
    assert np.array_equal(dx, fresh.backward(out))
    assert np.array_equal(net.grads, fresh.grads)
    assert np.array_equal(net.values, fresh.values)


def test_training_is_a_flag():
    net = network()
    with pytest.raises(TypeError, match="training must be True or False, not 'no'"):
        net.training = "no"
    assert net.training is True


def test_backward_replaces_the_gradients():
    net, X = network(), batch(5, 4)
    net.grads[:] = np.nan
    out = net.forward(X)
    net.backward(out)
    first = net.grads.copy()
    net.forward(X)
    net.backward(out)
    assert np.array_equal(net.grads, first)


def test_backward_follows_one_forward_once():
    net, X = network(), batch(5, 4)
    message = "backward needs a forward before it, one for each backward"
    with pytest.raises(RuntimeError, match=message):
        net.backward(np.zeros((5, 3)))
    out = net.forward(X)
    net.backward(out)
    with pytest.raises(RuntimeError, match=message):
        net.backward(out)


def average_of(net):
    """Return an average whose own network is ``net``, as it follows another one."""
    average = cr.ExponentialMovingAverage(network(seed=1))
    average.network = net
    return average


CHANGES = {
    "An optimizer's step": lambda net: cr.SGD().step(net),
    "net.params = ...": lambda net: setattr(net, "params", 2 * net.params),
    "fit": lambda net: cr.fit(
        net, batch(8, 4), batch(8, 3), loss=cr.MSELoss(), epochs=1, batch_size=8, progress=False
    ),
    "from_state_dict": lambda net: from_state_dict(
        net, to_state_dict(network(seed=1), framework="numpy")
    ),
    "ExponentialMovingAverage.update": lambda net: average_of(net).update(),
}


def test_a_finished_training_that_is_resumed_brings_other_parameters(tmp_path):
    net, other = network(), network(seed=1)
    options = {"epochs": 1, "checkpoint": tmp_path / "run", "resume": True, "progress": False}
    cr.fit(net, batch(8, 4), batch(8, 3), loss=cr.MSELoss(), **options)
    out = other.forward(batch(5, 4))
    cr.fit(other, batch(8, 4), batch(8, 3), loss=cr.MSELoss(), **options)
    assert np.array_equal(other.params, net.params)
    with pytest.raises(RuntimeError, match="fit has changed the parameters after forward"):
        other.backward(out)


@pytest.mark.parametrize("by", CHANGES)
def test_backward_with_other_parameters_than_forward_is_an_error(by):
    net, X = network(), batch(5, 4)
    out = net.forward(X)
    CHANGES[by](net)
    message = re.escape(f"{by} has changed the parameters after forward")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=message):
            net.backward(out)
    net.forward(X)
    net.backward(out)
    CHANGES[by](net)  # after backward, as always
    with pytest.raises(RuntimeError, match="backward needs a forward before it"):
        net.backward(out)


def test_predict_between_forward_and_backward_disturbs_nothing():
    net, fresh, X = network(), network(), batch(5, 4)
    out = net.forward(X)
    net.predict(batch(300, 4, seed=1))
    assert np.array_equal(net.backward(out), fresh.backward(fresh.forward(X)))


def test_results_belong_to_the_caller():
    net, X = network(), batch(5, 4)
    out = net.forward(X)
    kept = out.copy()
    dx = net.backward(out)
    kept_dx = dx.copy()
    net.backward(net.forward(2 * X))
    assert np.array_equal(out, kept)
    assert np.array_equal(dx, kept_dx)
    out[:] = dx[:] = np.nan
    assert np.isfinite(net.predict(X)).all()


def test_input_is_not_changed():
    X = batch(5, 4).astype("float32")
    kept = X.copy()
    net = cr.Sequential(cr.ReLU(), cr.Softmax())
    net.backward(net.forward(X))
    net.predict(X)
    assert np.array_equal(X, kept)


# Summary and copies


def test_summary():
    text = str(network().summary())
    assert text.splitlines() == [
        "layer            output shape   parameters",
        "0 Linear(4, 8)   (n, 8)         40",
        "1 Tanh()         (n, 8)         0",
        "2 Linear(8, 3)   (n, 3)         27",
        "67 parameters, float32, 0.3 KiB",
    ]


def test_summary_for_the_shape_of_an_input():
    """Multiply-adds are those of a row, in products of a forward pass."""
    net = cr.Sequential(
        *(cr.Conv2d(3, 4, 3, groups=1), cr.ReLU(), cr.ConvTranspose2d(4, 2, 2), cr.Flatten()),
        *(cr.Linear(72, 5), cr.Residual(cr.Linear(5, 5))),
        seed=0,
    )
    summary = net.summary((7, 7, 3))
    counts = {row.layer: row.multiply_adds for row in summary.rows if row.multiply_adds}
    assert list(counts.values()) == [25 * 27 * 4, 25 * 4 * 8, 72 * 5, 25]
    assert summary.multiply_adds == sum(counts.values())
    assert [row.output_shape for row in summary.rows[:4]] == [
        (5, 5, 4),
        (5, 5, 4),
        (6, 6, 2),
        (72,),
    ]
    assert "multiply-adds" in str(summary)
    assert net.summary().multiply_adds is None
    with pytest.raises(ValueError, match=r"Conv2d\(3, 4, 3\) \(layer 0\) expects shape"):
        net.summary((7, 7, 2))
    with pytest.raises(TypeError, match="input_shape must be a tuple such as"):
        net.summary(7)


def test_summary_where_shapes_depend_on_the_input():
    summary = cr.Sequential(cr.Flatten(), cr.ReLU()).summary()
    assert summary.parameters == 0
    assert [row.output_shape for row in summary.rows] == [None, None]
    assert "depends on the input" in str(summary)


@pytest.mark.parametrize("make", [cr.Sequential.copy, copy.deepcopy])
def test_copy_is_independent(make):
    net = network()
    twin = make(net)
    assert np.array_equal(twin.params, net.params)
    twin.params[:] = 0
    assert net.params.any()


def test_copy_of_another_dtype_and_backend():
    twin = network().copy(dtype="float64", backend="numpy")
    assert (twin.dtype, twin.backend) == (np.dtype("float64"), "numpy")
    assert np.array_equal(twin.params, network().params)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_pickle_goes_on_as_the_original(backend):
    net, optimizer, X = network(backend=backend), cr.Adam(), batch(5, 4)
    net.backward(net.forward(X))
    optimizer.step(net)
    twin, its_optimizer = pickle.loads(pickle.dumps((net, optimizer)))
    for n, o in ((net, optimizer), (twin, its_optimizer)):
        n.backward(n.forward(X))
        o.step(n)
    assert its_optimizer.state(twin).step == 2
    assert np.array_equal(twin.params, net.params)
    twin.parameters()["0.weight"][:] = 0
    assert not np.array_equal(twin.predict(X), net.predict(X))


def test_the_backend_is_chosen_once():
    net = cr.Sequential(cr.Linear(3, 2), seed=0, backend="numpy")
    assert net.backend == "numpy"
    with pytest.raises(AttributeError, match="backend"):
        net.backend = "cuda"

"""Layers and activations of one's own, in NumPy and compiled: right, safe, and said so if not."""

import copy
import gc
import pickle
from dataclasses import replace

import numpy as np
import pytest
from numba import njit

import chainrule as cr
from chainrule.elementary import tanh
from chainrule.engine import interpreter
from chainrule.engine.backends import is_compiled
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.layers import Layer
from chainrule.operations import linear
from chainrule.operations.operation import Function

BACKENDS = ["numba", "numpy"]


def batch(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# y = x @ weight + bias, without and with Numba's own decorator, and in NumPy


def forward(x, weight, bias, y):
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = bias[j]
            for k in range(x.shape[1]):
                y[i, j] += x[i, k] * weight[k, j]


@njit
def backward(dy, x, weight, dx, d_weight, d_bias):
    for i in range(x.shape[0]):
        for j in range(dy.shape[1]):
            d_bias[j] += dy[i, j]
            for k in range(x.shape[1]):
                d_weight[k, j] += x[i, k] * dy[i, j]
                dx[i, k] += weight[k, j] * dy[i, j]


def linear_parameters(inputs, outputs):
    layer = cr.Linear(inputs, outputs)
    return layer.parameters()


def compiled_linear(inputs, outputs, backward=backward):
    parameters = linear_parameters(inputs, outputs)
    return cr.CompiledLayer(
        forward, backward, parameters=parameters, output_shape=lambda shape: (outputs,)
    )


class Affine(cr.NumPyLayer):
    def __init__(self, inputs, outputs):
        self.sizes = inputs, outputs

    def parameters(self):
        return linear_parameters(*self.sizes)

    def forward(self, x, weight, bias):
        return x @ weight + bias, (x, weight)

    def backward(self, dy, saved):
        x, weight = saved
        return dy @ weight.T, {"weight": x.T @ dy, "bias": dy.sum(axis=0)}


# Each row divided by its norm, which is saved: a matrix for each row, as an output of other shape.


@njit
def normalize(x, y, saved):
    for i in range(x.shape[0]):
        square = 0.0
        for j in range(x.shape[1]):
            square += x[i, j] ** 2
        saved[i, 0] = np.sqrt(square)
        for j in range(x.shape[1]):
            y[i, j, 0] = x[i, j] / saved[i, 0]


@njit
def normalize_backward(y, saved, dy, dx):
    for i in range(dx.shape[0]):
        inner = 0.0
        for j in range(dx.shape[1]):
            inner += y[i, j, 0] * dy[i, j, 0]
        for j in range(dx.shape[1]):
            dx[i, j] = (dy[i, j, 0] - inner * y[i, j, 0]) / saved[i, 0]


def normalizer():
    return cr.CompiledLayer(
        normalize, normalize_backward, output_shape=lambda shape: (*shape, 1), saved_shape=(1,)
    )


LAYERS = {
    "CompiledLayer": compiled_linear(4, 3),
    "NumPyLayer": Affine(4, 3),
    "saved": normalizer(),
    "f": cr.Activation(lambda x: np.sin(x) / (1 + x**2)),
    "f, df(x)": cr.Activation(lambda x: x**3 - 2 * x, lambda x: 3 * x**2 - 2),
    "f, df(y)": cr.Activation(njit(lambda x: tanh(x)), lambda y: 1 - y * y),
    "f, df(x, y)": cr.Activation(lambda x: x * np.exp(x), njit(lambda x, y: y + np.exp(x))),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_alone(layer, backend):
    net = cr.Sequential(layer, seed=0, dtype="float64", backend=backend)
    x = batch(20, 4)  # more than the rows that one call may be for
    y = batch(*net.predict(x).shape, seed=1)
    assert cr.gradcheck(net, cr.MSELoss(), x, y).error < 1e-6


def test_among_others_an_own_linear_layer_learns_what_the_built_in_one_does():
    nets = [
        cr.Sequential(cr.Linear(6, 4), cr.Tanh(), own, cr.ReLU(), cr.Linear(3, 1), seed=0)
        for own in (cr.Linear(4, 3), compiled_linear(4, 3), Affine(4, 3))
    ]
    for net in nets:
        cr.fit(net, batch(50, 6), batch(50), loss=cr.MSELoss(), batch_size=16, progress=False)
    for net in nets[1:]:
        np.testing.assert_allclose(net.params, nets[0].params, atol=2e-6)
    x = batch(600, 6, seed=1)
    np.testing.assert_allclose(nets[1].predict(x), nets[2].predict(x), atol=2e-6)


class Own(Layer):
    """A layer that is lowered as somebody else says."""

    def __init__(self, lower):
        self._lower = lower

    def lower(self, plan, x):
        return self._lower(plan, x)

    def parameters(self):
        return linear_parameters(4, 4)


def test_where_paths_and_uses_of_a_parameter_meet():
    own = compiled_linear(4, 4)

    def twice_and_around(plan, x):
        once = own.lower(plan, x)
        return plan.apply("add", own.lower(plan, once), plan.apply("multiply", x, once))

    net = cr.Sequential(cr.Linear(3, 4), Own(twice_and_around), seed=0)
    assert cr.gradcheck(net, cr.MSELoss(), batch(5, 3), batch(5, 4)).error < 1e-6


class Centre(cr.NumPyLayer):
    """Takes the mean over the batch away: no parameters, and all rows together."""

    def forward(self, x):
        return x - x.mean(axis=0), x.shape

    def backward(self, dy, shape):
        assert dy.shape == shape
        return dy - dy.mean(axis=0), {}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rows", [1, 8, 9, 40])
@pytest.mark.parametrize("other", [cr.Tanh(), compiled_linear(4, 4), Affine(4, 4)], ids=repr)
def test_a_numpy_layer_gets_the_whole_batch_forward_and_backward(other, rows, backend):
    net = cr.Sequential(cr.Linear(3, 4), Centre(), other, seed=0, dtype="float64", backend=backend)
    x, d_out = batch(rows, 3), batch(rows, 4, seed=1)
    net.forward(x)
    dx = net.backward(d_out)
    step = 1e-6 * batch(*x.shape, seed=2)
    change = net.predict(x + step) - net.predict(x - step)
    np.testing.assert_allclose(np.vdot(dx, step), np.vdot(d_out, change) / 2, rtol=1e-6, atol=1e-14)
    cr.fit(net, x, d_out, loss=cr.MSELoss(), batch_size=min(rows, 32), progress=False)


@pytest.mark.usefixtures("eager_threads")
def test_threads_share_a_compiled_layer_and_leave_one_in_numpy_to_one():
    own = compiled_linear(4, 3)
    net = cr.Sequential(cr.Linear(4, 4), own, cr.Activation(lambda x: tanh(x), lambda y: 1 - y * y))
    x, d_out = batch(61, 4), batch(61, 3, seed=1)
    results = []
    for threads in (1, 2, 5):
        plan = net.make_plan((4,), 61, threads=threads)
        assert plan.threads == (threads if is_compiled("numba") else 1)
        machine = Machine(plan, net.dtype, "numba")
        grads = np.full_like(net.grads, np.nan)
        vectors = machine.vectors(net.params, grads=grads)
        machine.run(Phase.FORWARD, 61, vectors, make_data(net.dtype, x))
        y = machine.rows_at("output", 61).copy()
        machine.rows_at("d_output", 61)[:] = d_out
        machine.run(Phase.BACKWARD, 61, vectors)
        results.append((y, grads))
    np.testing.assert_allclose(results[0][0], net.predict(x), rtol=1e-5)
    for y, grads in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(grads, results[0][1])
    assert cr.Sequential(Affine(4, 3)).make_plan((4,), 61, threads=2).threads == 1


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_the_interpreter_is_not_compiled_again():
    cr.Sequential(cr.Identity()).predict(batch(2, 3))
    before = len(interpreter.run.signatures)
    for inputs, outputs in ((3, 2), (5, 4)):
        net = cr.Sequential(compiled_linear(inputs, outputs), cr.Activation(np_square), seed=0)
        x = batch(6, inputs)
        weight, bias = net.parameters().values()
        np.testing.assert_allclose(net.predict(x), (x @ weight + bias) ** 2, rtol=1e-4, atol=1e-6)
    assert len(interpreter.run.signatures) == before


def np_square(x):
    return x * x


def test_numbers_in_an_activation_have_the_networks_precision():
    scale = 0.1

    def f(x):
        return scale * x + 1 / (3 + x * x)

    layer = cr.Activation(f, lambda x: scale)
    x = np.float32(0.7)
    for backend in BACKENDS:
        y = cr.Sequential(layer, backend=backend).predict([[x]])
        assert y[0, 0] == pytest.approx(f(x), rel=2e-7)
    if not JIT_DISABLED:
        from chainrule.kernels.weak import scalar_function

        compiled = scalar_function(f)
        compiled(x)
        assert str(compiled.nopython_signatures) == "[(float32,) -> float32]"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_complex_step_is_exact_also_in_float32_and_where_it_overflows(backend):
    net = cr.Sequential(cr.Activation(np_tanh), backend=backend)
    net.forward([[-1e4, 0.0, 0.5, 1e4]])
    slopes = net.backward([[1.0, 1.0, 1.0, 1.0]])[0]
    np.testing.assert_allclose(slopes, [0.0, 1.0, 1 - np.tanh(0.5) ** 2, 0.0], rtol=1e-7)


def np_tanh(x):
    return np.tanh(x)


# What is wrong is said, and where


@njit
def wrong_backward(dy, x, weight, dx, d_weight, d_bias):
    backward(dy, x, weight, dx, d_weight, d_bias)
    d_weight /= 2


def test_gradcheck_finds_the_wrong_parameter():
    layers = cr.Linear(4, 4), compiled_linear(4, 3, wrong_backward)
    net = cr.Sequential(*layers, seed=0)
    with pytest.raises(cr.GradientMismatch, match=r"1\.weight .*<-- wrong") as caught:
        cr.gradcheck(net, cr.MSELoss(), batch(5, 4), batch(5, 3))
    wrong = [p.name for p in caught.value.report.parameters if p.error > 1e-6]
    assert wrong == ["1.weight"]


def fail_at_three(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if x[i, j] == 3:
                raise ValueError("three")
            y[i, j] = x[i, j]


@njit
def pass_on(dy, dx):
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = dy[i, j]


def fail_backward(dy, dx):
    if dy.shape[0] > 0:
        raise RuntimeError("no way back")


class Failing(cr.NumPyLayer):
    def forward(self, x):
        fail_at_three(x, np.empty_like(x))
        return x, None

    def backward(self, dy, saved):
        return dy, {}


FAILING = {"compiled": cr.CompiledLayer(fail_at_three, pass_on), "numpy": Failing()}


@pytest.mark.parametrize("layer", FAILING.values(), ids=FAILING)
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_error_in_a_layer_comes_out_with_a_note_and_nothing_has_changed(layer, backend):
    net = cr.Sequential(layer, cr.Linear(1, 1), seed=0, backend=backend)
    x = np.arange(1.0, 9.0)[:, np.newaxis]
    before = net.params.copy()
    options = {"loss": cr.MSELoss(), "epochs": 1, "batch_size": 8, "progress": False}
    for attempt in (
        lambda: net.predict(x),
        lambda: net.forward(x),
        lambda: cr.fit(net, x, x, **options),
    ):
        with pytest.raises(ValueError, match="three") as caught:
            attempt()
        assert "It was raised in the forward of " in caught.value.__notes__[0]
        assert "(layer 0)" in caught.value.__notes__[0]
        assert np.array_equal(net.params, before)
    assert net.predict(x[3:]).shape == (5, 1)  # all is well again
    cr.fit(net, x[4:], x[4:], **options | {"batch_size": 2})


@pytest.mark.usefixtures("eager_threads")
def test_an_error_on_the_way_back_or_in_a_thread():
    net = cr.Sequential(cr.Linear(4, 4), cr.CompiledLayer(pass_on_x, fail_backward), seed=0)
    before = net.params.copy()
    with pytest.raises(RuntimeError, match="no way back"):
        cr.fit(net, batch(8, 4), batch(8, 4), loss=cr.MSELoss(), batch_size=8, progress=False)
    assert np.array_equal(net.params, before)
    data = make_data(net.dtype, batch(61, 4))
    for threads in (2, 5, 5, 5):  # which all fail, maybe at once
        machine = Machine(net.make_plan((4,), 61, threads=threads), net.dtype, "numba")
        vectors = machine.vectors(net.params, grads=net.grads)
        machine.run(Phase.FORWARD, 61, vectors, data)
        with pytest.raises(RuntimeError, match="no way back"):
            machine.run(Phase.BACKWARD, 61, vectors)


def pass_on_x(x, y):
    pass_on(x, y)


class Returns(cr.NumPyLayer):
    """A layer whose functions return what they are told to."""

    def __init__(self, forward, backward=None):
        self.functions = forward, backward

    def parameters(self):
        return {"scale": cr.Parameter((2,), cr.initializers.Constant(1.0))}

    def output_shape(self, input_shape):
        return input_shape

    def forward(self, x, scale):
        return self.functions[0](x)

    def backward(self, dy, saved):
        return self.functions[1](dy)


@pytest.mark.parametrize(
    ("forward", "error", "message"),
    [
        (lambda x: x, TypeError, r"must return a pair, `return y, saved`, not a ndarray"),
        (lambda x: (x[:, 0], 0), ValueError, r"wrong y: its shape must be \(3, 2\), but is \(3,\)"),
        (lambda x: (x + 1j, 0), TypeError, r"wrong y: y must hold real numbers"),
        (lambda x: (x / (x - x[1, 1]), 0), ValueError, r"wrong y: y must be finite, but y\[1, 1\]"),
        (lambda x: (x.astype(float) * 1e300, 0), ValueError, r"does not fit into float32"),
    ],
    ids=["no pair", "shape", "dtype", "not finite", "too large"],
)
def test_what_forward_must_not_return(forward, error, message):
    net = cr.Sequential(Returns(forward), seed=0)
    with np.errstate(all="ignore"), pytest.raises(error, match=message) as caught:
        net.predict(np.arange(1.0, 7.0).reshape(3, 2))
    assert str(caught.value).startswith("The forward of Returns (layer 0) ")


@pytest.mark.parametrize(
    ("backward", "error", "message"),
    [
        (lambda dy: dy, TypeError, r"must return a pair, `return dx, gradients`"),
        (lambda dy: (dy, dy.sum(axis=0)), TypeError, r"with scale; it returned a ndarray"),
        (lambda dy: (dy, {"scole": 1}), TypeError, r"with scale; it returned one with scole"),
        (lambda dy: (dy, {"scale": dy}), ValueError, r"wrong gradient of scale: its shape must be"),
        (lambda dy: (dy[0], {"scale": dy.sum(axis=0)}), ValueError, r"wrong dx: its shape"),
        (lambda dy: (dy, {"scale": [np.nan, 0]}), ValueError, r"gradient of scale must be finite"),
    ],
    ids=["no pair", "no dict", "name", "shape", "shape of dx", "not finite"],
)
def test_what_backward_must_not_return(backward, error, message):
    net = cr.Sequential(cr.Linear(2, 2), Returns(lambda x: (x, None), backward), seed=0)
    net.forward(batch(3, 2))
    with pytest.raises(error, match=message) as caught:
        net.backward(batch(3, 2))
    assert str(caught.value).startswith("The backward of Returns (layer 1) ")


def test_numbers_that_have_diverged_before_are_no_fault_of_the_layer():
    net = cr.Sequential(cr.Linear(1, 1), Failing(), cr.Linear(1, 1), seed=0)
    net.params = np.full(4, 1e38)
    x = np.ones((4, 1))
    with pytest.raises(cr.NonFiniteError, match=r"Linear \(layer 0\)"):
        cr.fit(net, 100 * x, x, loss=cr.MSELoss(), batch_size=4, progress=False)


def test_what_a_numpy_layer_gets_is_its_own():
    seen = []

    class Keeps(cr.NumPyLayer):
        def forward(self, x):
            seen.append(x)
            x += 1  # changes nobody else's
            return x, x

        def backward(self, dy, saved):
            return dy, {}

    net = cr.Sequential(cr.Linear(2, 2), Keeps(), seed=0)
    x = batch(3, 2)
    y = net.forward(x)
    before = seen[-1].copy()
    assert np.array_equal(y, before)
    net.forward(10 * x)
    assert np.array_equal(seen[-2], before)


def test_shapes_are_found_with_zeros_and_named_if_wrong():
    net = cr.Sequential(Affine(4, 3))
    assert net.output_shape((4,)) == (3,)
    with pytest.raises(ValueError, match=r"Affine\(\) \(layer 0\) cannot take it \(.*shape \(n, 5"):
        net.predict(batch(2, 5))

    class Sum(Affine):
        def forward(self, x, weight, bias):
            return x.sum(), None

    with pytest.raises(TypeError, match="a row for each row of x"):
        cr.Sequential(Sum(4, 3)).predict(batch(2, 4))

    class Other(Affine):
        def forward(self, x, w, b):
            return x @ w + b, None

    with pytest.raises(
        TypeError, match=r"must take \(self, x, weight, bias\).*not \(self, x, w, b"
    ):
        Other(4, 3).lower(cr.Sequential(cr.Identity()).lower((4,))[0], None)


@pytest.mark.parametrize(
    ("functions", "options", "error", "message"),
    [
        ((1, pass_on), {}, TypeError, "forward must be a function, not 1"),
        ((pass_on_x, lambda dz, dx: 0), {}, TypeError, "backward takes 'dz', but there is only dy"),
        ((lambda x: 0, pass_on), {}, TypeError, "forward must take 'y', an array for it to write"),
        ((lambda *x: 0, pass_on), {}, TypeError, "without a star"),
        (
            (pass_on_x, pass_on),
            {"parameters": {"w": cr.Parameter((2,), cr.initializers.Zeros())}},
            TypeError,
            "backward must take 'd_w'",
        ),
        ((pass_on_x, pass_on), {"parameters": {"w": 2}}, TypeError, "must be a cr.Parameter"),
        ((pass_on_x, pass_on), {"parameters": [2]}, TypeError, "must be a dict"),
        ((pass_on_x, pass_on), {"parameters": {"dy": 2}}, ValueError, "stands for something else"),
        ((pass_on_x, pass_on), {"parameters": {"1": 2}}, ValueError, "no name of an argument"),
    ],
)
def test_wrong_functions_and_parameters(functions, options, error, message):
    with pytest.raises(error, match=message):
        cr.CompiledLayer(*functions, **options)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, cr.initializers.Zeros()), TypeError, "must be a tuple such as"),
        (((3, -1), cr.initializers.Zeros()), ValueError, "must be at least 0, not -1"),
        (((3,), "zeros"), TypeError, "must be one such as"),
    ],
)
def test_wrong_parameters(arguments, error, message):
    with pytest.raises(error, match=message):
        cr.Parameter(*arguments)


@pytest.mark.parametrize("shape", [3, (-1,), "ab", (3.0,), (True,)])
def test_wrong_shapes(shape):
    for name in ("output_shape", "saved_shape"):
        message = f"CompiledLayer's {name} must be a shape without the batch"
        with pytest.raises(ValueError, match=message):
            cr.CompiledLayer(pass_on_x, pass_on, **{name: shape})
    rule = cr.CompiledLayer(pass_on_x, pass_on, output_shape=lambda _: shape)
    functions = {"output_shape": lambda self, _: shape, "forward": lambda self, x: (x, None)}
    own = type("Own", (cr.NumPyLayer,), functions)
    for layer in (rule, own()):
        with pytest.raises(ValueError, match=r"\(layer 0\): its output_shape must be a shape"):
            cr.Sequential(layer).predict(batch(2, 3))


def test_linear_must_be_a_flag():
    with pytest.raises(TypeError, match="CompiledLayer's linear must be True or False, not 'no'"):
        cr.CompiledLayer(pass_on_x, pass_on, linear="no")
    own = type("Own", (cr.NumPyLayer,), {"forward": lambda self, x: (x, None), "linear": "no"})
    with pytest.raises(TypeError, match="Own's linear must be True or False, not 'no'"):
        cr.Sequential(own())


@pytest.mark.parametrize(
    ("functions", "error", "message"),
    [
        ((np.sin,), TypeError, "must be a Python function"),
        ((lambda x, y: x,), TypeError, "a function of one number, but takes 2"),
        ((lambda x: x, lambda x, y, z: x), TypeError, "one number, or of two, but takes 3"),
        ((lambda x: abs(x),), ValueError, "is not analytic"),
        ((lambda x: x if x > 0 else 0 * x,), ValueError, "takes no complex number"),
    ],
)
def test_wrong_functions_of_one_number(functions, error, message):
    with pytest.raises(error, match=message):
        cr.Activation(*functions)


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_what_numba_cannot_compile_is_named():
    net = cr.Sequential(cr.Activation(lambda x: len(x), lambda x: x))
    with pytest.raises(Exception, match="len") as caught:
        net.predict(batch(2, 3))
    assert any("could not compile the forward of Activation" in n for n in caught.value.__notes__)


# The rest of the package


def test_copies_and_pickles():
    layers = compiled_linear(4, 3), Affine(3, 3), cr.Activation(np_square, np_square)
    net = cr.Sequential(*layers, seed=0)
    x = batch(3, 4)
    y = net.predict(x)
    for twin in (net.copy(), copy.deepcopy(net), net.copy(backend="numpy")):
        np.testing.assert_allclose(twin.predict(x), y, rtol=1e-5)
    # Functions are pickled by reference: those of a module that can be imported, as everywhere.
    compiled, again = layers[2], pickle.loads(pickle.dumps(layers[2]))
    assert again == compiled


def test_no_own_layer_is_saved(tmp_path):
    for layer in (compiled_linear(4, 3), Affine(4, 3), cr.Activation(np_square)):
        with pytest.raises(ValueError, match="only chainrule's own layers"):
            cr.Sequential(layer).save(tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_explain_shows_custom_layers():
    net = cr.Sequential(
        cr.Linear(3, 4), cr.Activation(np_square), Affine(4, 3), compiled_linear(3, 2), seed=0
    )
    chain = cr.explain(net, cr.MSELoss(), batch(2, 3), batch(2, 2))
    assert "Affine()" in str(chain)
    for name in ("W1", "W2", "b3"):
        assert "differ by at most" in str(chain.compress(name))
        path = chain.path(name)
        np.testing.assert_allclose(
            path.gradient,
            chain.gradients[path.name].reshape(path.gradient.shape),
            rtol=1e-4,
            atol=1e-6,
        )


@pytest.mark.parametrize("backend", [b for b in BACKENDS if not is_compiled(b)])
def test_arrays_that_a_compiled_layer_keeps_keep_their_memory(backend):
    kept = []  # what compiled code could not do

    def keep(x, weight, y):
        kept.extend([x, weight, y])
        y[:] = x * weight

    def backward(dy, x, y, weight, dx, d_weight):  # what it reads is there until then
        kept.extend([dy, d_weight])

    weight = cr.Parameter((3,), cr.initializers.Constant(2.0))
    layer = cr.CompiledLayer(keep, backward, parameters={"weight": weight})
    net = cr.Sequential(layer, backend=backend)
    x = batch(5, 3).astype(np.float32)
    net.forward(x)
    net.backward(x)
    del net
    gc.collect()
    for array, expected in zip(kept, [x, np.full(3, 2), 2 * x, x], strict=False):
        owner = array
        while owner.base is not None:
            owner = owner.base
        assert isinstance(owner, np.ndarray)
        assert owner.flags.owndata
        assert np.array_equal(array, expected)


def test_dataclasses_can_be_layers():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Times(cr.NumPyLayer):
        factor: float = 2.0

        def forward(self, x):
            return self.factor * x, None

        def backward(self, dy, saved):
            return self.factor * dy, {}

    assert Times(3.0) == Times(3.0) != Times(2.0)
    assert repr(Times(3.0)).endswith("Times(factor=3.0)")
    net = cr.Sequential(Times(3.0, name="T"), seed=0)
    assert cr.gradcheck(net, cr.MSELoss(), batch(2, 3), batch(2, 3)).passed
    assert Affine(2, 2) != Affine(2, 2)


def test_a_power_that_numba_computes_by_an_angle_is_refused():
    net = cr.Sequential(cr.Activation(lambda x: x**3), dtype="float64")
    x = np.array([[-2.0, 0.5]])
    if JIT_DISABLED:
        net.forward(x)
        np.testing.assert_allclose(net.backward(np.ones((1, 2))), 3 * x**2, rtol=1e-14)
        return
    with pytest.raises(ValueError, match=r"written as x \* x \* x"):
        net.forward(x)


def test_jacobian_by_x_walks_back_through_a_layer_without_a_tangent():
    class Square(cr.NumPyLayer):
        def forward(self, x):
            return x**2, x

        def backward(self, dy, x):
            return 2 * dy * x, {}

    x = np.random.default_rng(0).normal(size=(4, 3))
    found = cr.jacobian(cr.Sequential(Square(), dtype="float64"), x, "x")
    np.testing.assert_allclose(found, 2 * x[:, :, np.newaxis] * np.eye(3), rtol=1e-14)


def by_input_and_bias(dy, weight, dx, d_bias):
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            d_bias[j] += dy[i, j]
            for k in range(dx.shape[1]):
                dx[i, k] += dy[i, j] * weight[k, j]


def lower_mixed(plan, x):
    """Append a linear step whose weight's gradient has a function, and whose bias's is summed."""
    both = Function(by_input_and_bias, ("dy", "weight", "dx", "d_bias"), "both", adds_up=True)
    gradients = {"weight": linear.OPERATION.gradients["weight"]}
    operation = replace(linear.OPERATION, backward={"x": both}, gradients=gradients)
    uses = {name: plan.parameter(name, p.shape) for name, p in linear_parameters(4, 4).items()}
    return plan.apply(operation, x, parameters=uses)


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_one_step_may_be_computed_in_both_ways(backend):
    layers = [(cr.Linear(3, 4), layer, cr.Tanh()) for layer in (Own(lower_mixed), cr.Linear(4, 4))]
    net, expected = (
        cr.Sequential(*some, seed=0, dtype="float64", backend=backend) for some in layers
    )
    x, y, found = batch(300, 3), batch(300, 4, seed=1), []
    for threads in (1, 2, 5):
        with cr.threads(threads):
            found.append(cr.value_and_grad(net, cr.MSELoss())(net.params, x, y)[1])
        np.testing.assert_array_equal(found[-1], found[0])
    gradient = cr.value_and_grad(expected, cr.MSELoss())(net.params, x, y)[1]
    np.testing.assert_allclose(found[0], gradient, rtol=1e-10)
    rows = cr.per_sample_grad(net, cr.MSELoss(), x[:9], y[:9])
    of_expected = cr.per_sample_grad(expected, cr.MSELoss(), x[:9], y[:9])
    np.testing.assert_allclose(rows, of_expected, rtol=1e-10, atol=1e-14)


def test_a_parameter_without_a_gradient_is_named():
    def lower(plan, x):
        operation = replace(linear.OPERATION, gradients={})
        uses = {name: plan.parameter(name, p.shape) for name, p in linear_parameters(4, 4).items()}
        return plan.apply(operation, x, parameters=uses)

    with pytest.raises(ValueError, match="linear has no gradient by its 'weight'"):
        cr.Sequential(Own(lower)).make_plan((4,), 5)


# Names of parameters that functions of the package's own operations take as something else
NAMES_OF_OTHERS = ["adds", "begin", "bias", "mask_key", "number", "other", "position", "scratch"]

SCALE = """
def forward(x, {name}, y):
    y[:] = x * {name}
def backward(dy, x, {name}, dx, d_{name}):
    dx[:] = dy * {name}
    d_{name}[:] = (dy * x).sum(axis=0)
"""


@pytest.mark.parametrize("name", [*NAMES_OF_OTHERS, "temporary"])
def test_a_parameter_may_have_any_name(name):
    functions = {}
    exec(SCALE.format(name=name), functions)
    parameters = {name: cr.Parameter((3,), cr.initializers.Normal())}
    layer = cr.CompiledLayer(functions["forward"], functions["backward"], parameters=parameters)
    # Its gradient by x is added to that of the other path.
    layers = cr.Linear(3, 3), cr.Residual(layer)
    net = cr.Sequential(*layers, seed=0, dtype="float64", backend="numpy")
    assert cr.gradcheck(net, cr.MSELoss(), batch(5, 3), batch(5, 3, seed=1)).passed
    assert not net.make_plan((3,), 5, training=True).draws_masks


def test_backward_reads_nothing_that_forward_has_not_saved():
    def forward(x, y): ...
    def backward(dy, saved, dx): ...

    with pytest.raises(TypeError, match="backward takes 'saved', but there is only dy, x, y, dx"):
        cr.CompiledLayer(forward, backward, saved_shape=(2,))

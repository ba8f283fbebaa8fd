"""Derivatives agree with each other, for every kind of network, batch and backend."""

import gc

import numpy as np
import pytest

import chainrule as cr
from chainrule.autodiff import inputs, machines, products
from chainrule.autodiff.sample_gradients import SampleGradients
from chainrule.kernels.jit import JIT_DISABLED

ROWS, WIDTH = 7, 3
PAIR = ("params", "x")


def two_outputs():
    heads = cr.Branch(cr.Linear(4, 3), cr.Sequential(cr.Linear(4, 2), cr.GELU()), cr.Identity())
    loss = cr.MultiLoss(
        cr.CrossEntropyLoss(), cr.HuberLoss(0.3), cr.MSELoss(), weights=(1.0, 0.5, 2.0)
    )
    return [cr.Linear(WIDTH, 4), cr.Sigmoid(), heads], loss


def graphs():
    step = cr.Shared(cr.Linear(4, 4), cr.Tanh())
    branches = cr.Linear(4, 4), cr.Sequential(cr.Linear(4, 4), cr.SiLU())
    gate = cr.Parallel(*branches, combine="product")
    side_by_side = cr.Parallel(cr.Linear(4, 2), cr.Softmax(), combine="concatenate")
    return {
        "chain": ([cr.Linear(WIDTH, 4), cr.Tanh(), cr.Linear(4, 2)], cr.MSELoss()),
        "residual": ([cr.Linear(WIDTH, 4), cr.Residual(cr.Tanh(), cr.Linear(4, 4))], cr.MSELoss()),
        "shared": ([cr.Linear(WIDTH, 4), step, step, step], cr.MSELoss()),
        "gate": ([cr.Linear(WIDTH, 4), gate], cr.BCEWithLogitsLoss()),
        "side by side": ([cr.Linear(WIDTH, 4), side_by_side], cr.HuberLoss(0.5)),
        "outputs": two_outputs(),
        "no parameters": ([cr.Softplus()], cr.MSELoss()),
        "nothing": ([cr.Identity()], cr.MSELoss()),
    }


NETWORKS = graphs()
every_network = pytest.mark.parametrize("kind", NETWORKS)


def one_or_tuple(values):
    return values[0] if len(values) == 1 else tuple(values)


class Problem:
    def __init__(self, kind, rows=ROWS, dtype="float64", backend="numba"):
        layers, self.loss = NETWORKS[kind]
        rng = np.random.default_rng(3)
        self.net = cr.Sequential(*layers, seed=1, dtype=dtype, backend=backend)
        self.x, self.u = rng.normal(size=(2, rows, WIDTH))
        self.v = rng.normal(size=self.net.params.size)
        self.outputs = self.net.output_shapes((WIDTH,))
        losses = self.loss.losses if isinstance(self.loss, cr.MultiLoss) else [self.loss]
        targets = [
            rng.integers(0, shape[-1], rows)
            if loss.takes_labels
            else rng.uniform(size=(rows, *shape))
            for loss, shape in zip(losses, self.outputs, strict=True)
        ]
        self.y = one_or_tuple(targets)
        self.d_output = one_or_tuple([rng.normal(size=(rows, *shape)) for shape in self.outputs])
        self.weights = rng.uniform(0.5, 2, rows)

    @property
    def data(self):
        return self.net, self.loss, self.x, self.y


def as_list(outputs):
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


@every_network
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_first_derivatives_agree(kind, backend):
    p = Problem(kind, backend=backend)
    value, (d_params, d_x) = cr.value_and_grad(p.net, p.loss, PAIR)(p.net.params, p.x, p.y)
    output, pullback = cr.vjp(p.net, p.x)
    expected, d_output = p.loss(output, p.y)
    assert value == pytest.approx(expected, rel=1e-13)
    for mine, theirs in zip(pullback(d_output), (d_params, d_x), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-14)

    by_params, by_x = (as_list(cr.jacobian(p.net, p.x, wrt)) for wrt in PAIR)
    _, along = cr.jvp(p.net, p.x, (p.v, p.u), PAIR)
    found = zip(as_list(along), by_params, by_x, strict=True)
    for d_output, of_params, of_x in found:
        moved = of_params @ p.v + np.einsum("noi,ni->no", of_x, p.u)
        np.testing.assert_allclose(d_output, moved, rtol=1e-12, atol=1e-13)
    back = zip(as_list(p.d_output), by_params, strict=True)
    expected = sum(np.einsum("no,nop->p", d, jacobian) for d, jacobian in back)
    np.testing.assert_allclose(pullback(p.d_output)[0], expected, rtol=1e-11, atol=1e-13)


@every_network
def test_second_derivatives_by_differences(kind):
    p = Problem(kind)
    assert cr.gradgradcheck(*p.data, sample_weight=p.weights).error < 1e-6


@every_network
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_samples_one_by_one(kind, backend):
    p = Problem(kind, backend=backend)
    evaluate = cr.value_and_grad(p.net, p.loss)
    rows = []
    for i in range(ROWS):
        x, *y = (array[i : i + 1] for array in (p.x, *as_list(p.y)))
        rows.append(evaluate(p.net.params, x, one_or_tuple(y))[1])
    np.testing.assert_allclose(cr.per_sample_grad(*p.data), rows, rtol=1e-11, atol=1e-13)
    norms = np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(cr.per_sample_norms(*p.data), norms, rtol=1e-11)
    bound = np.median(norms) or 1.0
    clipped, _ = cr.clipped_grad(*p.data, bound)
    scales = np.minimum(1, bound / np.maximum(norms, bound))
    expected = scales @ np.stack(rows)
    np.testing.assert_allclose(clipped, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", ["shared", "outputs"])
def test_samples_where_only_the_sum_is_known(kind, monkeypatch):
    """As it is for a layer of one's own: batches of one."""
    p = Problem(kind)
    expected = cr.per_sample_grad(*p.data), cr.per_sample_norms(*p.data), cr.jacobian(p.net, p.x)
    never = property(lambda self: False, lambda self, value: None)
    monkeypatch.setattr(SampleGradients, "_by_rule", never, raising=False)
    found = cr.per_sample_grad(*p.data), cr.per_sample_norms(*p.data), cr.jacobian(p.net, p.x)
    for mine, exact in zip(found, expected, strict=True):
        for one, other in zip(as_list(mine), as_list(exact), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def everything(p):
    """All results, by name, as flat lists of arrays."""
    evaluate = cr.value_and_grad(p.net, p.loss, PAIR)
    value, gradients = evaluate(p.net.params, p.x, p.y, p.weights)
    weighted = {"sample_weight": p.weights}
    results = {
        "value": [value],
        "gradients": gradients,
        "jvp": [out for part in cr.jvp(p.net, p.x, (p.v, p.u), PAIR) for out in as_list(part)],
        "hvp": cr.hvp(*p.data, (p.v, p.u), PAIR, **weighted),
        "gauss_newton": [cr.gauss_newton_vp(*p.data, p.v, **weighted)],
        "fisher": [cr.fisher_vp(p.net, p.loss, p.x, p.v, **weighted)],
        "jacobian": as_list(cr.jacobian(p.net, p.x)) + as_list(cr.jacobian(p.net, p.x, "x")),
        "samples": [cr.per_sample_grad(*p.data), cr.per_sample_norms(*p.data)],
        "clipped": cr.clipped_grad(*p.data, 0.1),
    }
    if len(p.outputs) == 1:
        results["by x"] = [cr.hessian_x(p.net, p.x), cr.laplacian(p.net, p.x)]
    return results


@pytest.mark.parametrize("kind", ["chain", "outputs"])
def test_many_rows_go_through_block_by_block(kind, monkeypatch):
    expected = everything(Problem(kind))
    monkeypatch.setattr(machines, "MOST_ROWS", 3)
    for name, results in everything(Problem(kind)).items():
        for mine, whole in zip(results, expected[name], strict=True):
            np.testing.assert_allclose(mine, whole, rtol=1e-10, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("kind", ["chain", "shared", "outputs"])
def test_what_is_in_a_machine_s_memory_does_not_matter(kind, monkeypatch):
    expected = everything(Problem(kind))
    take = machines.take

    def take_poisoned(*args, **kwargs):
        key, machine = take(*args, **kwargs)
        machine.arena[:] = np.nan
        return key, machine

    for module in (machines, products, inputs):
        monkeypatch.setattr(module, "take", take_poisoned)
    for name, results in everything(Problem(kind)).items():
        for mine, clean in zip(results, expected[name], strict=True):
            np.testing.assert_array_equal(mine, clean, err_msg=name)


@pytest.mark.parametrize("kind", ["chain", "shared"])
def test_single_precision(kind):
    expected = everything(Problem(kind))
    for name, results in everything(Problem(kind, dtype="float32")).items():
        for mine, exact in zip(results, expected[name], strict=True):
            assert name == "value" or mine.dtype == np.float32
            scale = np.abs(exact).max()
            np.testing.assert_allclose(mine, exact, rtol=1e-3, atol=1e-5 * scale, err_msg=name)


@pytest.mark.skipif(JIT_DISABLED, reason="plain Python uses one thread")
def test_threads_change_no_bit():
    layers = [layer for _ in range(4) for layer in (cr.Linear(128, 128), cr.Tanh())]
    net = cr.Sequential(*layers, seed=0)
    x, y = np.random.default_rng(0).normal(size=(2, 256, 128)).astype("f")
    results = []
    for threads in (1, 2):
        with cr.threads(threads):
            gradient = cr.value_and_grad(net, cr.MSELoss())(net.params, x, y)[1]
            product = cr.hvp(net, cr.MSELoss(), x, y, net.params)
            samples = cr.per_sample_grad(net, cr.MSELoss(), x, y)
            results.append((gradient, product, samples[::50]))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_it_works_where_nothing_is_finite():
    net = cr.Sequential(cr.Linear(1, 1), dtype="float64", seed=0)
    value, gradient = cr.value_and_grad(net, cr.MSELoss())([1e200, 0.0], [[1e200]], [[0.0]])
    assert value == np.inf
    assert not np.isfinite(gradient).any()


def test_the_network_and_the_arguments_stay_as_they_are():
    p = Problem("chain")
    arrays = p.net.params, p.net.grads, p.x, p.y, p.v, p.u
    before = [array.copy() for array in arrays]
    for array in (p.x, p.y, p.v, p.u):
        array.flags.writeable = False
    everything(p)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_pullbacks_have_machines_of_their_own_and_give_them_back():
    p = Problem("chain")
    pullbacks = [cr.vjp(p.net, factor * p.x) for factor in (1.0, 2.0)]
    expected = [pullback(output) for output, pullback in pullbacks]
    again = [pullback(output) for output, pullback in pullbacks]
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert abs(expected[0][0] - expected[1][0]).max() > 0.1
    pool = p.net.machines._machines
    assert not pool
    del pullbacks
    gc.collect()
    assert len(pool) == 1  # both have the same key


def test_parameters_are_read_in_place(monkeypatch):
    p, seen = Problem("chain"), []
    vectors = machines.Machine.vectors
    monkeypatch.setattr(
        machines.Machine,
        "vectors",
        lambda *args, **kw: seen.append(args[1]) or vectors(*args, **kw),
    )
    theta = p.net.params.copy()
    cr.value_and_grad(p.net, p.loss)(theta, p.x, p.y)
    assert [params is theta for params in seen] == [True]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_input_derivatives_and_their_way_back(backend):
    layers = [cr.Linear(2, 5), cr.Softplus(), cr.Linear(5, 4), cr.Tanh(), cr.Linear(4, 2)]
    net = cr.Sequential(*layers, seed=2, dtype="float64", backend=backend)
    rng = np.random.default_rng(0)
    x, chosen = rng.normal(size=(6, 2)), [(0, 1), (), (1,), (1, 1)]
    values, pullback = cr.input_derivatives(net, x, chosen)
    jacobian, hessian = cr.jacobian(net, x, "x"), cr.hessian_x(net, x)
    expected = [hessian[..., 0, 1], net.predict(x), jacobian[..., 1], hessian[..., 1, 1]]
    for mine, exact in zip(values, expected, strict=True):
        np.testing.assert_allclose(mine, exact, rtol=1e-11, atol=1e-13)
    gradients = list(rng.normal(size=(4, *values[0].shape)))

    def weighted_sum(params):
        parts, _ = cr.input_derivatives(net, x, chosen, params=params)
        return sum((g * part).sum() for g, part in zip(gradients, parts, strict=True))

    d_params, _ = pullback(gradients)
    cr.gradcheck(weighted_sum, lambda _: d_params, net.params)
    gradients[0] *= 0  # as None is
    cr.gradcheck(weighted_sum, lambda _: pullback([None, *gradients[1:]])[0], net.params)

    def of_x(points):
        parts, _ = cr.input_derivatives(net, points, chosen)
        return sum((g * part).sum() for g, part in zip(gradients, parts, strict=True))

    cr.gradcheck(of_x, lambda _: pullback(gradients)[1], x)


def test_of_a_line_all_second_derivatives_are_zero():
    net = cr.Sequential(cr.Linear(2, 1), dtype="float64", seed=0)
    (second, first), pullback = cr.input_derivatives(net, np.ones((3, 2)), [(0, 1), (1,)])
    assert not second.any()
    np.testing.assert_allclose(first, net.parameters()["0.weight"][1, 0])
    np.testing.assert_allclose(pullback([second + 1, first * 0 + 1])[0], [0, 3, 0])


def test_input_gradient_is_the_only_output_s():
    net = cr.Sequential(cr.Linear(2, 4), cr.Tanh(), cr.Linear(4, 1), seed=0, dtype="float64")
    x = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(net.input_gradient(x), cr.jacobian(net, x, "x")[:, 0], rtol=1e-12)


def test_gradgradcheck_finds_a_wrong_product():
    assert cr.gradgradcheck(lambda x: x**2, lambda x, v: 2 * x * v, [1.0, -2.0]).passed
    with pytest.raises(cr.GradientMismatch, match=r"Second derivative check FAILED"):
        cr.gradgradcheck(lambda x: x**2, lambda x, v: 2 * x * v + [0, 1e-3], [1.0, -2.0])


def test_gradgradcheck_leaves_kinks_out():
    report = cr.gradgradcheck(lambda x: 1.0 * (x > 0), lambda x, v: 0 * x, [0.0, 1.0])
    assert report.passed
    assert report.parameters[0].kinks == 1


class Scaled(cr.NumPyLayer):
    """A layer of one's own: each column times a parameter, squared."""

    def parameters(self):
        return {"scale": cr.Parameter((4,), cr.initializers.Constant(1.5))}

    def forward(self, x, scale):
        return (x * scale) ** 2, (x, scale)

    def backward(self, dy, saved):
        x, scale = saved
        return 2 * dy * x * scale**2, {"scale": (2 * dy * x**2 * scale).sum(axis=0)}


def own():
    layers = cr.Linear(WIDTH, 4), Scaled(), cr.Activation(lambda x: x * x, lambda x: 2.0 * x)
    net = cr.Sequential(*layers, cr.Linear(4, 2), seed=0, dtype="float64")
    return net, cr.MSELoss(), *np.random.default_rng(0).normal(size=(2, ROWS, WIDTH))


def test_a_layer_of_ones_own_has_first_derivatives():
    net, loss, x, y = own()
    y = y[:, :2]
    evaluate = cr.value_and_grad(net, loss)
    rows = [evaluate(net.params, x[i : i + 1], y[i : i + 1])[1] for i in range(ROWS)]
    np.testing.assert_allclose(cr.per_sample_grad(net, loss, x, y), rows, rtol=1e-11, atol=1e-13)
    norms = np.linalg.norm(rows, axis=1)
    gradient, found = cr.clipped_grad(net, loss, x, y, np.median(norms))
    np.testing.assert_allclose(found, norms, rtol=1e-11)
    clipped = np.minimum(1, np.median(norms) / norms) @ np.stack(rows)
    np.testing.assert_allclose(gradient, clipped, rtol=1e-10)

    output, pullback = cr.vjp(net, x)
    jacobian = cr.jacobian(net, x)
    for d_output in (output, 2 * output):
        expected = np.einsum("no,nop->p", d_output, jacobian)
        np.testing.assert_allclose(pullback(d_output)[0], expected, rtol=1e-11)


def test_a_layer_without_a_tangent_has_no_second_derivatives():
    net, loss, x, y = own()
    with pytest.raises(NotImplementedError, match=r"Scaled \(layer 1\) has no tangent"):
        cr.jvp(net, x, net.params)
    with pytest.raises(NotImplementedError, match="has no tangent"):
        cr.hvp(net, loss, x, y[:, :2], net.params)


def squares(output, target, losses, d_output):
    for i in range(output.shape[0]):
        error = output[i, 0] - target[i, 0]
        losses[i], d_output[i, 0] = error * error, 2.0 * error


def test_a_loss_of_ones_own_has_its_gradient_only():
    net = cr.Sequential(cr.Linear(WIDTH, 1), seed=0, dtype="float64")
    x, y, loss = X, np.ones((4, 1)), cr.CompiledLoss(squares)
    expected = cr.per_sample_grad(net, cr.MSELoss(), x, y)
    np.testing.assert_allclose(cr.per_sample_grad(net, loss, x, y), expected, rtol=1e-12)
    for function in (cr.hvp, cr.gauss_newton_vp):
        with pytest.raises(NotImplementedError, match="second derivative of a custom loss"):
            function(net, loss, x, y, net.params)


NET = Problem("chain").net
X, Y, V = np.ones((4, WIDTH)), np.ones((4, 2)), np.ones(NET.params.size)
MSE = cr.MSELoss()
BAD = {
    "no network": (lambda: cr.vjp(3, X), TypeError, "net must be a Sequential, not 3"),
    "no loss": (lambda: cr.value_and_grad(NET, "mse"), TypeError, "loss must be a loss"),
    "wrt": (lambda: cr.value_and_grad(NET, MSE, "w"), ValueError, 'wrt must be "params", "x"'),
    "wrt twice": (lambda: cr.value_and_grad(NET, MSE, ("x", "x")), ValueError, "wrt must be"),
    "params": (
        lambda: cr.value_and_grad(NET, MSE)(V[1:], X, Y),
        ValueError,
        r"params must have shape \(26,\), one number a parameter, but its shape is \(25,\)",
    ),
    "NaN in params": (
        lambda: cr.value_and_grad(NET, MSE)(np.nan * V, X, Y),
        ValueError,
        r"params must be finite, but params\[0\] is nan",
    ),
    "x": (lambda: cr.vjp(NET, X[:, 1:]), ValueError, "expects 3 input features, but x has shape"),
    "y": (lambda: cr.hvp(NET, MSE, X, Y[1:], V), ValueError, "y must have the shape of the output"),
    "vector": (lambda: cr.hvp(NET, MSE, X, Y, V[1:]), ValueError, r"vector must have .*26"),
    "vector is None": (lambda: cr.hvp(NET, MSE, X, Y, None), TypeError, "vector must be an array"),
    "vector of x": (
        lambda: cr.hvp(NET, MSE, X, Y, X[1:], "x"),
        ValueError,
        r"vector must have shape \(4, 3\), but its shape is \(3, 3\)",
    ),
    "one of two": (
        lambda: cr.jvp(NET, X, (V, X[1:]), PAIR),
        ValueError,
        r"tangent\[1\] must have shape \(4, 3\)",
    ),
    "not two": (lambda: cr.jvp(NET, X, V, PAIR), ValueError, "tangent must be a tuple of 2 arrays"),
    "d_output": (
        lambda: cr.vjp(NET, X)[1](Y[1:]),
        ValueError,
        r"d_output must have the output's shape, \(4, 2\), but its shape is \(3, 2\)",
    ),
    "jacobian of both": (lambda: cr.jacobian(NET, X, PAIR), ValueError, 'must be "params" or "x"'),
    "hessian of both": (lambda: cr.hessian(NET, MSE, X, Y, PAIR), ValueError, 'or "x", not'),
    "large hessian": (
        lambda: cr.hessian(NET, MSE, np.ones((1366, 3)), np.ones((1366, 2)), "x"),
        ValueError,
        "hessian is for up to 4096 numbers, but wrt='x' has 4098; hvp multiplies by it",
    ),
    "several outputs": (lambda: cr.input_gradient(NET, X), ValueError, "this one has 2; jacobian"),
    "several heads": (
        lambda: cr.laplacian(Problem("outputs").net, X),
        ValueError,
        "laplacian is for networks of one output",
    ),
    "out's shape": (
        lambda: cr.per_sample_grad(NET, MSE, X, Y, out=np.empty((4, 25))),
        ValueError,
        r"out must have shape \(4, 26\) and dtype float64, but it has \(4, 25\) and float64",
    ),
    "out's order": (
        lambda: cr.per_sample_grad(NET, MSE, X, Y, out=np.empty((26, 4)).T),
        ValueError,
        "out must be contiguous and writable",
    ),
    "out is a list": (
        lambda: cr.per_sample_grad(NET, MSE, X, Y, out=[]),
        TypeError,
        r"out must be an array, not \[\]",
    ),
    "max_norm": (lambda: cr.clipped_grad(NET, MSE, X, Y, 0), ValueError, "max_norm must be more"),
    "no derivatives": (lambda: cr.input_derivatives(NET, X, []), ValueError, "a list of tuples"),
    "a number": (lambda: cr.input_derivatives(NET, X, [0]), ValueError, "hold tuples of no more"),
    "third": (lambda: cr.input_derivatives(NET, X, [(0, 0, 0)]), ValueError, "than two numbers"),
    "beyond": (
        lambda: cr.input_derivatives(NET, X, [(3,)]),
        ValueError,
        r"derivatives has \(3,\), but a row of x has 3 elements \(numbers 0 to 2\)",
    ),
    "twice": (
        lambda: cr.input_derivatives(NET, X, [(0, 1), (1, 0)]),
        ValueError,
        "each of them once",
    ),
    "no float": (lambda: cr.input_derivatives(NET, X, [(0.5,)]), TypeError, "must be an integer"),
    "gradients": (
        lambda: cr.input_derivatives(NET, X, [(), (0,)])[1]([Y]),
        ValueError,
        "gradients must be a list of 2, one for each derivative",
    ),
    "gradient": (
        lambda: cr.input_derivatives(NET, X, [(), (0,)])[1]([Y, Y[1:]]),
        ValueError,
        r"gradients\[1\] must have shape \(4, 2\)",
    ),
    "gradgradcheck without y": (lambda: cr.gradgradcheck(NET, MSE, X), TypeError, "needs y"),
    "gradgradcheck of what": (lambda: cr.gradgradcheck(3, 4, X), TypeError, "takes"),
    "gradgradcheck, no loss": (lambda: cr.gradgradcheck(NET, 4, X, Y), TypeError, "needs a loss"),
    "gradgradcheck's shape": (
        lambda: cr.gradgradcheck(lambda x: x, lambda x, v: v[1:], [1.0, 2.0]),
        ValueError,
        r"The product must have x's shape, \(2,\), but its shape is \(1,\)",
    ),
    "gradgradcheck, the shape of the gradient": (
        lambda: cr.gradgradcheck(lambda x: x[1:], lambda x, v: v, [1.0, 2.0]),
        ValueError,
        r"The gradient must have x's shape, \(2,\), but its shape is \(1,\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


def test_derivatives_by_x_of_several_outputs_say_what_they_are_for():
    net, x = cr.Sequential(cr.Branch(cr.Linear(3, 2), cr.Linear(3, 1)), seed=0), np.ones((2, 3))
    for function in (cr.input_gradient, cr.laplacian, cr.hessian_x):
        with pytest.raises(ValueError, match=f"{function.__name__} is for networks of one output"):
            function(net, x)
    with pytest.raises(ValueError, match="input_derivatives is for networks of one output"):
        cr.input_derivatives(net, x, [()])


@pytest.mark.parametrize("wrt", [None, 0, ("x", "x"), "y"])
def test_wrong_wrt_is_named(wrt):
    with pytest.raises(ValueError, match="wrt must be"):
        cr.value_and_grad(cr.Sequential(cr.Linear(1, 1)), cr.MSELoss(), wrt)


def test_norms_of_samples_in_float32_do_not_overflow():
    net, x = cr.Sequential(cr.Linear(3, 1), seed=0), np.ones((2, 3))
    y = np.full((2, 1), 1e20)
    gradients = cr.per_sample_grad(net, cr.MSELoss(), x, y).astype(float)
    norms = cr.per_sample_norms(net, cr.MSELoss(), x, y)
    np.testing.assert_allclose(norms, np.linalg.norm(gradients, axis=1), rtol=1e-6)

"""Tangents and second derivatives of layers and activations of one's own."""

import numpy as np
import pytest
from numba import njit

import chainrule as cr
from chainrule.elementary import tanh
from chainrule.engine.backends import is_compiled

BACKENDS = ["numba", "numpy"]
ROWS = 20  # more than one chunk


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# y = (x * scale)**2, with the root saved: compiled, and in NumPy


def square(x, scale, y, saved):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            saved[i, j] = x[i, j] * scale[j]
            y[i, j] = saved[i, j] ** 2


def square_backward(dy, x, scale, saved, dx, d_scale):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = 2 * dy[i, j] * saved[i, j] * scale[j]
            d_scale[j] += 2 * dy[i, j] * saved[i, j] * x[i, j]


@njit
def square_tangent(x_dot, scale_dot, x, scale, saved, y_dot):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y_dot[i, j] = 2 * saved[i, j] * (x_dot[i, j] * scale[j] + x[i, j] * scale_dot[j])


def square_tangent_backward(dy, x, scale, saved, x_dot, scale_dot, dx, d_scale):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            both = 4 * saved[i, j]
            dx[i, j] = dy[i, j] * (2 * scale[j] ** 2 * x_dot[i, j] + both * scale_dot[j])
            d_scale[j] += dy[i, j] * (both * x_dot[i, j] + 2 * x[i, j] ** 2 * scale_dot[j])


SCALE = {"scale": cr.Parameter((4,), cr.initializers.Normal(std=1.0))}


def compiled_square(**functions):
    return cr.CompiledLayer(
        square, square_backward, parameters=SCALE, saved_shape=lambda shape: shape, **functions
    )


class FirstOnly(cr.NumPyLayer):
    def parameters(self):
        return SCALE

    def forward(self, x, scale):
        return (x * scale) ** 2, (x, scale)

    def backward(self, dy, saved):
        x, scale = saved
        return 2 * dy * x * scale**2, {"scale": (2 * dy * x**2 * scale).sum(axis=0)}


class ForwardMode(FirstOnly):
    def tangent(self, x_dot, saved, scale_dot):
        x, scale = saved
        return 2 * x * scale * (x_dot * scale + x * scale_dot)


class Square(ForwardMode):
    def tangent_backward(self, dy, x_dot, saved, scale_dot):
        x, scale = saved
        by_scale = dy * (4 * x * scale * x_dot + 2 * x**2 * scale_dot)
        return dy * (2 * scale**2 * x_dot + 4 * x * scale * scale_dot), {"scale": by_scale.sum(0)}


# y = 1 / x, of another shape, that reads y: no parameters


def invert(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j, 0] = 1 / x[i, j]


def invert_backward(dy, y, dx):
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = -dy[i, j, 0] * y[i, j, 0] ** 2


def invert_tangent(x_dot, y, y_dot):
    for i in range(x_dot.shape[0]):
        for j in range(x_dot.shape[1]):
            y_dot[i, j, 0] = -x_dot[i, j] * y[i, j, 0] ** 2


def invert_tangent_backward(dy, x_dot, y, dx):
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = 2 * dy[i, j, 0] * x_dot[i, j] * y[i, j, 0] ** 3


# Linear in x, and in the parameters together: sums of neighbours; each feature scaled


def neighbours(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1] - 1):
            y[i, j] = x[i, j] + x[i, j + 1]


def neighbours_backward(dy, dx):
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dx[i, j] += dy[i, j]
            dx[i, j + 1] += dy[i, j]


def scaled(x, scale, y, saved):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            saved[i, j] = x[i, j]
            y[i, j] = x[i, j] * scale[j]


def scaled_backward(dy, scale, saved, dx, d_scale):
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dx[i, j] = dy[i, j] * scale[j]
            d_scale[j] += dy[i, j] * saved[i, j]


class Scaled(cr.NumPyLayer):
    linear = True

    def parameters(self):
        return SCALE

    def forward(self, x, scale):
        return x * scale, (x, scale)

    def backward(self, dy, saved):
        x, scale = saved
        return dy * scale, {"scale": (dy * x).sum(axis=0)}


LINEAR = {
    "linear": cr.CompiledLayer(
        neighbours, neighbours_backward, output_shape=lambda s: (s[0] - 1,), linear=True
    ),
    "bilinear": cr.CompiledLayer(
        scaled, scaled_backward, parameters=SCALE, saved_shape=(4,), linear=True
    ),
    "bilinear in NumPy": Scaled(),
}
ACTIVATIONS = {
    "of x": cr.Activation(
        lambda x: np.sin(x), lambda x: np.cos(x), lambda x: -np.sin(x), lambda x: -np.cos(x)
    ),
    "of y": cr.Activation(
        lambda x: tanh(x),
        lambda y: 1 - y * y,
        lambda y: -2 * y * (1 - y * y),
        lambda y: (6 * y * y - 2) * (1 - y * y),
    ),
    "of both": cr.Activation(
        lambda x: x * np.exp(x),
        lambda x, y: y + np.exp(x),
        lambda x, y: y + 2 * np.exp(x),
        lambda x, y: y + 3 * np.exp(x),
    ),
    "complex step": cr.Activation(
        lambda x: np.sin(x), d2f=lambda x: -np.sin(x), d3f=lambda x: -np.cos(x)
    ),
}
LAYERS = {
    "compiled": compiled_square(tangent=square_tangent, tangent_backward=square_tangent_backward),
    "NumPy": Square(),
    "other shape": cr.CompiledLayer(
        invert,
        invert_backward,
        output_shape=lambda shape: (*shape, 1),
        tangent=invert_tangent,
        tangent_backward=invert_tangent_backward,
    ),
    **LINEAR,
    **ACTIVATIONS,
}


def network(layer, place, backend="numba"):
    """Return a network with the layer as the first, amid others, or on one of two paths."""
    if place == "first":
        layers = layer, cr.Flatten(), cr.Linear(layer.output_shape((4,))[0], 2)
    elif place == "amid":
        middle = cr.Linear(layer.output_shape((4,))[0], 3), cr.Tanh()
        layers = cr.Linear(4, 4), layer, cr.Flatten(), *middle, cr.Linear(3, 2)
    else:
        paths = cr.Parallel(
            cr.Sequential(cr.Linear(4, 3), cr.Tanh()),
            cr.Sequential(layer, cr.Flatten()),
            combine="concatenate",
        )
        layers = cr.Linear(4, 4), paths, cr.Linear(3 + layer.output_shape((4,))[0], 2)
    return cr.Sequential(*layers, seed=0, dtype="float64", backend=backend)


def along(net, x, direction, distance):
    """Return the output where parameters and input have moved."""
    moved = net.copy()
    moved.params = net.params + distance * direction[0]
    return moved.predict(x + distance * direction[1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("place", ["first", "amid", "beside"])
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_tangents_and_second_derivatives(layer, place, backend):
    net = network(layer, place, backend)
    x, y = normal(ROWS, 4), normal(ROWS, 2, seed=1)
    assert cr.gradgradcheck(net, cr.MSELoss(), x, y).passed
    directions, h = (normal(net.params.size, seed=2), normal(ROWS, 4, seed=3)), 1e-6
    _, tangent = cr.jvp(net, x, directions, ("params", "x"))
    change = (along(net, x, directions, h) - along(net, x, directions, -h)) / (2 * h)
    np.testing.assert_allclose(tangent, change, rtol=1e-5, atol=1e-6 * abs(change).max())
    for wrt, index in (("params", 0), ("x", 1)):
        _, tangent = cr.jvp(net, x, directions[index], wrt)
        only = [direction * (i == index) for i, direction in enumerate(directions)]
        change = (along(net, x, only, h) - along(net, x, only, -h)) / (2 * h)
        np.testing.assert_allclose(tangent, change, rtol=1e-5, atol=1e-6 * abs(change).max())


@pytest.mark.parametrize("layer", [*LINEAR.values(), *ACTIVATIONS.values()], ids=repr)
def test_second_derivatives_by_the_input_can_be_trained_on(layer):
    layers = cr.Linear(4, 4), layer, cr.Linear(*layer.output_shape((4,)), 4), cr.Tanh(), layer
    net = cr.Sequential(*layers, seed=0, dtype="float64")
    x = normal(ROWS, 4)
    (second,), pullback = cr.input_derivatives(net, x, [(1, 1)])
    hessians = cr.hessian_x(net, x)
    np.testing.assert_allclose(second, hessians[..., 1, 1], rtol=1e-9, atol=1e-10)
    by_params, by_x = pullback([second])
    directions, h = (normal(net.params.size, seed=2), normal(ROWS, 4, seed=3)), 1e-6
    halves = []
    for distance in (-h, h):
        at = net.params + distance * directions[0]
        values, _ = cr.input_derivatives(net, x + distance * directions[1], [(1, 1)], params=at)
        halves.append((values[0] ** 2).sum() / 2)
    slope = by_params @ directions[0] + np.vdot(by_x, directions[1])
    assert slope == pytest.approx((halves[1] - halves[0]) / (2 * h), rel=1e-6)


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_second_derivatives_have_the_same_bits_with_any_number_of_threads(layer):
    net, loss = network(layer, "amid"), cr.MSELoss()
    x, y = normal(300, 4), normal(300, 2, seed=1)
    found = []
    for threads in (1, 2, 5):
        with cr.threads(threads):
            found.append(cr.hvp(net, loss, x, y, net.params))
    for product in found[1:]:
        np.testing.assert_array_equal(product, found[0])


# What is missing is named


@pytest.mark.parametrize("layer", [compiled_square(), FirstOnly()], ids=repr)
def test_without_a_tangent_there_are_first_derivatives_only(layer):
    net, x = cr.Sequential(layer, seed=0), normal(3, 4)
    assert cr.gradcheck(net, cr.MSELoss(), x, x).passed
    message = r"\(layer 0\) has no tangent: .* Give it a tangent, or linear=True"
    with pytest.raises(NotImplementedError, match=message):
        cr.jvp(net, x, net.params)


FORWARD_MODE = {
    "compiled": (compiled_square(tangent=square_tangent), "tangent_backward"),
    "NumPy": (ForwardMode(), "tangent_backward"),
    "activation": (cr.Activation(lambda x: x * x, lambda x: 2 * x), "d2f"),
}


@pytest.mark.parametrize(("layer", "missing"), FORWARD_MODE.values(), ids=FORWARD_MODE)
def test_without_the_backward_of_a_tangent_there_is_forward_mode(layer, missing):
    net, x = network(layer, "amid"), normal(3, 4)
    cr.jvp(net, x, net.params)
    cr.gauss_newton_vp(net, cr.MSELoss(), x, normal(3, 2), net.params)
    with pytest.raises(NotImplementedError, match=rf"\(layer 1\) has .*no {missing}, which"):
        cr.hvp(net, cr.MSELoss(), x, normal(3, 2), net.params)


def test_a_tangent_itself_has_none_if_it_is_not_linear():
    net = network(LAYERS["compiled"], "amid")
    with pytest.raises(
        NotImplementedError, match=r"the tangent of CompiledLayer.* only .* linear=True"
    ):
        cr.laplacian(net, normal(3, 4))
    net = network(cr.Activation(lambda x: x * x, lambda x: 2 * x, lambda x: 2), "amid")
    assert cr.laplacian(net, normal(3, 4)).shape == (3, 2)
    with pytest.raises(NotImplementedError, match="has no d3f, which"):
        cr.input_derivatives(net, normal(3, 4), [(0, 0)])


def test_gradgradcheck_finds_a_wrong_tangent():
    class Wrong(Square):
        def tangent(self, x_dot, saved, scale_dot):
            return super().tangent(x_dot, saved, -scale_dot)

    net = network(Wrong(), "amid")
    with pytest.raises(cr.GradientMismatch, match="wrong"):
        cr.gradgradcheck(net, cr.MSELoss(), normal(3, 4), normal(3, 2))

    class Constant(Scaled):  # which is not linear
        def forward(self, x, scale):
            return x * scale + 1, (x, scale)

    net = network(Constant(), "amid")
    with pytest.raises(cr.GradientMismatch, match="wrong"):
        cr.gradgradcheck(net, cr.MSELoss(), normal(3, 4), normal(3, 2))


def test_an_error_in_a_tangent_comes_out_with_a_note():
    class Fails(Square):
        def tangent(self, x_dot, saved, scale_dot):
            raise ValueError("no tangent today")

    net = network(Fails(), "amid")
    with pytest.raises(ValueError, match="no tangent today") as caught:
        cr.jvp(net, normal(3, 4), net.params)
    assert "the tangent of Fails (layer 1)" in caught.value.__notes__[0]


def test_what_a_tangent_must_not_return():
    class Short(Square):
        def tangent(self, x_dot, saved, scale_dot):
            return x_dot[:, 0]

    net = network(Short(), "amid")
    with pytest.raises(
        ValueError, match=r"The tangent of Short \(layer 1\) returned a wrong y_dot"
    ):
        cr.jvp(net, normal(3, 4), net.params)


@pytest.mark.parametrize(
    ("functions", "error", "message"),
    [
        ({"tangent": 3}, TypeError, "tangent must be a function, not 3"),
        ({"tangent": square}, TypeError, "tangent must take 'y_dot', an array for it to write"),
        (
            {"tangent": lambda x_dot, y_dot: 0},
            TypeError,
            "must take 'scale_dot', on which its result depends",
        ),
        (
            {"tangent": lambda x_dot, d_scale, scale_dot, y_dot: 0},
            TypeError,
            "tangent takes 'd_scale', but there is only x, y, saved, scale, x_dot, scale_dot",
        ),
        (
            {"tangent": square_tangent, "tangent_backward": lambda dy, dx: 0},
            TypeError,
            "tangent_backward must take 'd_scale'",
        ),
        (
            {"tangent": square_tangent, "tangent_backward": lambda dz, dx, d_scale: 0},
            TypeError,
            "tangent_backward takes 'dz', but there is only dy, x",
        ),
        ({"tangent_backward": square_tangent_backward}, ValueError, "but no tangent"),
        ({"tangent": square_tangent, "linear": True}, ValueError, "not both"),
    ],
)
def test_wrong_functions(functions, error, message):
    with pytest.raises(error, match=message):
        compiled_square(**functions)


@pytest.mark.parametrize("name", ["x_dot", "scale_dot"])
def test_names_of_parameters_that_are_taken(name):
    parameters = {**SCALE, name: SCALE["scale"]}
    with pytest.raises(ValueError, match=f"'{name}', which stands for something else"):
        cr.CompiledLayer(square, square_backward, parameters=parameters)


def without_arguments(name, function, base):
    return type("Own", (base,), {name: function})


def with_arguments(name, function, base):
    """Return a class whose own ``__init__`` does not call that of NumPyLayer."""
    return type("Own", (base,), {name: function, "__init__": lambda self: None})


@pytest.mark.parametrize(
    ("name", "function", "base", "message"),
    [
        ("forward", lambda self, x, w: 0, Square, r"forward must take \(self, x, scale\)"),
        ("backward", lambda self, dy: 0, Square, r"backward must take \(self, dy, saved\)"),
        ("tangent", lambda self, x_dot, saved: 0, Square, r"\(self, x_dot, saved, scale_dot\)"),
        ("tangent_backward", lambda self, dy: 0, Square, r"\(self, dy, x_dot, saved, scale_dot\)"),
        ("tangent_backward", Square.tangent_backward, FirstOnly, "but no tangent"),
        ("tangent", Square.tangent, Scaled, "either a tangent or linear = True"),
        ("parameters", lambda self: SCALE, cr.NumPyLayer, r"Own has no forward\(self, x, scale\)"),
    ],
)
def test_a_numpy_layer_is_checked_when_it_or_its_network_is_made(name, function, base, message):
    with pytest.raises(TypeError, match=message):
        without_arguments(name, function, base)()
    layer = with_arguments(name, function, base)()
    with pytest.raises(TypeError, match=message):
        cr.Sequential(layer)


def test_wrong_derivatives_of_an_activation():
    with pytest.raises(TypeError, match="d2f must be a function of one number, or of two"):
        cr.Activation(lambda x: x, lambda x: 1, lambda x, y, z: 0)
    with pytest.raises(ValueError, match="a d3f, but no d2f"):
        cr.Activation(lambda x: x, lambda x: 1, d3f=lambda x: 0)


@pytest.mark.parametrize("backend", [b for b in BACKENDS if is_compiled(b)])
def test_a_derivative_shares_its_machine_code_with_the_backward_pass(backend, monkeypatch):
    from chainrule.kernels import compilation

    net, x = cr.Sequential(ACTIVATIONS["of x"], seed=0, backend=backend), normal(3, 4)
    net.forward(x)
    net.backward(x)
    monkeypatch.setattr(compilation, "user_function", None)  # would fail
    cr.jvp(net, x, x, "x")

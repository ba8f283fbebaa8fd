"""The derivative of a plan is a plan: tangents, and their way back, against central differences."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.plan import Head, Tensor, make_plan
from chainrule.plan.tangent import Tangents

ROWS, WIDTH = 5, 4
STEP = 1e-5
ACTIVATIONS = [
    cr.Tanh(),
    cr.Sigmoid(),
    cr.Softplus(),
    cr.ELU(0.7),
    cr.SiLU(),
    cr.GELU(),
    cr.GELU("tanh"),
    cr.ReLU(),
    cr.LeakyReLU(0.2),
    cr.Softmax(),
    cr.LogSoftmax(),
]
BACKENDS = ["numba", "numpy"]


def network(activation, backend):
    return cr.Sequential(
        cr.Rescale(0.5, 0.1),
        cr.Linear(WIDTH, 6),
        activation,
        cr.Linear(6, 3),
        activation,
        seed=3,
        dtype="float64",
        backend=backend,
    )


class Tangent:
    """A network with its tangent, and if asked for the tangent of that."""

    def __init__(self, net, *, parameters_change, order=1):
        builder, (x,), (y,) = net.lower((WIDTH,))
        seed = Tensor(x.shape)
        tangents = Tangents(builder, parameters_change=parameters_change, seeds=[(x, seed)])
        self.net, heads, begin = net, [Head(y)], 0
        for _ in range(order):
            steps = builder.steps[begin:]
            begin = len(builder.steps)
            tangents.append(steps)
            heads.append(Head(tangents.of(heads[-1].output)))
        plan = make_plan(
            builder, [x], heads, offsets=net.offsets, batch=ROWS, dtype=net.dtype, seeds=[seed]
        )
        self.machine = Machine(plan, net.dtype, net.backend)
        self.heads = len(heads)

    def forward(self, x, dx, direction):
        self.machine.rows_at("seed", ROWS)[...] = dx
        vectors = self.machine.vectors(self.net.params, direction=direction)
        self.machine.run(Phase.FORWARD, ROWS, vectors, make_data(self.net.dtype, x))
        return [self.machine.rows_at("output", ROWS, i).copy() for i in range(self.heads)]

    def backward(self, d_outputs, direction):
        for i, d_output in enumerate(d_outputs):
            self.machine.rows_at("d_output", ROWS, i)[...] = d_output
        grads = np.empty_like(self.net.params)
        vectors = self.machine.vectors(self.net.params, direction=direction, grads=grads)
        self.machine.run(Phase.BACKWARD | Phase.INPUT_GRADIENT, ROWS, vectors)
        return grads, self.machine.rows_at("d_input", ROWS).copy()


def moved(net, direction, step):
    twin = net.copy()
    twin.params = net.params + step * direction
    return twin


def gradients(net, x, d_y):
    net.forward(x)
    d_x = net.backward(d_y)
    return net.grads.copy(), d_x


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_tangent_and_its_way_back(activation, backend, rng):
    net = network(activation, backend)
    x, dx = rng.normal(size=(2, ROWS, WIDTH))
    direction = rng.normal(size=net.params.size)
    tangent = Tangent(net, parameters_change=True)
    y, dy = tangent.forward(x, dx, direction)
    np.testing.assert_allclose(y, net.forward(x), rtol=1e-13)
    right, left = (moved(net, direction, h).forward(x + h * dx) for h in (STEP, -STEP))
    np.testing.assert_allclose(dy, (right - left) / (2 * STEP), rtol=1e-6, atol=1e-8)

    # The gradient of c . y + d . dy is that of c . y, and how fast that of d . y changes.
    c, d = rng.normal(size=(2, *y.shape))
    found = tangent.backward([c, d], direction)
    at_x, right, left = (
        gradients(moved(net, direction, h), x + h * dx, d_y)
        for h, d_y in ((0, c), (STEP, d), (-STEP, d))
    )
    for mine, here, after, before in zip(found, at_x, right, left, strict=True):
        expected = here + (after - before) / (2 * STEP)
        np.testing.assert_allclose(mine, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_tangent_of_the_tangent_and_its_way_back(activation, backend, rng):
    net = network(activation, backend)
    x, dx = rng.normal(size=(2, ROWS, WIDTH))
    first, second = (
        Tangent(net, parameters_change=False),
        Tangent(net, parameters_change=False, order=2),
    )
    nowhere = np.zeros_like(net.params)
    y, dy, d2y = second.forward(x, dx, nowhere)
    np.testing.assert_allclose([y, dy], first.forward(x, dx, nowhere), rtol=1e-13)
    right, left = (first.forward(x + h * dx, dx, nowhere)[1] for h in (STEP, -STEP))
    np.testing.assert_allclose(d2y, (right - left) / (2 * STEP), rtol=1e-6, atol=1e-8)

    c = rng.normal(size=y.shape)
    found = second.backward([0 * c, 0 * c, c], nowhere)
    sides = []
    for h in (STEP, -STEP):
        first.forward(x + h * dx, dx, nowhere)
        sides.append(first.backward([0 * c, c], nowhere))
    for mine, after, before in zip(found, *sides, strict=True):
        np.testing.assert_allclose(mine, (after - before) / (2 * STEP), rtol=1e-6, atol=1e-8)


@pytest.mark.skipif(JIT_DISABLED, reason="plain Python uses one thread")
@pytest.mark.usefixtures("eager_threads")
def test_threads_compute_the_same_tangents(rng):
    layers = [layer for _ in range(4) for layer in (cr.Linear(128, 128), cr.Tanh())]
    net = cr.Sequential(*layers, seed=0)
    builder, (x,), (y,) = net.lower((128,))
    tangents = Tangents(builder, parameters_change=True)
    tangents.append(list(builder.steps))
    heads = [Head(y), Head(tangents.of(y))]
    data, d_out = rng.normal(size=(2, 256, 128)).astype("f")
    direction = rng.normal(size=net.params.size).astype("f")
    results = []
    for threads in (1, 2):
        plan = make_plan(
            builder, [x], heads, offsets=net.offsets, batch=256, dtype=net.dtype, threads=threads
        )
        assert plan.threads == threads
        machine = Machine(plan, net.dtype, "numba")
        grads = np.empty_like(net.params)
        vectors = machine.vectors(net.params, direction=direction, grads=grads)
        machine.run(Phase.FORWARD, 256, vectors, make_data(net.dtype, data))
        for i in range(2):
            machine.rows_at("d_output", 256, i)[...] = d_out
        machine.run(Phase.BACKWARD, 256, vectors)
        results.append(grads)
    np.testing.assert_array_equal(*results)

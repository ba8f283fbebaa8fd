"""Networks with several inputs, and the same with one input that has all columns."""

from math import prod

import numpy as np
import pytest

import chainrule as cr

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

"""Every public layer and loss by central differences; the analytic twins by the complex step."""

import inspect
from importlib import import_module

import numpy as np
import pytest

import chainrule as cr
from chainrule.reference import affine as reference_affine
from chainrule.reference.loss import row_scale

WITH_ARGUMENTS = {
    "Linear": [(4, 3), (4, 3, False)],
    "GELU": [("none",), ("tanh",)],
    "LeakyReLU": [(0.01,), (0.0,), (0.5,)],
    "ELU": [(1.0,), (0.3,), (0.0,)],
    "PReLU": [(), (4, 0.1)],
    "Rescale": [(0.5,), (-2.0, 3.0)],
    "BatchNorm": [(4,), (4, 0.1, None, False)],
    "LayerNorm": [(4,), (4, 0.1, True, False), (4, 1e-3, False)],
    "Columns": [([2, 0],), ([-1, 0, 0],)],
    "RMSNorm": [(4,), (4, 0.1, False)],
    "GroupNorm": [(2, 4), (1, 4, 0.1), (2, 4, 1e-3, False)],
    "Standardize": [(4, (0.5, 0.0, 1.0, -2.0)), (4, (0.5, -1.0, 2.0, 0.0), (0.25, 4.0, 1.0, 2.0))],
    "Residual": [(cr.Linear(4, 4), cr.Tanh())],
    "Parallel": [(cr.Linear(4, 3), cr.Linear(4, 3))],
    "Shared": [(cr.Linear(4, 4), cr.Tanh())],
    "Branch": [],  # has several outputs: see test_graphs.py
    "Inputs": [],  # takes several inputs: see test_inputs.py
    "Embedding": [],  # takes codes: see test_embedding.py
}
LAYERS = [
    getattr(cr, name)(*arguments)
    for name in cr.layers.__all__
    if not getattr(cr, name).axes  # those of images: see test_image_layers.py
    for arguments in WITH_ARGUMENTS.get(name, [()])
]
LOSSES = [getattr(cr, name)() for name in cr.losses.__all__] + [
    cr.CrossEntropyLoss(label_smoothing=0.3),
    cr.HuberLoss(delta=0.2),
    cr.BCEWithLogitsLoss(pos_weight=[0.5, 1.0, 3.0]),
    cr.CrossEntropyLoss(weight=[0.5, 0.0, 3.0]),
    cr.CrossEntropyLoss(0.3, weight=[0.5, 1.0, 3.0]),
    cr.PoissonNLLLoss(log_input=False, full=True),
]


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layer_alone(layer, backend):
    net = cr.Sequential(layer, seed=0, dtype="float64", backend=backend)
    x = batch((5, 4))
    y = batch(net.predict(x).shape, seed=1)
    assert cr.gradcheck(net, cr.MSELoss(), x, y).error < 1e-6


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layer_fused_and_between_others(layer):
    net = (
        cr.Sequential(cr.Linear(3, 4), layer, cr.Tanh(), layer, seed=1)
        if _keeps_shape(layer)
        else cr.Sequential(cr.Linear(3, 4), layer, cr.Tanh(), seed=1)
    )
    x = batch((5, 3))
    y = batch(net.predict(x).shape, seed=1)
    assert cr.gradcheck(net, cr.MSELoss(), x, y).error < 1e-6


def _keeps_shape(layer):
    return cr.Sequential(layer).output_shape((4,)) == (4,)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_loss(loss, weighted):
    outputs = 4 if isinstance(loss, cr.GaussianNLLLoss) else 3
    # Positive, as rates and variances are.
    net = cr.Sequential(cr.Linear(4, 6), cr.Tanh(), cr.Linear(6, outputs), cr.Softplus(), seed=0)
    rng = np.random.default_rng(2)
    shape = (7, *loss.target_shape((outputs,)))
    y = rng.integers(0, outputs, shape) if loss.takes_labels else rng.uniform(size=shape)
    weights = rng.uniform(0, 2, 7) if weighted else None
    assert cr.gradcheck(net, loss, batch((7, 4)), y, sample_weight=weights).error < 1e-6


# Complex step: the imaginary part of f(x + ih) / h is the derivative to full precision.

H = 1e-30


def complex_step(forward, x, dy):
    """Return ``dy . df/dx`` for each entry of x."""
    dx = np.empty_like(x)
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1j * H
        y = np.empty(dy.shape, complex)
        forward(moved, y)
        dx[index] = (dy * y.imag).sum() / H
    return dx


def twin(name):
    """Return a function of the file in reference that has its operation's name."""
    return getattr(import_module(f"chainrule.reference.{name.removesuffix('_backward')}"), name)


@pytest.mark.parametrize("name", ["tanh", "softmax", "log_softmax"])
def test_reference_activation_by_complex_step(name):
    forward, backward = twin(name), twin(f"{name}_backward")
    x, dy = batch((3, 4)), batch((3, 4), seed=1)
    y, dx = np.empty_like(x), np.empty_like(x)
    forward(x, y)
    saved = next(iter(list(inspect.signature(backward).parameters)[1:]))
    backward(dy, x if saved == "x" else y, dx)
    np.testing.assert_allclose(dx, complex_step(forward, x, dy), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("softplus", lambda x: np.log(1 + np.exp(x))),
        (
            "gelu_tanh",
            lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        ),
    ],
)
def test_reference_that_avoids_overflow_by_complex_step_of_its_formula(name, formula):
    def forward(x, y):
        y[...] = formula(x)

    x, dy = batch((3, 4)), batch((3, 4), seed=1)
    y, dx = np.empty_like(x), np.empty_like(x)
    twin(name)(x, y)
    np.testing.assert_allclose(y, formula(x), rtol=1e-13)
    backward = twin(f"{name}_backward")
    saved = next(iter(list(inspect.signature(backward).parameters)[1:]))
    backward(dy, x if saved == "x" else y, dx)
    np.testing.assert_allclose(dx, complex_step(forward, x, dy), rtol=1e-12, atol=1e-14)


def test_reference_linear_by_complex_step():
    x, w, b, dy = batch((5, 3)), batch((3, 4), 1), batch((4,), 2), batch((5, 4), 3)
    dx, dw, db = np.empty_like(x), np.empty_like(w), np.empty_like(b)
    reference_affine.linear_backward_input(dy, w, False, np.empty(0), dx)
    reference_affine.linear_backward_weight(x, dy, 0, False, np.empty(0), dw)
    reference_affine.linear_backward_bias(dy, False, db)
    linear = reference_affine.linear
    by_x = complex_step(lambda v, y: linear(v, w, b, -np.inf, np.empty(0), y), x, dy)
    by_w = complex_step(lambda v, y: linear(x, v, b, -np.inf, np.empty(0), y), w, dy)
    by_b = complex_step(lambda v, y: linear(x, w, v, -np.inf, np.empty(0), y), b, dy)
    for mine, exact in ((dx, by_x), (dw, by_w), (db, by_b)):
        np.testing.assert_allclose(mine, exact, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["mse", "cross_entropy"])
def test_reference_loss_by_complex_step(name):
    function = twin(name)
    output, weight = batch((4, 3)), np.array([1.0, 0.5, 0.0, 2.0])
    target = np.array([0, 2, 1, 1]) if name == "cross_entropy" else batch((4, 3), 1)
    rest = (target, weight, weight.sum())
    number = (0.1,) if name == "cross_entropy" else ()
    columns = 1 if name == "cross_entropy" else 3
    terms, gradient = np.empty((4, columns)), np.empty_like(output)
    function(output, *rest, terms, gradient, *number)
    exact = np.empty_like(output)
    for index in np.ndindex(output.shape):
        moved = output.astype(complex)
        moved[index] += 1j * H
        terms = np.empty((4, columns), complex)
        function(moved, *rest, terms, np.empty_like(moved), *number)
        mean = (weight @ terms).sum() * row_scale(weight.sum(), columns)
        exact[index] = mean.imag / H
    np.testing.assert_allclose(gradient, exact, rtol=1e-12, atol=1e-14)

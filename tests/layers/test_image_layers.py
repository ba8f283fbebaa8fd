"""Layers of signals and images: what holds for each of them, found among the public ones."""

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "images.json").read_text())
BOTH = pytest.mark.parametrize("backend", ["numba", "numpy"])
AT_RANDOM = [  # what PyTorch draws is something else: see test_augmentation.py
    {"layer": "RandomShift", "options": {"shift": 1}, "x": np.ones((3, 6, 5, 2))},
    {"layer": "RandomFlip", "options": {"mode": "vertical"}, "x": np.ones((3, 6, 5, 2))},
    {"layer": "RandomCrop", "options": {"size": 5, "padding": 1}, "x": np.ones((3, 8, 2))},
]


def name_of(case):
    return f"{case['layer']}-{case['options']}"


EACH = pytest.mark.parametrize("case", [*GOLDEN, *AT_RANDOM], ids=name_of)
EACH_GOLDEN = pytest.mark.parametrize("case", GOLDEN, ids=name_of)
LAYERS = [getattr(cr, name) for name in cr.layers.__all__ if getattr(cr, name).axes]


def rng(seed=0):
    return np.random.default_rng(seed)


def layer_of(case):
    return getattr(cr, case["layer"])(**case["options"])


def network(case, **options):
    """The layer between others: a linear layer on the channels before it, and one behind it."""
    channels = np.shape(case["x"])[-1]
    layers = cr.Linear(channels, channels), layer_of(case), cr.Tanh(), cr.Flatten()
    net = cr.Sequential(*layers, seed=1, **options)
    size = np.prod(net.output_shapes(np.shape(case["x"])[1:])[0])
    return cr.Sequential(*net.layers, cr.Linear(int(size), 2), seed=1, **options)


def from_torch(net, state):
    arrays = {f"0.{name}": np.array(values) for name, values in state.items()}
    cr.interop.torch.from_state_dict(net, arrays)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_every_layer_has_a_case():
    assert {case["layer"] for case in [*GOLDEN, *AT_RANDOM]} == {layer.__name__ for layer in LAYERS}


@BOTH
@EACH_GOLDEN
def test_it_is_as_in_pytorch(case, backend):
    net = cr.Sequential(layer_of(case), dtype="float64", backend=backend)
    from_torch(net, case.get("state", {}))
    x, y, loss = np.array(case["x"]), np.array(case["y"]), cr.MSELoss()
    close(net.predict(x), case["output"])
    value, (d_x, d_params) = cr.value_and_grad(net, loss, wrt=("x", "params"))(net.params, x, y)
    close(value, case["value"])
    close(d_x, case["gradient"])
    net.params = d_params
    for name, gradient in cr.interop.torch.to_state_dict(net, framework="numpy").items():
        close(gradient, case["d_state"][name.removeprefix("0.")])
    from_torch(net, case.get("state", {}))
    close(cr.hvp(net, loss, x, y, np.array(case["direction"]), wrt="x"), case["hessian_product"])


@EACH
def test_derivatives(case):
    net, x = network(case, dtype="float64"), np.array(case["x"])
    x, y = x + rng().normal(scale=0.1, size=x.shape), rng().normal(size=(len(x), 2))
    assert cr.gradcheck(net, cr.MSELoss(), x, y).passed
    assert cr.gradgradcheck(net, cr.MSELoss(), x, y).passed
    mean = cr.value_and_grad(net, cr.MSELoss())(net.params, x, y)[1]
    close(cr.per_sample_grad(net, cr.MSELoss(), x, y).mean(axis=0), mean)
    direction = rng(1).normal(size=x.shape)
    _, found = cr.jvp(net, x, direction, wrt="x")
    step = 1e-6 * direction
    np.testing.assert_allclose(
        found, (net.predict(x + step) - net.predict(x - step)) / 2e-6, rtol=1e-5, atol=1e-8
    )


@EACH
def test_any_number_of_threads_gives_the_same_bits(all_threads, case):
    X = rng().normal(size=(70, *np.shape(case["x"])[1:]))
    y, found = rng(1).normal(size=(70, 2)), []
    for threads in (1, 2, 3):
        net = network(case)
        with all_threads(), cr.threads(threads):
            cr.fit(net, X, y, loss=cr.MSELoss(), epochs=2, batch_size=32, progress=False)
        found.append(net.params.tobytes())
    assert found[0] == found[1] == found[2]


@EACH
def test_files_hold_it(tmp_path, case):
    net = network(case)
    net.save(tmp_path / "model.safetensors")
    same = cr.load(tmp_path / "model.safetensors")
    assert same.layers == net.layers
    x = np.array(case["x"])
    np.testing.assert_array_equal(same.predict(x), net.predict(x))
    assert repr(net[1]) in str(net.summary())
    assert eval(f"cr.{net[1]!r}") == net[1]


@EACH
def test_explain_shows_it(case):
    net, x = network(case, dtype="float64"), np.array(case["x"])
    chain = cr.explain(net, cr.MSELoss(), x, rng().normal(size=(len(x), 2)))
    for name, gradient in chain.gradients.items():
        path = chain.path(name)
        np.testing.assert_allclose(path.product(), gradient, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(path.gradient, gradient, rtol=1e-9, atol=1e-12)


@EACH
def test_it_works_inside_pytorch(case):
    torch = pytest.importorskip("torch")
    net, x = network(case, dtype="float64"), rng().normal(size=np.shape(case["x"]))
    module = cr.interop.torch.as_torch(net).eval()
    given = torch.tensor(x, requires_grad=True)
    output = module(given)
    np.testing.assert_array_equal(output.detach().numpy(), net.predict(x))
    output.backward(torch.ones_like(output))
    _, pullback = cr.vjp(net, x)
    _, d_x = pullback(np.ones(output.shape))
    np.testing.assert_array_equal(given.grad.numpy(), d_x)

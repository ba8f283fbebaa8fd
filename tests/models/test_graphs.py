"""Networks that are graphs: compared with plain NumPy, whose derivatives are complex steps."""

import copy
import json
import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.models.architecture import build, describe

H = 1e-30
ROWS, WIDTH = 6, 3


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Random networks, and what they are in NumPy. Nothing here knows of graphs, nodes or plans: a value
# goes through the layers as they are nested.


def sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2  # of complex numbers, too, and without overflow


def softmax(x):
    powers = np.exp(x - x.real.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


FORMULAS = {
    cr.Tanh: lambda x, layer: np.tanh(x),
    cr.Sigmoid: lambda x, layer: sigmoid(x),
    cr.SiLU: lambda x, layer: x * sigmoid(x),
    cr.Softmax: lambda x, layer: softmax(x),
    cr.Identity: lambda x, layer: x,
    cr.Flatten: lambda x, layer: x.reshape(len(x), -1),
    cr.Rescale: lambda x, layer: x * layer.scale + layer.offset,
}


def in_numpy(element, x, parameters, path="", homes=None):
    """Return the outputs, a list; ``homes`` is where shared layers have their parameters."""
    homes = {} if homes is None else homes
    if isinstance(element, cr.Linear):
        return [x @ parameters[f"{path}weight"] + parameters.get(f"{path}bias", 0.0)]
    if type(element) in FORMULAS:
        return [FORMULAS[type(element)](x, element)]
    if isinstance(element, cr.Shared):
        path = homes.setdefault(id(element), path)
    parts = element.layers if isinstance(element, cr.Sequential) else element.parts
    if isinstance(element, cr.Parallel | cr.Branch):
        each = [in_numpy(p, x, parameters, f"{path}{i}.", homes)[0] for i, p in enumerate(parts)]
        if isinstance(element, cr.Branch):
            return each
        if element.combine == "concatenate":
            return [np.concatenate(each, axis=-1)]
        return [sum(each) if element.combine == "sum" else np.prod(each, axis=0)]
    outputs = [x]
    for i, part in enumerate(parts):
        outputs = in_numpy(part, outputs[0], parameters, f"{path}{i}.", homes)
    return [x + outputs[0]] if isinstance(element, cr.Residual) else outputs


def simple(width, to):
    """Layers in a row from one width to another."""
    activation = st.sampled_from([cr.Tanh(), cr.Sigmoid(), cr.SiLU(), cr.Softmax()])
    linear = st.booleans().map(lambda bias: cr.Linear(width, to, bias=bias))
    if width != to:
        return linear
    rest = st.sampled_from([cr.Identity(), cr.Rescale(-0.5), cr.Rescale(1.5, offset=0.25)])
    return st.one_of(linear, activation, rest)


@st.composite
def elements(draw, width, to, depth, shared):
    """An element from one width to another; ``shared`` are those that may come again."""
    if depth == 0:
        return draw(simple(width, to))
    inner = lambda a, b: draw(elements(a, b, depth - 1, shared))  # noqa: E731
    kinds = ["simple", "row", "sum", "product", "concatenate"]
    kinds += ["residual", "shared"] if width == to else []
    kinds += ["again"] * 2 if width == to and shared[width] else []
    kind = draw(st.sampled_from(kinds))
    if kind == "simple":
        return draw(simple(width, to))
    if kind == "again":
        return draw(st.sampled_from(shared[width]))
    if kind == "row":
        between = draw(st.integers(1, 4))
        make = cr.Sequential if draw(st.booleans()) else cr.Residual
        if make is cr.Residual and width == to:
            return cr.Residual(inner(width, between), inner(between, to))
        return cr.Sequential(
            inner(width, between), inner(between, to), seed=draw(st.integers(0, 9))
        )
    if kind == "residual":
        return cr.Residual(*(inner(width, width) for _ in range(draw(st.integers(1, 2)))))
    if kind == "shared":
        made = cr.Shared(*(inner(width, width) for _ in range(draw(st.integers(1, 2)))))
        shared[width].append(made)
        return made
    if kind == "concatenate":
        if to == 1:
            return draw(simple(width, to))
        cut = draw(st.integers(1, to - 1))
        return cr.Parallel(inner(width, cut), inner(width, to - cut), combine=kind)
    return cr.Parallel(*(inner(width, to) for _ in range(draw(st.integers(2, 3)))), combine=kind)


@st.composite
def networks(draw):
    shared = {width: [] for width in range(1, 5)}
    row = [draw(elements(WIDTH, WIDTH, 2, shared)) for _ in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        heads = [draw(elements(WIDTH, draw(st.integers(1, 4)), 1, shared)) for _ in range(2)]
        row.append(cr.Branch(cr.Identity(), *heads, cr.Identity()))
    return cr.Sequential(*row, seed=draw(st.integers(0, 9)), dtype="float64")


def several(value):
    return value if isinstance(value, tuple) else (value,)


def one_or_tuple(values):
    return values[0] if len(values) == 1 else tuple(values)


def d_outputs(net, x):
    return [batch(out.shape, i) for i, out in enumerate(several(net.predict(x)))]


@given(net=networks())
@settings(max_examples=60)
def test_outputs_and_gradients_are_those_of_numpy(net):
    x = batch((ROWS, WIDTH))
    parameters = {name: view.copy() for name, view in net.parameters().items()}
    expected = in_numpy(net, x, parameters)
    outputs = several(net.forward(x))
    for out, predicted, right in zip(outputs, several(net.predict(x)), expected, strict=True):
        np.testing.assert_allclose(out, right, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(predicted, right, rtol=1e-11, atol=1e-12)
    d_out = d_outputs(net, x)
    dx = net.backward(one_or_tuple(d_out))
    rng = np.random.default_rng(0)
    for name, gradient in {"x": dx, **net.gradients()}.items():
        direction = rng.normal(size=gradient.shape)
        moved = {"x": x, **parameters}
        moved[name] = moved[name] + 1j * H * direction
        moved_outputs = in_numpy(net, moved.pop("x"), moved)
        slope = sum((d * out.imag).sum() / H for d, out in zip(d_out, moved_outputs, strict=True))
        scale = np.abs(gradient * direction).sum()
        assert abs((gradient * direction).sum() - slope) <= 1e-10 * max(scale, 1e-3), name


@given(net=networks(), data=st.data())
@settings(max_examples=25)
def test_every_way_to_run_a_graph_gives_the_same(all_threads, net, data):
    x = batch((20, WIDTH))
    d_out = one_or_tuple(d_outputs(net, x))
    out, dx = net.forward(x), net.backward(d_out)
    grads = net.grads.copy()
    same = data.draw(
        st.sampled_from(["copy", "pickle", "deepcopy", "numpy", "nested", "described", "threads"])
    )
    twins = {
        "copy": net.copy,
        "pickle": lambda: pickle.loads(pickle.dumps(net)),
        "deepcopy": lambda: copy.deepcopy(net),
        "numpy": lambda: net.copy(backend="numpy"),
        "nested": lambda: cr.Sequential(net, dtype="float64"),
        "described": lambda: rebuilt(net),
        "threads": net.copy,
    }
    twin = twins[same]()
    assert twin.params.size == net.params.size
    with all_threads(), cr.threads(3 if same == "threads" else 1):
        twin_out, twin_dx = twin.forward(x), twin.backward(d_out)
    exact = same != "numpy"
    pairs = zip((*several(twin_out), twin_dx, twin.grads), (*several(out), dx, grads), strict=True)
    for actual, expected in pairs:
        if exact:
            np.testing.assert_array_equal(actual, expected)
        else:
            np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


@given(net=networks())
@settings(max_examples=15)
def test_training_with_any_number_of_threads_gives_the_same_bits(all_threads, net):
    x = batch((30, WIDTH))
    y = d_outputs(net, x)
    loss = cr.MultiLoss(*[cr.MSELoss()] * len(y), weights=[0.5] * len(y))
    options = {"loss": loss, "batch_size": 20, "epochs": 2, "progress": False}
    twins = [net.copy(), net.copy()]
    with all_threads():
        for twin, threads in zip(twins, (1, 3), strict=True):
            with cr.threads(threads):
                cr.fit(twin, x, y, **options)
    np.testing.assert_array_equal(twins[0].params, twins[1].params)


def rebuilt(net):
    elements = build(json.loads(json.dumps(describe(net.layers))), lambda e: cr.Sequential(*e))
    twin = cr.Sequential(*elements, dtype="float64")
    assert list(twin.parameters()) == list(net.parameters())
    twin.params = net.params
    return twin


@given(net=networks())
@settings(max_examples=25)
def test_a_plan_that_keeps_everything_has_every_gradient(net):
    """... and none is overwritten before all that is added to it has come."""
    x = batch((ROWS, WIDTH))
    d_out = d_outputs(net, x)
    net.forward(x)
    net.backward(one_or_tuple(d_out))
    plan = net.make_plan((WIDTH,), ROWS, retain=True)
    machine = Machine(plan, net.dtype, net.backend)
    grads = np.zeros_like(net.grads)
    vectors = machine.vectors(net.params, grads=grads)
    machine.run(Phase.FORWARD, ROWS, vectors, make_data(net.dtype, x))
    for head, d in enumerate(d_out):
        machine.rows_at("d_output", ROWS, head)[:] = d
    machine.run(Phase.BACKWARD, ROWS, vectors)
    np.testing.assert_allclose(grads, net.grads, rtol=1e-10, atol=1e-12)

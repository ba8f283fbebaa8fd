"""The network in the page: its scripts compute what the engine computes in float64."""

from importlib.resources import files

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import html
from chainrule.explain.one_input import as_one_input
from chainrule.explain.page_network import MOST_BYTES, page_network, script_of
from chainrule.layers.container import Container
from chainrule.operations.operation import all_operations
from chainrule.operations.update import UpdateOperation

pytestmark = pytest.mark.once

# Operations that no prediction, no loss and none of the page's optimizers needs.
NOT_IN_THE_PAGE = {
    "batch_mean": "of tangents",
    "batch_norm": "a training step's; a prediction has standardize",
    "batch_norm_max_pool": "a training step's, whose values are not retained",
    "dropout": "a training step's; a prediction has none",
    "linear_add": "of tangents",
    "max_pool_tangent": "of tangents",
    "random_crop": "a training step's; a prediction has zero_pad, or none",
    "rsqrt": "of tangents",
    "sum_groups": "of tangents",
    "sum_last_axis": "of tangents",
    **dict.fromkeys(["adagrad", "adamw", "lion", "nadam", "rmsprop"], "not offered by the page"),
}

LINEAR = cr.Linear(4, 4)
WITH_ARGUMENTS = {
    "Standardize": [((4, (0.5, -1.0, 2.0, 0.0), (0.25, 4.0, 1.0, 2.0)), {})],
    "Linear": [((4, 3), {}), ((4, 3), {"bias": False})],
    "GELU": [((), {}), ((), {"approximate": "tanh"})],
    "LeakyReLU": [((0.1,), {})],
    "ELU": [((0.3,), {})],
    "PReLU": [((), {}), ((4, 0.1), {})],
    "Rescale": [((-2.0, 3.0), {})],
    "BatchNorm": [((4,), {}), ((4, 0.1, None, False), {})],
    "LayerNorm": [((4,), {}), ((4, 0.1, True, False), {}), ((4, 1e-3, False), {})],
    "Columns": [(([-1, 0, 0, 2],), {})],
    "RMSNorm": [((4,), {}), ((4, 0.1, False), {})],
    "GroupNorm": [((2, 4), {}), ((1, 4, 0.1, False), {})],
    "Residual": [((LINEAR, cr.Tanh()), {})],
    "Parallel": [
        ((LINEAR, cr.Residual(LINEAR)), {"combine": combine})
        for combine in ("sum", "concatenate", "product")
    ],
    "Shared": [((LINEAR, cr.Tanh()), {})],
    "Branch": [((LINEAR, cr.Identity(), cr.Residual(cr.Tanh())), {})],
    "Embedding": [((6, 3), {}), ((6, 3), {"padding_idx": 2})],
    "Inputs": [],  # see test_several_inputs
}
LAYERS = [
    getattr(cr, name)(*arguments, **options)
    for name in cr.layers.__all__
    if not getattr(cr, name).axes  # those of images: see IMAGE_LAYERS
    for arguments, options in WITH_ARGUMENTS.get(name, [((), {})])
]
# Of images (6, 5, 2), or signals.
IMAGE_LAYERS = [
    cr.MaxPool2d(2),
    cr.MaxPool2d(3, 2, 1, ceil_mode=True),
    cr.MaxPool1d(2, 1, dilation=2),
    cr.AvgPool2d((3, 2), (2, 1), (1, 0), ceil_mode=True),
    cr.AvgPool2d(3, 2, 1, count_include_pad=False),
    cr.AvgPool1d(2),
    cr.GlobalMaxPool(),
    cr.GlobalAvgPool(),
    cr.Conv1d(2, 3, 3, padding="same"),
    cr.Conv2d(2, 3, (3, 2), (2, 1), (1, 0)),
    cr.Conv2d(2, 4, 2, dilation=(1, 2), groups=2, bias=False),
    cr.Conv2d(2, 2, 3, padding=1, groups=2),
    cr.ConvTranspose1d(2, 3, 3, 2, 1, 1),
    cr.ConvTranspose2d(2, 4, (3, 2), (1, 2), groups=2),
    cr.ZeroPad(((1, -2), 2)),
    cr.Upsample((2, 3)),
    cr.RandomCrop(4, padding=1),
    cr.RandomFlip(),
    cr.RandomShift(1),
]
LOSSES = [getattr(cr, name)() for name in cr.losses.__all__] + [
    cr.CrossEntropyLoss(label_smoothing=0.3),
    cr.HuberLoss(delta=0.2),
    cr.BCEWithLogitsLoss(pos_weight=[0.5, 1.0, 3.0, 2.0]),
    cr.BCEWithLogitsLoss(pos_weight=2.0),
    cr.CrossEntropyLoss(weight=[0.5, 0.0, 3.0, 1.0]),
    cr.CrossEntropyLoss(0.3, weight=[0.5, 1.0, 3.0, 1.0]),
    cr.PoissonNLLLoss(log_input=False, full=True),
    cr.GaussianNLLLoss(full=True),
    cr.MultiLoss(cr.MSELoss(), cr.L1Loss(), weights=[0.5, 2.0]),
]
TIED = cr.Shared(cr.Linear(4, 4), cr.Tanh())
GRAPHS = {
    "chain": [cr.Linear(4, 5), cr.Tanh(), cr.Linear(5, 3), cr.SiLU(), cr.Linear(3, 2)],
    "residual in residual": [cr.Residual(cr.Residual(LINEAR), cr.SiLU()), cr.Linear(4, 2)],
    "square": [LINEAR, cr.Parallel(cr.Identity(), cr.Identity(), combine="product")],
    "shared in a residual": [TIED, cr.Residual(TIED, LINEAR, TIED), cr.Linear(4, 2)],
    "shared heads": [TIED, cr.Branch(TIED, cr.Sequential(TIED, cr.Linear(4, 1), seed=2))],
    "identity beside another": [
        LINEAR,
        cr.Parallel(cr.Identity(), cr.Tanh(), combine="product"),
        cr.Branch(cr.Identity(), cr.Tanh()),
    ],
    "two identities": [LINEAR, cr.Branch(cr.Identity(), cr.Identity())],
    "axes": [cr.Linear(4, 3), cr.LayerNorm(3), cr.Flatten(), cr.Linear(6, 2)],
    "groups": [cr.Linear(4, 6), cr.GroupNorm(3, 6), cr.RMSNorm(6), cr.Flatten(), cr.Linear(12, 2)],
}
RUN = """
const network = new Network(given.description);
const loss = network.forward();
network.backward();
const result = {
  loss,
  values: given.description.layers.map((value) => [...network.values[value]]),
  gradients: given.description.layers.map((value) => [...network.gradients[value]]),
  d_x: [...network.gradients[0]],
  d_params: [...network.parameterGradients.all],
  updated: {},
};
const start = network.parameters.all.slice();
for (const [name, numbers] of given.updates) {
  network.parameters.all.set(start);
  const optimizer = new Optimizer(name, network, numbers);
  for (let step = 0; step < given.steps; step += 1) {
    network.forward();
    network.backward();
    optimizer.update(given.lr);
  }
  result.updated[JSON.stringify([name, numbers])] = [...network.parameters.all];
}
return result;
"""


# Those that need no document: the views are tested in a page.
SCRIPTS = (
    "network.js",
    "elements.js",
    "heat_map.js",
    "factors.js",
    "model.js",
    "ingredient.js",
    "ways.js",
)
FACTORS = """
const model = new LiveModel(given.data);
const rows = [...Array(given.data.loss.rows).keys()];
return given.data.paths.map((path) => ({
  name: path.name,
  factors: factorsOf(given.data, path).map((factor) => rows.map((row) => factor.matrix(row).map((line) => [...line]))),
  norms: factorsOf(given.data, path).map((factor) => factor.norm),
  gradient: [...model.gradientOf(path)],
  apart: path.apart,
  merged: path.merged,
}));
"""  # noqa: E501


# The ways of each number through the units, in each row: their sum, and the list's.
WAYS = """
const model = new LiveModel(given.data);
const rows = [...Array(given.data.loss.rows).keys()];
return choicesOf(given.data).map((choice) => ({
  symbol: choice.symbol,
  ways: rows.map((row) => [...Array(product(choice.shape)).keys()].map((entry) => {
    const ways = new Ways(model, row, choice, entry);
    return [ways.total, ways.list.reduce((sum, { part }) => sum + part, 0)];
  })),
}));
"""


@pytest.fixture(scope="module", name="run")
def run_fixture(browser):
    """Run JavaScript after the scripts of the network, with what is given to it."""
    page = browser.new_page()
    folder = files("chainrule.explain").joinpath("page")
    operations = [
        file
        for name in ("operations", "optimizers")
        for file in sorted(folder.joinpath(name).iterdir(), key=lambda file: file.name)
    ]
    scripts = [
        file.read_text("utf-8")
        for file in (folder.joinpath("elementary.js"), *operations, *map(folder.joinpath, SCRIPTS))
    ]

    def run(code, **given):
        return page.evaluate(f"(given) => {{ {' '.join([*scripts, code])} }}", given)

    return run


def rng(seed=0):
    return np.random.default_rng(seed)


def network_of(*layers, dtype="float64"):
    net = cr.Sequential(*layers, seed=0, dtype=dtype)
    for array in net.named_values().values():  # also those that are 0 or 1 at first
        array += rng(array.size).uniform(0.1, 0.5, array.shape)
    net.training = False
    return net


def batch_for(net, loss, x):
    """Return x and targets, checked."""
    outputs = net.forward(x)
    shapes = [out.shape for out in (outputs if isinstance(outputs, tuple) else (outputs,))]
    each = loss.losses if isinstance(loss, cr.MultiLoss) else (loss,)
    values = []
    for one, (rows, *shape) in zip(each, shapes, strict=True):
        size = (rows, *one.target_shape(tuple(shape)))
        most = 1 if isinstance(one, cr.BCEWithLogitsLoss) else 3
        labels = rng(1).integers(0, shape[-1], size)
        values.append(labels if one.takes_labels else rng(1).uniform(0, most, size))
    y = tuple(values) if isinstance(loss, cr.MultiLoss) else values[0]
    return x, y, loss.check_targets(y, shapes, np.dtype(float))


def close(actual, expected):
    expected = np.ravel(expected)
    np.testing.assert_allclose(
        actual, expected, rtol=1e-9, atol=1e-9 * (1e-3 + abs(expected).max(initial=0))
    )


def compare(run, net, loss, x):
    """Compare all that a network and its loss compute."""
    x, y, targets = batch_for(net, loss, x)
    steps, lr = 3, 0.05
    optimizers = {
        ("sgd", ()): cr.SGD(lr),
        ("sgd", (("momentum", 0.9), ("nesterov", True))): cr.SGD(lr, 0.9, nesterov=True),
        ("adam", ()): cr.Adam(lr),
        ("adam", (("weight_decay", 0.1),)): cr.Adam(lr, weight_decay=0.1),
    }
    updates = [[name, dict(numbers)] for name, numbers in optimizers]
    description = page_network(net, loss, np.asarray(x, float), targets)
    found = run(RUN, description=description, updates=updates, steps=steps, lr=lr)
    value, d_output = loss(net.forward(x), y)
    d_x = net.backward(d_output)
    assert found["loss"] == pytest.approx(value, rel=1e-9)
    close(found["d_x"], d_x)
    close(found["d_params"], net.grads)
    if isinstance(loss, cr.MultiLoss) or net.graph.is_chain:
        chain = cr.explain(net, loss, x, y, merge=False)
        for step, layer in zip(chain.links[1:], range(len(net.graph.nodes)), strict=True):
            close(found["values"][layer], step.value)
            if len(net.graph.nodes) == layer + 1 or not is_view(net.graph.nodes[layer + 1].layer):
                close(found["gradients"][layer], step.gradient)
    for optimizer, updated in zip(optimizers.values(), found["updated"].values(), strict=True):
        twin = net.copy()
        twin.training = False
        for _ in range(steps):
            _, d_output = loss(twin.forward(x), y)
            twin.backward(d_output)
            optimizer.step(twin)
        close(updated, twin.params)


def is_view(layer):
    return isinstance(layer, cr.Identity | cr.Flatten | cr.Dropout)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layers(layer, run):
    codes = isinstance(layer, cr.Embedding)
    net = network_of(layer) if codes else network_of(cr.Linear(3, 4), layer)
    x = rng().integers(0, 6, (5, 2)) if codes else rng().normal(size=(5, 3))
    outputs = net.graph.outputs
    loss = cr.MSELoss() if len(outputs) == 1 else cr.MultiLoss(*[cr.MSELoss()] * len(outputs))
    compare(run, net, loss, x)


def of_images(layer):
    """A layer of images between others, and images or signals for it."""
    shape = (6, 2) if "1d" in type(layer).__name__ else (5, 4, 2)
    net = network_of(cr.Linear(2, 2), layer, cr.Flatten(), cr.Tanh(), dtype="float64")
    return net, rng().normal(size=(3, *shape))


def test_every_layer_of_images_is_here():
    public = {getattr(cr, name) for name in cr.layers.__all__ if getattr(cr, name).axes}
    assert public == {type(layer) for layer in IMAGE_LAYERS}


@pytest.mark.parametrize("layer", IMAGE_LAYERS, ids=repr)
def test_layers_of_images(layer, run):
    net, x = of_images(layer)
    compare(run, net, cr.MSELoss(), x)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("layer", IMAGE_LAYERS, ids=repr)
def test_factors_of_layers_of_images(layer, merge, run):
    net, x = of_images(layer)
    compare_factors(run, net, cr.MSELoss(), x[:2], merge)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_losses(loss, run):
    outputs = 3 if isinstance(loss, cr.QuantileLoss) else 4
    last = [cr.Linear(6, outputs), cr.Softplus()]  # positive, as rates and variances are
    if isinstance(loss, cr.MultiLoss):
        last = [cr.Branch(cr.Linear(6, 3), cr.Linear(6, 2))]
    compare(run, network_of(cr.Linear(4, 6), cr.Tanh(), *last), loss, rng().normal(size=(7, 4)))


@pytest.mark.parametrize("layers", GRAPHS.values(), ids=GRAPHS)
def test_graphs(layers, run):
    compare(run, *a_graph(layers))


@pytest.mark.parametrize("combine", ["sum", "concatenate", "product"])
def test_several_inputs(combine, run):
    """The page gets them as one input, with all columns side by side."""
    image = cr.Sequential(cr.Flatten(), cr.Rescale(0.5), cr.Linear(6, 3), cr.Tanh())
    net = network_of(cr.Inputs(image, cr.Identity(), combine=combine))
    several = rng().normal(size=(5, 2, 3)), rng(1).normal(size=(5, 3))
    one, x = as_one_input(net, several)
    assert (one.predict(x) == net.predict(several)).all()
    compare(run, one, cr.MSELoss(), x)


def a_graph(layers):
    net = network_of(*layers)
    shape = (5, 2, 4) if any(isinstance(layer, cr.Flatten) for layer in layers) else (5, 4)
    outputs = net.graph.outputs
    losses = [cr.MSELoss()] * len(outputs)
    loss = losses[0] if len(losses) == 1 else cr.MultiLoss(*losses, weights=[1, 2])
    return net, loss, rng().normal(size=shape)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize(
    "layer", [layer for layer in LAYERS if not isinstance(layer, Container)], ids=repr
)
def test_factors(layer, merge, run):
    codes = isinstance(layer, cr.Embedding)
    # Behind it something that bends, so that derivatives depend on values.
    behind = cr.Flatten(), cr.Tanh(), cr.Dropout(0.5)
    net = network_of(layer, *behind) if codes else network_of(cr.Linear(3, 4), layer, *behind)
    x = rng().integers(0, 6, (3, 2)) if codes else rng().normal(size=(3, 3))
    compare_factors(run, net, cr.MSELoss(), x, merge)


def compare_factors(run, net, loss, x, merge):
    x, y, _ = batch_for(net, loss, x)
    chain = cr.explain(net, loss, x, y, merge=merge)
    for found in run(FACTORS, data=html.page_data(chain)):
        path = chain.path(found["name"])
        for matrices, norm, factor in zip(
            found["factors"], found["norms"], path.factors, strict=True
        ):
            close(np.ravel(matrices), factor.value)
            assert norm == pytest.approx(factor.norm, rel=1e-9)
        close(found["gradient"], path.gradient)
        assert found["apart"] < 1e-12
        assert found["merged"] == pytest.approx(
            chain.compress(found["name"]).paths[-1].factors[0].norm, rel=1e-9
        )


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("layers", GRAPHS.values(), ids=GRAPHS)
def test_factors_of_graphs(layers, merge, run):
    net, loss, x = a_graph(layers)
    compare_factors(run, net, loss, x, merge)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("layers", GRAPHS.values(), ids=GRAPHS)
def test_ways_through_graphs(layers, merge, run):
    """All ways of a number to the loss add up to its gradient."""
    net, loss, x = a_graph(layers)
    x, y, _ = batch_for(net, loss, x)
    chain = cr.explain(net, loss, x, y, merge=merge)
    data = html.page_data(chain)
    gradients = {
        link["symbol"]: own.gradient for link, own in zip(data["links"], chain.links, strict=True)
    }
    for found in run(WAYS, data=data):
        in_rows, listed = np.moveaxis(found["ways"], 2, 0)
        close(listed.ravel(), in_rows)
        if found["symbol"] in gradients:
            close(in_rows.ravel(), gradients[found["symbol"]])
        else:
            close(in_rows.sum(axis=0), chain.path(found["symbol"]).gradient)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_and_data_are_exact(dtype, run):
    net = network_of(cr.Linear(3, 4), dtype=dtype)
    x, _, targets = batch_for(net, cr.MSELoss(), rng().normal(size=(2, 3)))
    code = (
        "const n = new Network(given.description); return [[...n.parameters.all], [...n.values[0]]]"
    )
    params, inputs = run(code, description=page_network(net, cr.MSELoss(), x, targets))
    assert params == net.params.tolist()
    assert inputs == x.reshape(-1).tolist()


def test_extreme_numbers(run):
    """Where exponentials overflow, values and slopes are still those of the engine."""
    x = np.array([[-1000.0, -40.0, -5.0, -1e-9, 0.0, 1e-9, 3.9, 4.1, 40.0, 1000.0]])
    for name in cr.layers.__all__:
        layer = getattr(cr, name)
        if (name not in WITH_ARGUMENTS or name == "GELU") and not layer.axes:
            compare(run, network_of(layer()), cr.L1Loss(), x)
    for loss in (cr.BCEWithLogitsLoss(), cr.CrossEntropyLoss()):
        compare(run, network_of(cr.Identity()), loss, x)


def test_every_operation_has_a_script_or_is_not_needed():
    page, operations = files("chainrule.explain").joinpath("page"), all_operations()
    scripts = {
        file.name.removesuffix(".js")
        for folder in ("operations", "optimizers")
        for file in page.joinpath(folder).iterdir()
    }
    assert scripts | set(NOT_IN_THE_PAGE) == set(operations)
    assert not scripts & set(NOT_IN_THE_PAGE)
    rules = {name for name, known in operations.items() if isinstance(known, UpdateOperation)}
    for name in scripts:
        assert script_of(name).is_file() == (name not in rules), name


def test_what_a_user_wrote_or_is_too_large_has_no_description():
    x = np.ones((2, 3))

    def describe(net, loss, x=x):
        targets = loss.check_targets(np.zeros((len(x), 3)), [(len(x), 3)], np.dtype(float))
        return page_network(net, loss, x, targets)

    own = cr.Sequential(cr.Activation(lambda x: x * x, lambda x: 2 * x), backend="numpy")
    assert describe(own, cr.MSELoss()) is None
    small = cr.Sequential(cr.Linear(3, 3), seed=0)
    assert describe(small, cr.MSELoss()) is not None
    assert describe(small, cr.MSELoss(), np.full((MOST_BYTES // 20, 3), 1.5)) is None

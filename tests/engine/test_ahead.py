"""What is compiled ahead is what networks run."""

from inspect import signature

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine.ahead import calls_ahead
from chainrule.engine.update import UpdateOptions
from chainrule.losses import OutputLoss
from chainrule.operations.operation import all_operations
from chainrule.operations.update import UpdateOperation

FLOAT = np.dtype("float32")


def made_without_arguments(package, kind=object):
    """Return one of each public class of a package that needs no arguments."""
    classes = [getattr(cr, name) for name in package.__all__]
    return [
        made()
        for made in classes
        if issubclass(made, kind)
        and all(p.default is not p.empty for p in signature(made).parameters.values())
    ]


LAYERS = [
    cr.Linear(4, 4),
    cr.Dropout(0.5),
    cr.Rescale(2.0),
    cr.GELU("tanh"),
    cr.Residual(cr.Linear(4, 4)),
    cr.Parallel(cr.Tanh(), cr.Linear(4, 2), combine="concatenate"),
    cr.Parallel(cr.Tanh(), cr.Linear(4, 4), combine="product"),
    cr.Standardize(mean=[0.0] * 4),
    *(cr.Conv2d(4, 4, 3, padding=1), cr.Conv2d(4, 4, 3, padding=1, groups=4)),
    *(cr.ConvTranspose2d(4, 4, 3), cr.Conv2d(4, 4, 3, padding=1, bias=False)),
    *(cr.Conv2d(4, 256, 3, padding=1), cr.ConvTranspose2d(4, 256, 3)),  # large
    *(cr.MaxPool2d(2), cr.AvgPool2d(2), cr.ZeroPad(1), cr.Upsample(2), cr.RandomCrop(1)),
    *(layer for layer in made_without_arguments(cr.layers) if layer != cr.Standardize()),
]
LOSSES = made_without_arguments(cr.losses, OutputLoss)
OPTIMIZERS = [
    *made_without_arguments(cr.optimizers),
    cr.Adam(amsgrad=True),
    cr.SGD(momentum=0.9),
    *(cr.RMSprop(momentum=0.9, centered=centered) for centered in (False, True)),
]


def functions(calls):
    return {(call.function.code.__name__, call.kinds) for call in calls}


@pytest.fixture(scope="module")
def of_mlp():
    return functions(calls_ahead(FLOAT, everything=False))


@pytest.fixture(scope="module")
def everything():
    return functions(calls_ahead(FLOAT, everything=True))


def of_training(loss, optimizer):
    outputs = len(loss.quantiles) if isinstance(loss, cr.QuantileLoss) else 2
    net = cr.Sequential(cr.Linear(3, 5), cr.ReLU(), cr.Linear(5, outputs), seed=0)
    plan = net.make_plan((3,), 4, loss=loss)
    return functions([*plan.program, *optimizer.state(net).program.program])


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_networks_loss_needs_nothing_else(of_mlp, loss):
    assert of_training(loss, cr.Adam()) <= of_mlp


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_a_networks_optimizer_needs_nothing_else(of_mlp, optimizer):
    assert of_training(cr.MSELoss(), optimizer) <= of_mlp


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_layer_needs_nothing_else(everything, layer):
    net = cr.Sequential(cr.Linear(4, 4), layer, seed=0)
    shape = (2, 2, 4) if layer.axes else (4,)
    made = net.make_plan(shape, 4, training=True), net.make_plan(shape, 4, retain=True)
    assert all(functions(plan.program) <= everything for plan in made)


def test_everything_has_frozen_parameters_and_factors_of_the_rate(everything):
    net = cr.Sequential(cr.Linear(3, 5), cr.Linear(5, 2), seed=0)
    net.freeze("0.weight")
    state = cr.Adam(lr_factors={"1.*": 0.5}).state(net, UpdateOptions(clip_norm=1.0))
    assert functions(state.program.program) <= everything


def test_everything_is_more(of_mlp, everything):
    assert of_mlp < everything


def test_there_is_every_operation(everything):
    names = {name for name, _ in everything}
    for operation in all_operations().values():
        first = operation.update if isinstance(operation, UpdateOperation) else operation.forward
        assert first.code.__name__ in names

"""An axis without elements is refused by name everywhere, or gives what NumPy gives: no NaN."""

import inspect
import re
from math import prod

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers.container import Container

SHAPES = [(3, 0), (3, 2, 0), (3, 0, 2)]
ARGUMENTS = {
    **dict.fromkeys(("AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"), (2,)),
    "BatchNorm": (2,),
    **dict.fromkeys(("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"), (2, 2, 2)),
    "Embedding": (2, 2),
    "LayerNorm": (2,),
    "Columns": ([1, 0],),
    "RMSNorm": (2,),
    "GroupNorm": (1, 2),
    "Linear": (2, 2),
    **dict.fromkeys(("RandomCrop", "RandomShift", "Upsample", "ZeroPad"), (1,)),
    "Rescale": (2.0,),
    "Standardize": (2, (0.0, 1.0)),
}
LAYERS = [cr.Activation(lambda x: x * x, lambda x: 2 * x)]
for name in cr.layers.__all__:
    cls = getattr(cr, name)
    if cls is cr.Inputs:  # see models/test_inputs.py
        continue
    parts = (cr.Identity(), cr.Tanh()) if issubclass(cls, Container) else ()
    LAYERS.append(cls(*parts, *ARGUMENTS.get(name, ())))
LOSSES = [getattr(cr, name)() for name in cr.losses.__all__]
EMPTY_AXIS = r"must have no empty axis, but its shape is"

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def target_of(loss, shape):
    return np.zeros(len(np.empty(shape)), int) if loss.takes_labels else np.empty(shape)


@each_shape
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_every_layer(layer, shape):
    net = cr.Sequential(layer, seed=0)
    for call in (net.predict, net.forward):
        with pytest.raises(ValueError, match=rf"[xX] {EMPTY_AXIS}"):
            call(np.empty(shape))
    with pytest.raises(ValueError, match=f"the input {EMPTY_AXIS}"):
        net.output_shapes(shape[1:])


@each_shape
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_every_loss(loss, shape):
    x, net = np.empty(shape), cr.Sequential(cr.Identity(), seed=0)
    y = target_of(loss, shape)
    for call in (
        lambda: loss(x, y),
        lambda: cr.MultiLoss(loss, loss)((x, x), (y, y)),
        lambda: cr.fit(net, x, y, loss=loss, progress=False),
        lambda: cr.fit(net, [(x, y)], loss=loss, progress=False),
        lambda: cr.gradcheck(net, loss, x, y),
        lambda: cr.gradgradcheck(net, loss, x, y),
        lambda: cr.explain(net, loss, x, y),
        lambda: cr.nudge(net, loss, x, y, "x", None, 0.1),
        lambda: cr.objective(net, loss, x, y),
        lambda: cr.find_lr(net, x, y, loss=loss),
    ):
        with pytest.raises(ValueError, match=EMPTY_AXIS):
            call()


@each_shape
@pytest.mark.parametrize("name", cr.autodiff.__all__)
def test_every_derivative(name, shape):
    net = cr.Sequential(cr.Tanh(), cr.Identity(), seed=0)
    x = np.empty(shape)
    given = {"net": net, "loss": cr.MSELoss(), "x": x, "y": x, "max_norm": 1.0, "derivatives": [()]}
    given |= {"vector": net.params, "tangent": net.params}
    function = getattr(cr, name)
    taken = {
        parameter.name: given[parameter.name]
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
    }

    def call():
        result = function(**taken)
        return result(net.params, x, x) if name == "value_and_grad" else result

    with pytest.raises(ValueError, match=f"x {EMPTY_AXIS}"):
        call()


def test_layers_of_ones_own_that_give_nothing():
    class Nothing(cr.NumPyLayer):
        def output_shape(self, input_shape):
            return (0,)

        def forward(self, x):
            return x[:, :0]

    for layers in ((cr.Linear(2, 3), Nothing()), (Nothing(),)):
        with pytest.raises(
            ValueError, match=r"must give no empty axis, but it gives shape \(n, 0\)"
        ):
            cr.Sequential(*layers, seed=0).predict(np.ones((3, 2)))


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0), (0,)], ids=str)
@pytest.mark.parametrize("name", [n for n in cr.ops.__all__ if callable(getattr(cr.ops, n))])
def test_every_function_on_arrays(name, shape):
    function = getattr(cr.ops, name)
    given = {
        "weight": np.empty(shape[-1:]),
        "label": np.zeros(shape[:-1], int),
        "w": np.empty((shape[-1], shape[-1])),
        "b": np.empty(shape[::-1]),
        "max_norm": 1.0,
        "step": 1,
    }
    taken = {
        parameter.name: given.get(parameter.name, np.empty(shape))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
    }
    if name in ("glu", "glu_backward"):
        taken["x"] = np.empty((*shape[:-1], 2 * shape[-1]))
    if name == "quantile":
        taken["output"] = np.empty((*shape, 3))
    if name == "gaussian_nll":
        rows, columns = shape[0], prod(shape[1:])
        taken |= {"output": np.empty((rows, 2 * columns)), "target": np.empty((rows, columns))}
    is_rowwise = "softmax" in name or name in ("cross_entropy", "glu", "glu_backward")
    if is_rowwise and shape[-1] == 0:  # along the axis that sums go along
        message = rf"{re.escape(str(shape))}, which is empty|at least one class, but .*{shape[-1]}"
        with pytest.raises(ValueError, match=message):
            function(**taken)
        return
    results = function(**taken)
    for result in results if isinstance(results, tuple) else (results,):
        assert result is None or np.isfinite(result).all()


@pytest.mark.parametrize("name", cr.metrics.__all__)
def test_every_metric(name):
    if name == "roc_auc":
        pytest.importorskip("sklearn")
    for labels in (np.empty((3, 0)), np.zeros(3, int)):
        with pytest.raises(ValueError, match=r"shape"):
            getattr(cr.metrics, name)(np.empty((3, 0)), labels)


@pytest.mark.parametrize("name", ["NetworkClassifier", "NetworkRegressor"])
def test_estimators_say_what_scikit_learn_says(name):
    estimator = getattr(pytest.importorskip("chainrule.interop.sklearn"), name)()
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        estimator.fit(np.empty((4, 0)), [0, 1, 0, 1])

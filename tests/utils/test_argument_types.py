"""Truths, integers and numbers: the wrong type is an error that names the argument.

Of every public class and function; they are found by their annotations.
"""

import inspect
import tempfile
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

pytestmark = pytest.mark.once

MODULES = cr, cr.callbacks, cr.schedules, cr.metrics, cr.initializers, cr.datasets, cr.ops
# What comes out of the package.
RESULTS = {"GradientReport", "SecondGradientReport", "History", "NonFiniteError", "Training"}
KINDS = {
    # wrong ones, and how a right one is made a scalar of NumPy's
    "bool": (["no", 1, 0.0], np.bool_, True),
    "int": (["3", True, 2.5, [3]], np.int64, 1),
    "float": (["0.5", True, np.True_, 0.5j], np.float32, 0.5),
}

X, Y, LABELS = np.ones((4, 3)), np.ones((4, 2)), np.zeros(4, int)
VECTORS = "params", "grads", "mean", "square", "velocity", "largest", "root"


def network():
    return cr.Sequential(cr.Linear(3, 2), seed=0)


def problem():
    return {"net": network(), "loss": cr.MSELoss(), "x": X, "y": Y}


def training():
    return {"net": network(), "X": X, "y": Y, "loss": cr.MSELoss()}


def squares():
    return {"function": lambda x: (x**2).sum(), "gradient": lambda x: 2 * x, "x": np.ones(2)}


def update():
    return {name: np.ones(3) for name in VECTORS} | {"step": 1}


def double(x, y):
    for i in range(x.size):
        y.flat[i] = 2 * x.flat[i]


def double_backward(dy, dx):
    for i in range(dy.size):
        dx.flat[i] = 2 * dy.flat[i]


SEQUENTIAL = partial(cr.Sequential, cr.Linear(3, 2))


# What is needed besides, and values that fit together.
def images():
    path = Path(tempfile.mkdtemp(), "images.npz")
    np.savez(path, images=np.ones((2, 3, 3)), labels=[0, 1])
    return path


NEEDED = {
    "Checkpoint": lambda: {"path": "no-file"},
    "ModelCheckpoint": lambda: {"path": "no-file"},
    "ExponentialMovingAverage": lambda: {"net": network()},
    **dict.fromkeys(
        ("AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"), lambda: {"kernel_size": 2}
    ),
    "BatchNorm": lambda: {"features": 3},
    "CompiledLayer": lambda: {"forward": double, "backward": double_backward},
    **dict.fromkeys(
        ("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"),
        lambda: {"in_channels": 2, "out_channels": 2, "kernel_size": 2},
    ),
    "Embedding": lambda: {"num_embeddings": 3, "embedding_dim": 2},
    "LayerNorm": lambda: {"features": 3},
    "Columns": lambda: {"indices": [0, 1]},
    "RMSNorm": lambda: {"features": 3},
    "GroupNorm": lambda: {"groups": 1, "features": 3},
    "Linear": lambda: {"in_features": 3, "out_features": 2},
    "load_images": lambda: {"path": images()},
    "Parameter": lambda: {"shape": (3,), "initializer": cr.initializers.Zeros()},
    "RandomCrop": lambda: {"size": 2},
    "RandomShift": lambda: {"shift": 1},
    "Upsample": lambda: {"scale_factor": 2},
    "ZeroPad": lambda: {"padding": 1},
    "Rescale": lambda: {"scale": 2.0},
    "CosineAnnealingLR": lambda: {"lr": 0.5},
    "LinearLR": lambda: {"lr": 0.5},
    "OneCycleLR": lambda: {"max_lr": 0.5},
    "StepLR": lambda: {"lr": 0.5, "epochs": 2.0},
    "SGD": lambda: {"momentum": 0.9},
    "clip_grad_norm": lambda: {"net": network(), "max_norm": 1.0},
    "clip_grad_value": lambda: {"net": network(), "clip_value": 1.0},
    "clipped_grad": lambda: problem() | {"max_norm": 1.0},
    "explain": problem,
    "find_lr": lambda: training() | {"steps": 4},
    "fit": lambda: training() | {"progress": False, "epochs": 1},
    "gradcheck": squares,
    "gradgradcheck": lambda: {
        "gradient": lambda x: 2 * x, "product": lambda x, v: 2 * v, "x": np.ones(2),
    },
    "nudge": lambda: problem() | {"name": "0.bias", "index": 0, "delta": 0.1},
    "set_num_threads": lambda: {"n": cr.get_num_threads()},
    "threads": lambda: {"n": 1},
    "top_k_accuracy": lambda: {"y_true": LABELS, "y_score": Y, "k": 1},
    "ops.clip_grad_norm": lambda: {"grads": np.ones(3), "max_norm": 1.0},
    "ops.cross_entropy": lambda: {"output": Y, "label": LABELS},
    "ops.gaussian_nll": lambda: {"output": Y, "target": Y[:, :1]},
    "ops.glu_backward": lambda: {"dy": Y[:, :1], "x": Y},
    "ops.huber": lambda: {"output": Y, "target": Y},
    "ops.sgd_update": lambda: update() | {"momentum": 0.9},
}  # fmt: skip
# A right value, where that of its kind is none.
VALUES = {"cooldown": 1, "axis": -1, "high": 2.0, "resume": False}
VALUES |= {"steps": 2, "tolerance": 0.1, "max_elements": 1000, "initial_accumulator_value": 0.5}


def name_of(module, name):
    return f"ops.{name}" if module is cr.ops else name


def callables():
    for module in MODULES:
        for name in getattr(module, "__all__", None) or vars(module):
            item = getattr(module, name)
            if not name.startswith("_") and callable(item) and name not in RESULTS:
                yield name_of(module, name), SEQUENTIAL if item is cr.Sequential else item


def parameters():
    for name, item in callables():
        for parameter in _signature(item):
            words = _words(parameter)
            for kind in KINDS:
                if kind in words:
                    yield pytest.param(name, item, parameter, kind, id=f"{name}-{parameter.name}")
                    break


def _signature(item):
    try:
        return inspect.signature(item).parameters.values()
    except ValueError:  # a type without one
        return []


def _words(parameter):
    annotation = parameter.annotation
    return (annotation.__name__ if isinstance(annotation, type) else str(annotation)).split(" | ")


PARAMETERS = sorted(set(parameters()), key=lambda case: case.id)


def needed(name, item):
    given = NEEDED.get(name, update if name.endswith("_update") else dict)()
    names = {p.name for p in _signature(item)}
    missing = [
        p.name for p in _signature(item)
        if p.default is p.empty and p.kind == p.POSITIONAL_OR_KEYWORD and p.name not in given
    ]  # fmt: skip
    if name.startswith("ops."):  # elementwise functions and their backward passes
        given |= dict.fromkeys(missing, Y)
    return {key: value for key, value in given.items() if key in names}


def called(item, given):
    result = item(**given)
    if isinstance(result, AbstractContextManager):
        with result:
            pass


@pytest.mark.parametrize(("name", "item", "parameter", "kind"), PARAMETERS)
def test_the_wrong_type_is_named(name, item, parameter, kind):
    wrong = list(KINDS[kind][0])
    if any("Sequence" in word for word in _words(parameter)):
        wrong = [value for value in wrong if not isinstance(value, list)]
    if parameter.name == "momentum":  # it is needed with none of these
        wrong = [value for value in wrong if value]
    error = IndexError if parameter.name == "index" else TypeError
    for value in wrong:
        with pytest.raises(error, match=parameter.name):
            called(item, needed(name, item) | {parameter.name: value})


@pytest.mark.parametrize(("name", "item", "parameter", "kind"), PARAMETERS)
def test_scalars_of_numpy_are_numbers(name, item, parameter, kind):
    _, scalar, value = KINDS[kind]
    given = needed(name, item)
    if parameter.name == "steps":
        given.pop("epochs", None)  # instead of them
    value = given.get(parameter.name, VALUES.get(parameter.name, value))
    called(item, given | {parameter.name: scalar(value)})


ESTIMATORS = [
    (name, parameter.name)
    for name in ("NetworkClassifier", "NetworkRegressor")
    for parameter in _signature(getattr(pytest.importorskip("chainrule.interop.sklearn"), name))
    if isinstance(parameter.default, bool | int | float)
]


@pytest.mark.parametrize(("name", "parameter"), ESTIMATORS)
def test_the_wrong_type_in_an_estimator_is_named(name, parameter):
    from chainrule.interop import sklearn

    estimator = getattr(sklearn, name)(**{parameter: "no"})
    with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
        estimator.fit(X, LABELS)

"""Numbers are right in the dtype in which they are used, or an error names them."""

import inspect
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers.initializers import Initializer
from chainrule.layers.layer import Layer
from chainrule.losses import Loss
from chainrule.optimizers import Optimizer
from chainrule.training.callbacks import Callback
from chainrule.training.schedules import Schedule

pytestmark = pytest.mark.once

EXTREMES = [1e39, 1e-50]  # infinite, and 0, in float32
FLOAT = {float, "float", "WeightDecay", "float | None", float | None}
REQUIRED = {
    "lr": 0.5, "max_lr": 0.5, "steps": 8, "scale": 0.5, "value": 0.1,
    "high": 2e39, "features": 4, "groups": 2,
}  # fmt: skip
KINDS = Layer, Loss, Optimizer, Schedule, Callback, Initializer, cr.ExponentialMovingAverage
# What training gives, what says how often a file is written, and what computes in float64.
OTHERS = {"Checkpoint", "GradientReport", "History", "LearningRates", "SecondGradientReport"}
OTHERS |= {"Objective"}


def float_parameters(function):
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.annotation in FLOAT]


def public_classes():
    modules = cr, cr.schedules, cr.initializers, cr.callbacks
    found = {cls for m in modules for cls in vars(m).values() if inspect.isclass(cls)}
    found = {cls for cls in found if not issubclass(cls, BaseException)}
    return sorted((cls for cls in found if float_parameters(cls)), key=lambda cls: cls.__name__)


CASES = [
    (cls, name) for cls in public_classes() if cls.__name__ not in OTHERS
    for name in float_parameters(cls)
]  # fmt: skip


def made(cls, net=None, **changed):
    if issubclass(cls, Optimizer):  # at its own learning rate, so that rounding stays small
        return cls(**changed)
    names = inspect.signature(cls).parameters
    given = {name: REQUIRED[name] for name in names if name in REQUIRED} | changed
    if "epochs" in changed:
        del given["steps"]  # instead of them
    if cls is cr.callbacks.EarlyStopping or cls is cr.schedules.ReduceLROnPlateau:
        given["monitor"] = "loss"
    return cls(net, **given) if cls is cr.ExponentialMovingAverage else cls(**given)


def trained(dtype, cls=None, changed=None, **options):
    """Return the parameters after a few steps in which an object of the class has its part."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(16, 3)), rng.normal(size=(16, 2))
    layers = [cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2)]
    options = {"loss": cr.MSELoss(), "optimizer": cr.SGD(lr=0.01)} | options
    part = None
    if cls is not None and cls is not cr.ExponentialMovingAverage:
        part = made(cls, **changed)
    if isinstance(part, Layer):
        layers.insert(1, part)
    elif isinstance(part, Initializer):
        layers[0] = cr.Linear(3, 4, weight_init=part)
    elif isinstance(part, Loss):
        options["loss"] = part
        if part.takes_labels:
            y = rng.integers(0, 2, 16)
        else:  # of their shape, and counts of events are not negative
            y = np.abs(y)[:, : part.target_shape((2,))[-1]]
    elif isinstance(part, Optimizer):
        options["optimizer"] = part
    elif isinstance(part, Schedule):
        options["schedule"] = part
    elif isinstance(part, Callback):
        options["callbacks"] = [part]
    y = (y,) if isinstance(options["loss"], cr.MultiLoss) else y
    net = cr.Sequential(*layers, dtype=dtype, seed=0)
    if cls is cr.ExponentialMovingAverage:
        options["average"] = part = made(cls, net, **changed)
    cr.fit(net, X, y, epochs=2, batch_size=4, progress=False, **options)
    averaged = part.network.params if cls is cr.ExponentialMovingAverage else []
    return np.concatenate([net.params, averaged])


def outcome(*arguments):
    """Return what became of the training: the parameters, or how the error reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "(?s).* lets the learning rate fall to nothing")
        try:
            return trained(*arguments), ""
        except cr.NonFiniteError:
            return None, "it diverged"
        except ValueError as error:
            return None, str(error)


def test_all_public_classes_are_known():
    unknown = [cls for cls in public_classes() if not issubclass(cls, KINDS)]
    assert {cls.__name__ for cls in unknown} <= OTHERS


@pytest.mark.parametrize("value", EXTREMES)
@pytest.mark.parametrize(("cls", "name"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_numbers_of_classes(cls, name, value):
    # A schedule's rates, and first values, are checked as they come out.
    called = "0.weight" if issubclass(cls, Initializer) else name
    called = f"{cls.__name__}'s" if issubclass(cls, Schedule) else called
    result, message = outcome("float32", cls, {name: value})
    expected, message_of_double = outcome("float64", cls, {name: value})
    if result is None:
        assert called in message or message == message_of_double == "it diverged"
    else:
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip_norm", {"clip_norm": 1e-50}),
        ("clip_norm", {"clip_norm": 1e39}),
        ("clip_value", {"clip_value": 1e-50}),
        ("clip_value", {"clip_value": 1e39}),
        ("SGD's lr", {"optimizer": cr.SGD(lr=1e39)}),
        ("weight_decay['*.bias']", {"optimizer": cr.AdamW(weight_decay={"*.bias": 1e39})}),
        ("betas[1]", {"optimizer": cr.Adam(betas=(0.9, 1 - 1e-10))}),
        ("eps", {"optimizer": cr.Adam(eps=1e-44)}),  # what is added to the root is 0
        ("MultiLoss's weights[0]", {"loss": cr.MultiLoss(cr.MSELoss(), weights=[1e39])}),
        ("HuberLoss's delta", {"loss": cr.MultiLoss(cr.HuberLoss(1e-50))}),
    ],
)
def test_numbers_in_fit(name, options):
    with pytest.raises(ValueError, match="float32") as caught:
        trained("float32", **options)
    assert name in str(caught.value)


def test_a_wrong_number_is_found_before_anything_changes():
    X = np.ones((4, 3))
    defaults = {"loss": cr.MSELoss(), "batch_size": 4, "progress": False}
    for changed in ({"optimizer": cr.Adam(eps=1e-50)}, {"loss": cr.HuberLoss(1e-50)}):
        net = cr.Sequential(cr.Linear(3, 1), seed=0)
        before = net.params.copy()
        with pytest.raises(ValueError, match="more than 0 in float32"):
            cr.fit(net, X, X[:, :1], **defaults | changed)
        assert np.array_equal(net.params, before)
    optimizer = cr.SGD()
    optimizer.lr = 1e39  # right in float64
    with pytest.raises(ValueError, match="SGD's lr must be 0 or more in float32"):
        optimizer.step(net)
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize("value", EXTREMES)
def test_numbers_of_functions(value):
    net = cr.Sequential(cr.Linear(3, 1), seed=0)
    net.grads[:] = 1
    x, y = np.ones((4, 3)), np.zeros((4, 1))
    for call in (
        lambda: cr.clip_grad_norm(net, max_norm=value),
        lambda: cr.clip_grad_value(net, clip_value=value),
        lambda: cr.clipped_grad(net, cr.MSELoss(), x, y, max_norm=value),
        lambda: cr.find_lr(net, x, y, loss=cr.MSELoss(), first=value, batch_size=4),
        lambda: cr.find_lr(net, x, y, loss=cr.MSELoss(), last=value, batch_size=4),
        lambda: cr.HuberLoss(delta=value)(y.astype("f"), y),
    ):
        with pytest.raises(ValueError, match=r"(max_norm|clip_value|first|last|delta) must"):
            call()
    assert (net.grads == 1).all()

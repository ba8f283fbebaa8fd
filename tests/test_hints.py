"""Messages that say what to do, for what users of other packages try first."""

import inspect
import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import save_file

import chainrule as cr

pytestmark = pytest.mark.once

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
OPTIONS = {"epochs": 1, "batch_size": 10, "progress": False}
OPTIMIZERS = [getattr(cr, name) for name in cr.optimizers.__all__ if name != "Optimizer"]
LAYERS = [getattr(cr, name) for name in cr.layers.__all__]
LOGITS = [cr.CrossEntropyLoss(), cr.BCEWithLogitsLoss()]


def network(*last):
    return cr.Sequential(cr.Linear(3, 2), *last, seed=0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "given", [network(), network().parameters(), network().params, iter([]), [np.zeros(2)]]
)
def test_optimizers_take_no_parameters(optimizer, given):
    name = optimizer.__name__
    made = rf"cr\.{name}\(lr=0\.1\)"
    message = rf"^{made} takes no parameters: .* cr\.fit\(net, \.\.\., optimizer={made}\)\.$"
    for options in ({}, {"lr": 0.1}, {"weight_decay": 0.1}):
        with pytest.raises(TypeError, match=message):
            optimizer(given, **options)
        with pytest.raises(TypeError, match=message):
            optimizer(params=given, **options)
    cr.fit(network(), X, Y, loss=cr.CrossEntropyLoss(), optimizer=optimizer(lr=0.1), **OPTIONS)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_still_have_their_signature(optimizer):
    assert next(iter(inspect.signature(optimizer).parameters)) == "lr"
    for rate in (0.5, np.float32(0.5), np.array(0.5)):
        assert optimizer(rate).lr == 0.5
    assert repr(pickle.loads(pickle.dumps(optimizer(0.5)))) == repr(optimizer(0.5))
    with pytest.raises(TypeError, match=r"lr must be a number, not '0\.1'"):
        optimizer("0.1")
    with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
        optimizer(rate=0.1)


def probabilities():
    """Which layers give numbers from 0 to 1 that sum to 1, or are sigmoids."""
    return [kind for kind in LAYERS if kind.gives_probabilities]


def trained(net, loss, y):
    return cr.fit(net, X, y, loss=loss, **OPTIONS)


def searched(net, loss, y):
    return cr.find_lr(net, X, y, loss=loss, steps=3)


def stepped(net, loss, y):
    return cr.train_step(net, loss, cr.Adam())(X, y)


def targets_of(loss):
    return Y if loss.takes_labels else np.eye(2)[Y]


@pytest.mark.parametrize("train", [trained, stepped, searched])
@pytest.mark.parametrize("loss", LOGITS, ids=repr)
@pytest.mark.parametrize("layer", [cr.Softmax, cr.Sigmoid])
def test_probabilities_for_a_loss_that_takes_logits_are_warned_of(layer, loss, train):
    message = rf"{type(loss).__name__} takes logits .* ends in {layer.__name__}\(\) \(layer 1\)"
    with pytest.warns(UserWarning, match=message) as said:
        train(network(layer()), loss, targets_of(loss))
    assert [warning.filename for warning in said] == [__file__]


@pytest.mark.parametrize(
    "last", [[cr.Flatten()], [cr.Dropout(0.1)], [cr.Identity(), cr.Flatten(), cr.Dropout(0.5)]]
)
def test_layers_that_pass_probabilities_may_follow(last):
    with pytest.warns(UserWarning, match=r"ends in Softmax\(\) \(layer 1\)"):
        trained(network(cr.Softmax(), *last), cr.CrossEntropyLoss(), Y)
    with warnings.catch_warnings(action="error"):
        trained(network(cr.Softmax(), *last), cr.MSELoss(), np.eye(2)[Y])
        trained(network(*last), cr.CrossEntropyLoss(), Y)


def test_a_schedule_that_ends_too_early_is_named_at_the_users_line():
    schedule = cr.schedules.OneCycleLR(0.1, steps=2)
    with pytest.warns(UserWarning, match="fall to nothing") as said:
        cr.fit(
            network(),
            X,
            Y,
            loss=cr.CrossEntropyLoss(),
            schedule=schedule,
            **OPTIONS | {"epochs": 99},
        )
    assert [warning.filename for warning in said] == [__file__]


def test_no_other_layer_or_loss_is_warned_of():
    assert {*probabilities()} == {cr.Softmax, cr.Sigmoid}
    for loss in (getattr(cr.losses, name)() for name in cr.losses.__all__):
        assert loss.takes_logits == (type(loss) in map(type, LOGITS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for last in (cr.Identity(), cr.LogSoftmax(), cr.ReLU()):
            trained(network(last), cr.CrossEntropyLoss(), Y)
        trained(cr.Sequential(cr.Sigmoid(), cr.Linear(3, 2)), cr.CrossEntropyLoss(), Y)
        trained(network(cr.Softmax()), cr.MSELoss(), np.eye(2)[Y])


def test_each_of_several_outputs_is_looked_at():
    heads = cr.Branch(cr.Linear(3, 2), cr.Sequential(cr.Linear(3, 2), cr.Softmax()))
    net = cr.Sequential(cr.Linear(3, 3), heads, seed=0)
    trained(net, cr.MultiLoss(cr.CrossEntropyLoss(), cr.MSELoss()), (Y, np.eye(2)[Y]))
    with pytest.warns(UserWarning, match=r"ends in Softmax\(\) \(layer 1\.1\.1\)"):
        trained(net, cr.MultiLoss(cr.MSELoss(), cr.CrossEntropyLoss()), (np.eye(2)[Y], Y))


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        (
            "model.pt",
            b"PK\x03\x04" + bytes(100),
            r"safetensors\.torch\.save_file\(model\.state_dict",
        ),
        ("model.PTH", b"PK\x03\x04" + bytes(100), r"cr\.interop\.torch\.from_state_dict"),
        ("model", b"\x80\x02}q\x00." + bytes(100), r"looks like a file of torch\.save"),
        ("model.onnx", b"\x08\x08" + bytes(100), r"cr\.from_onnx\(path\) reads ONNX files"),
        ("model.safetensors", b"\x08" + bytes(100), r"is no safetensors file, or a damaged one"),
        ("empty.pt", b"", r"looks like a file of torch\.save"),
    ],
)
def test_files_of_others(tmp_path, name, content, hint):
    path = tmp_path / name
    path.write_bytes(content)
    calls = (
        lambda: cr.load(path),
        lambda: cr.load_metadata(str(path)),
        lambda: cr.interop.torch.from_state_dict(network(), path),
        lambda: cr.fit(
            network(), X, Y, loss=cr.CrossEntropyLoss(), checkpoint=path, resume=True, **OPTIONS
        ),
    )
    for call in calls:
        with pytest.raises(cr.ModelFileError, match=hint):
            call()
    assert path.read_bytes() == content


def test_weights_of_pytorch_in_a_safetensors_file(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"0.weight": np.ones((2, 3), "f4"), "0.bias": np.ones(2, "f4")}, path)
    with pytest.raises(
        cr.ModelFileError, match=r"cr\.interop\.torch\.from_state_dict\(net, path\)"
    ):
        cr.load(path)
    net = network()
    cr.interop.torch.from_state_dict(net, path)
    assert (net.params == 1).all()


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ([lambda y, output: 1.0], ValueError, r"metrics\[0\], <lambda>, has no name: give .* dict"),
        ([max, partial(min, key=0)], ValueError, r"metrics\[1\], functools\.partial.*has no name"),
        ([max, max], ValueError, r"two functions of the same name: give names in a dict"),
        ({"a b": max}, ValueError, r"has the name 'a b', which is no identifier\."),
        (max, TypeError, r"a list or a dict of functions, not <built-in.*>\. Put it into a list"),
        (["accuracy"], TypeError, r"metrics\[0\] must be a function, not 'accuracy'"),
    ],
)
def test_metrics(metrics, error, message):
    with pytest.raises(error, match=message):
        cr.fit(
            network(), X, Y, loss=cr.CrossEntropyLoss(), validation=(X, Y), metrics=metrics,
            **OPTIONS,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cr.Sequential([cr.Linear(3, 2)]), r"Layers are arguments of their own: put a \*"),
        (lambda: cr.Sequential(cr.ReLU), "Did you forget the brackets"),
        (lambda: cr.Sequential(lambda x: x), r"cr\.Activation makes a layer of a function"),
        (lambda: trained(network(), cr.MSELoss, X), "Did you forget the brackets"),
        (lambda: cr.train_step(network(), cr.MSELoss(), cr.Adam), "Did you forget the brackets"),
        (
            lambda: cr.fit(network(), X, Y, loss=cr.CrossEntropyLoss(), optimizer=cr.Adam),
            "Did you forget the brackets",
        ),
    ],
)
def test_arguments_of_another_kind(call, message):
    with pytest.raises(TypeError, match=message):
        call()

"""chainrule computes what PyTorch computes: golden/README.md tells what is compared."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

FOLDER = Path(__file__).parent / "golden"
DATA = runpy.run_path(str(FOLDER / "cases.py"))
CASES, STEPS = DATA["CASES"], DATA["STEPS"]
TOLERANCE = 1e-10

with np.load(FOLDER / "golden.npz") as file:
    GOLDEN = dict(file)

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_backend = pytest.mark.parametrize("backend", ["numba", "numpy"])


def golden_of(case, prefix=""):
    """The golden arrays of a case whose key starts with the prefix, by the rest of the key."""
    prefix = f"{case.name}/{prefix}"
    return {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN if key.startswith(prefix)}


def make(spec, made=None):
    """What a case describes; ``made`` holds shared layers, which are one object."""
    name, args, kwargs = spec
    made = {} if made is None else made
    if id(spec) not in made or name != "Shared":
        args = [make(arg, made) if isinstance(arg, tuple) else arg for arg in args]
        kwargs = {"seed": 0} | kwargs if name == "Sequential" else kwargs
        made[id(spec)] = getattr(cr, name)(*args, **kwargs)
    return made[id(spec)]


def names_in(spec):
    """The class of what a case describes, and of all that it is made of."""
    name, args, _ = spec
    return {name}.union(*(names_in(arg) for arg in args if isinstance(arg, tuple)))


def of_each_head(golden, key):
    """An array, or a tuple of one for each input or output."""
    parts = [golden[k] for k in golden if k.startswith(f"{key}/")]
    return tuple(parts) if parts else golden[key]


def rows_of(golden):
    x = of_each_head(golden, "x")
    return len(x[0] if isinstance(x, tuple) else x)


def build(case, backend):
    """The network of a case with its golden initial parameters, its loss and its optimizer."""
    made = {}
    layers = [make(layer, made) for layer in case.layers]
    net = cr.Sequential(*layers, seed=0, dtype="float64", backend=backend)
    initial = {key: values[0] for key, values in golden_of(case, "parameters/").items()}
    parameters = net.parameters()
    assert parameters.keys() == initial.keys()
    for key, value in initial.items():
        assert parameters[key].shape == value.shape
        parameters[key][...] = value
    return net, make(case.loss), make(case.optimizer)


def agree(actual, expected, what):
    if isinstance(expected, tuple):
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            agree(a, e, f"{what} {i}")
        return
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=what)


def agree_by_name(actual, expected):
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        agree(actual[key], value, key)


def parameters_after(case, step):
    return {key: values[step] for key, values in golden_of(case, "parameters/").items()}


@each_backend
@each_case
def test_gradients(case, backend):
    net, loss, _ = build(case, backend)
    golden = golden_of(case)
    out = net.forward(of_each_head(golden, "x"))
    agree(out, of_each_head(golden, "output"), "output")
    value, d_out = loss(out, of_each_head(golden, "y"), sample_weight=golden.get("sample_weight"))
    assert value == pytest.approx(golden["losses"][0], rel=TOLERANCE, abs=TOLERANCE)
    agree(d_out, of_each_head(golden, "d_output"), "gradient by output")
    agree(net.backward(d_out), of_each_head(golden, "d_x"), "gradient by x")
    agree_by_name(net.gradients(), golden_of(case, "gradients/"))


@each_backend
@each_case
def test_optimizer_steps(case, backend):
    net, loss, optimizer = build(case, backend)
    golden = golden_of(case)
    for step in range(STEPS):
        out = net.forward(of_each_head(golden, "x"))
        value, d_out = loss(
            out, of_each_head(golden, "y"), sample_weight=golden.get("sample_weight")
        )
        net.backward(d_out)
        optimizer.step(net)
        assert value == pytest.approx(golden["losses"][step], rel=TOLERANCE, abs=TOLERANCE)
        agree_by_name(net.parameters(), parameters_after(case, step + 1))


@each_backend
@each_case
def test_fit(case, backend):
    """fit() on the full batch takes the same steps."""
    net, loss, optimizer = build(case, backend)
    golden = golden_of(case)
    cr.fit(
        net,
        of_each_head(golden, "x"),
        of_each_head(golden, "y"),
        loss=loss,
        optimizer=optimizer,
        epochs=STEPS,
        batch_size=rows_of(golden),
        shuffle=False,
        sample_weight=golden.get("sample_weight"),
        progress=False,
    )
    agree_by_name(net.parameters(), parameters_after(case, STEPS))


def test_cases_cover_every_layer_loss_and_optimizer():
    # Some stand alone: see test_operations.py and optimizers/test_rules.py.
    alone = json.loads((FOLDER / "operations.json").read_text())
    used = {case.get("layer") or case["loss"] for case in alone}
    cases = json.loads((FOLDER / "optimizers.json").read_text())["cases"]
    used |= {case["optimizer"] for case in cases}
    used |= {case["layer"] for case in json.loads((FOLDER / "images.json").read_text())}
    for case in CASES:
        used = used.union(*map(names_in, (*case.layers, case.loss, case.optimizer)))
    public = {*cr.layers.__all__, *cr.losses.__all__, *cr.optimizers.__all__, "MultiLoss"}
    # PyTorch draws other numbers: see test_dropout.py and test_augmentation.py.
    at_random = {"Dropout", "RandomCrop", "RandomFlip", "RandomShift"}
    assert public - used == at_random


def test_cases_cover_every_loss_with_sample_weights():
    weighted = {case.loss[0] for case in CASES if case.weighted}
    alone = json.loads((FOLDER / "operations.json").read_text())
    weighted |= {case["loss"] for case in alone if "sample_weight" in case}
    assert set(cr.losses.__all__) - weighted == set()

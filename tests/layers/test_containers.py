"""Containers: names, shapes, shared parameters, what cannot be built, what is saved."""

import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import save as as_bytes

import chainrule as cr
from chainrule.layers.graph import INPUT
from chainrule.models.architecture import DEEPEST, MOST_LAYERS, build, describe
from chainrule.models.model_file import KEY


def batch(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Shapes and messages


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: cr.Residual(), ValueError, r"Residual needs at least one layer\."),
        (lambda: cr.Shared(), ValueError, r"Shared needs at least one layer\."),
        (lambda: cr.Parallel(cr.ReLU()), ValueError, r"Parallel needs at least two branches\."),
        (lambda: cr.Branch(cr.ReLU()), ValueError, r"Branch needs at least two heads\."),
        (
            lambda: cr.Residual(cr.Linear(2, 2), cr.ReLU),
            TypeError,
            r"Layer 1 of Residual is no layer but <class .*>\. Did you forget the brackets\?",
        ),
        (
            lambda: cr.Branch(cr.ReLU(), [cr.ReLU()]),
            TypeError,
            r"Head 1 of Branch is no layer but \[ReLU\(\)\]\.",
        ),
        (
            lambda: cr.Parallel(cr.ReLU(), cr.ReLU(), combine="mean"),
            ValueError,
            r"Parallel's combine must be 'sum', 'concatenate' or 'product', not 'mean'\.",
        ),
        (
            lambda: cr.Sequential(cr.Linear(4, 4), cr.Residual(cr.Linear(4, 3))),
            ValueError,
            r"Residual\(\.\.\.\) \(layer 1\) expects layers that keep the shape, but it "
            r"merges shapes \(n, 4\) and \(n, 3\)\.",
        ),
        (
            lambda: cr.Sequential(cr.Residual(cr.Linear(4, 3))),
            ValueError,
            r"\(layer 0\) expects layers that keep the shape, but it merges shapes \(n, 4\)",
        ),
        (
            lambda: cr.Sequential(cr.Parallel(cr.Linear(4, 3), cr.Linear(4, 2), cr.Linear(4, 3))),
            ValueError,
            r"Parallel\(\.\.\., combine='sum'\) \(layer 0\) expects branches that give the same "
            r"shape, but it merges shapes \(n, 3\), \(n, 2\) and \(n, 3\)\.",
        ),
        (
            lambda: cr.Sequential(cr.Parallel(cr.Linear(4, 3), cr.Linear(5, 3))),
            ValueError,
            r"Linear\(5, 3\) \(layer 0\.1\) expects 5 input features, but Linear\(4, 3\) "
            r"\(layer 0\.0\) takes the same in shape \(n, 4\)\.",
        ),
        (
            lambda: cr.Sequential(
                cr.Linear(4, 3), cr.Residual(cr.ReLU(), cr.Sequential(cr.Linear(4, 3)))
            ),
            ValueError,
            r"Linear\(4, 3\) \(layer 1\.1\.0\) expects 4 input features, but ReLU\(\) "
            r"\(layer 1\.0\) gives shape \(n, 3\)\.",
        ),
        (
            lambda: cr.Sequential(cr.Branch(cr.ReLU(), cr.ReLU()), cr.ReLU()),
            ValueError,
            r"Branch \(layer 0\) has several outputs: it must be the last layer of the network\.",
        ),
        (
            lambda: cr.Sequential(cr.Residual(cr.Branch(cr.ReLU(), cr.ReLU()))),
            ValueError,
            r"Branch \(layer 0\.0\) has several outputs",
        ),
        (
            lambda: cr.Sequential(cr.Residual(cr.ReLU(name="A"), name="B"), cr.Tanh(name="B")),
            ValueError,
            r"Layers 0 and 1 are both named 'B'\.",
        ),
    ],
)
def test_what_cannot_be_built(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_a_concatenation_needs_shapes_alike_but_for_the_last_axis():
    net = cr.Sequential(cr.Parallel(cr.ReLU(), cr.Flatten(), combine="concatenate"))
    assert net.predict(batch(5, 3)).shape == (5, 6)
    message = r"differ in nothing but the last axis, but it merges shapes \(n, 2, 3\) and \(n, 6\)"
    with pytest.raises(ValueError, match=message):
        net.predict(batch(5, 2, 3))


def test_images_go_through_containers():
    inner = cr.Parallel(cr.Linear(3, 2), cr.Linear(3, 4), combine="concatenate")
    net = cr.Sequential(cr.Residual(cr.Linear(3, 3), cr.Tanh()), inner, cr.Flatten(), seed=0)
    assert net.predict(batch(5, 2, 3)).shape == (5, 12)
    assert cr.gradcheck(net, cr.MSELoss(), batch(5, 2, 3), batch(5, 12)).passed


def test_the_graph_says_who_takes_what():
    shared = cr.Shared(cr.Linear(4, 4))
    branches = cr.Parallel(shared, cr.Sequential(cr.Tanh(), shared))
    net = cr.Sequential(cr.ReLU(), cr.Residual(cr.Tanh()), branches, seed=0)
    assert [node.path for node in net.graph.nodes] == [
        "0", "1.0", "1", "2.0.0", "2.1.0", "2.1.1.0", "2",
    ]  # fmt: skip
    assert [node.inputs for node in net.graph.nodes] == [
        (INPUT,), (0,), (0, 1), (2,), (2,), (4,), (3, 5),
    ]  # fmt: skip
    assert [node.owner for node in net.graph.nodes[-2:]] == ["2.0.0", "2"]
    assert not net.graph.is_chain
    assert cr.Sequential(cr.ReLU(), cr.Sequential(cr.Linear(3, 3))).graph.is_chain
    assert net.layer_name((2,)) == "Residual (layer 1)"


def test_the_summary_shows_parts_and_what_is_shared():
    shared = cr.Shared(cr.Linear(4, 4, name="H"))
    net = cr.Sequential(shared, cr.Residual(shared, cr.Tanh(), name="R"), seed=0)
    assert str(net.summary()).splitlines() == [
        "layer                            output shape   parameters",
        "0.0 Linear(4, 4) 'H'             (n, 4)         20",
        "1.0.0 Linear(4, 4) 'H', as 0.0   (n, 4)         0",
        "1.1 Tanh()                       (n, 4)         0",
        "1 Residual(...) 'R'              (n, 4)         0",
        "20 parameters, float32, 0.1 KiB",
    ]
    assert repr(net) == ("Sequential(Shared(Linear(4, 4)), Residual(Shared(Linear(4, 4)), Tanh()))")
    assert repr(cr.Parallel(cr.ReLU(), cr.Tanh())) == "Parallel(ReLU(), Tanh(), combine='sum')"


# Parameters


def test_a_network_in_a_container_brings_its_parameters():
    inner = cr.Sequential(cr.Linear(3, 3), seed=5)
    net = cr.Sequential(cr.Residual(cr.Tanh(), inner), seed=0)
    assert list(net.parameters()) == ["0.1.0.weight", "0.1.0.bias"]
    np.testing.assert_array_equal(net.params, inner.params)
    inner.params[:] = 0
    assert net.params.all()


def test_shared_layers_are_one_object():
    shared = cr.Shared(cr.Linear(3, 3), cr.Sequential(cr.Linear(3, 3), seed=3))
    net = cr.Sequential(shared, cr.Tanh(), shared, cr.Shared(cr.Linear(3, 3)), seed=0)
    assert list(net.parameters()) == [
        "0.0.weight", "0.0.bias", "0.1.0.weight", "0.1.0.bias", "3.0.weight", "3.0.bias",
    ]  # fmt: skip
    assert shared != cr.Shared(*shared.parts)
    # Another network with it begins for itself.
    assert cr.Sequential(shared, seed=1).params.size == 24


def test_of_networks_that_share_a_layer_the_first_one_counts():
    shared = cr.Shared(cr.Linear(3, 3))
    first, second = (cr.Sequential(cr.Tanh(), shared, shared, seed=seed) for seed in (1, 2))
    net = cr.Sequential(cr.Residual(first), second, seed=0)
    assert list(net.parameters()) == ["0.0.1.0.weight", "0.0.1.0.bias"]
    np.testing.assert_array_equal(net.params, first.params)


def test_shared_layers_stay_shared_in_copies_and_steps():
    shared = cr.Shared(cr.Linear(3, 3))
    net = cr.Sequential(shared, cr.Tanh(), cr.Residual(shared), seed=0, dtype="float64")
    x, y = batch(6, 3), batch(6, 3, seed=1)
    for twin in (net.copy(), pickle.loads(pickle.dumps(net))):
        assert twin.params.size == 12
        cr.fit(twin, x, y, loss=cr.MSELoss(), epochs=2, batch_size=3, progress=False)
        p = twin.parameters()
        h = x @ p["0.0.weight"] + p["0.0.bias"]
        h = np.tanh(h)
        expected = h + h @ p["0.0.weight"] + p["0.0.bias"]
        np.testing.assert_allclose(twin.predict(x), expected, rtol=1e-12, atol=1e-14)


# Saved models


def test_a_graph_comes_back(tmp_path):
    shared = cr.Shared(cr.Linear(3, 3, name="H"), cr.Tanh())
    nested = cr.Shared(cr.Residual(shared), cr.Sequential(cr.Linear(3, 3), seed=4))
    parallel = cr.Parallel(shared, nested, nested, combine="product", name="gate")
    heads = cr.Branch(shared, cr.Sequential(cr.Linear(3, 2), seed=0))
    net = cr.Sequential(nested, parallel, heads, seed=1)
    net.save(tmp_path / "model.safetensors")
    same = cr.load(tmp_path / "model.safetensors")
    assert list(same.parameters()) == list(net.parameters())
    assert str(same.summary()) == str(net.summary())
    x = batch(5, 3)
    for actual, expected in zip(same.predict(x), net.predict(x), strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert same[0] is same[1].parts[1]


LINEAR = {"layer": "Linear", "in_features": 3, "out_features": 3}


def doubling(times):
    """A few lines that stand for 2**times layers."""
    layers = [{"layer": "Shared", "number": 0, "parts": [{"layer": "ReLU"}]}]
    for number in range(1, times):
        again = {"layer": "Shared", "number": number - 1}
        layers.append({"layer": "Shared", "number": number, "parts": [again, again]})
    return layers


def deep(levels):
    item = {"layer": "ReLU"}
    for _ in range(levels):
        item = {"layer": "Residual", "parts": [item]}
    return [item]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"layer": "Residual"}], "a list of layers was expected, not None"),
        ([{"layer": "Residual", "parts": []}], "Residual needs at least one layer"),
        ([{"layer": "Residual", "parts": [{"layer": "Layer"}]}], "there is no layer"),
        ([{"layer": "Residual", "parts": [{"layer": "ReLU"}], "combine": "sum"}], "not describe"),
        ([{"layer": "Parallel", "parts": [LINEAR, LINEAR], "combine": "exec"}], "combine must be"),
        ([{"layer": "Parallel", "parts": [LINEAR, LINEAR], "combine": ["sum"]}], "not describe"),
        ([{"layer": "ReLU", "parts": []}], "not describe a ReLU"),
        ([{"layer": "Branch", "parts": [LINEAR, LINEAR]}, LINEAR], "must be the last layer"),
        ([{"layer": "Shared", "number": 0}], "no shared layer 0"),
        ([{"layer": "Shared", "parts": [LINEAR]}], "shared layer 0 has the number None"),
        ([{"layer": "Shared", "number": 3, "parts": [LINEAR]}], "has the number 3"),
        ([{"layer": "Shared", "number": -1}], "no shared layer -1"),
        ([{"layer": "Shared", "number": "0", "name": "S"}], "no shared layer '0'"),
        (
            [{"layer": "Shared", "number": 0, "parts": [{"layer": "Shared", "number": 0}]}],
            "no shared layer 0",
        ),
        ([{"layer": "Residual", "parts": [[]]}], "do not fit together"),
        (doubling(40), f"more than {MOST_LAYERS:,} layers"),
        (deep(DEEPEST + 1), f"more than {DEEPEST} deep"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, layers, message):
    about = {"format": 1, "dtype": "float32", "layers": layers}  # without a checksum
    path = tmp_path / "bad.safetensors"
    path.write_bytes(as_bytes({}, metadata={KEY: json.dumps(about)}))
    with pytest.raises(cr.ModelFileError, match=message):
        cr.load(path)


def test_what_could_not_be_loaded_is_not_saved():
    layer = cr.ReLU()
    for _ in range(DEEPEST + 1):
        layer = cr.Residual(layer)
    with pytest.raises(ValueError, match="deep"):
        describe([layer])
    assert build(describe([layer.parts[0].parts[0]]))

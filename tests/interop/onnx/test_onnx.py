"""ONNX files: checked and run by others, and back again; what is not supported is refused."""

import os
import random

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import chainrule as cr
from chainrule.interop.onnx.export import RULES
from chainrule.models.architecture import KNOWN

rng = np.random.default_rng(0)
SHARED = cr.Shared(cr.Linear(6, 6), cr.Tanh())
ARGUMENTS = {
    "BatchNorm": {"features": 6},
    "LayerNorm": {"features": 6},
    "Columns": {"indices": [3, 0, -1]},
    "RMSNorm": {"features": 6},
    "GroupNorm": {"groups": 3, "features": 6},
    "Standardize": {"mean": np.linspace(-1, 2, 6), "variance": np.geomspace(1e-4, 1e4, 6)},
    "Linear": {"in_features": 6, "out_features": 4},
    "GELU": {"approximate": "tanh"},
    "LeakyReLU": {"negative_slope": 0.3},
    "ELU": {"alpha": 0.7},
    "Rescale": {"scale": 0.5, "offset": -1.0},
}
LAYERS = {
    **{
        name: [kind(**ARGUMENTS.get(name, {}))]
        for name, kind in KNOWN.items()
        if name not in ("Residual", "Parallel", "Inputs", "Branch", "Shared", "Embedding")
        and not kind.axes
    },
    "no bias": [cr.Linear(6, 3, bias=False)],
    "RMSNorm without weight": [cr.RMSNorm(6, eps=0.1, affine=False), cr.Linear(6, 4)],
    "GroupNorm without weight": [cr.GroupNorm(2, 6, eps=0.1, affine=False), cr.Linear(6, 4)],
    "GELU exact": [cr.GELU()],
    "Residual": [cr.Residual(cr.Linear(6, 6), cr.ReLU(), cr.Residual(cr.SiLU())), cr.Tanh()],
    "Parallel": [
        cr.Parallel(
            cr.Linear(6, 3),
            cr.Sequential(cr.Linear(6, 3), cr.Tanh()),
            cr.Parallel(cr.Linear(6, 3), cr.Linear(6, 3), combine="product"),
        )
    ],
    "concatenate": [cr.Parallel(cr.Linear(6, 3), cr.Identity(), cr.GELU(), combine="concatenate")],
    "product": [cr.Parallel(cr.Identity(), cr.Identity(), cr.ReLU(), combine="product")],
    "Shared": [SHARED, cr.Residual(SHARED), cr.Linear(6, 2)],
    "Branch": [cr.ReLU(), cr.Branch(cr.Linear(6, 2), cr.Identity(), cr.Linear(6, 2))],
    "numbers": [cr.Rescale(2.0), cr.Rescale(1.0, 3.0), cr.Softmax()],
}


def outputs_of(net, x):
    outputs = net.predict(x)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def exported(tmp_path, net, **options):
    path = tmp_path / "model.onnx"
    net.to_onnx(path, **options)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return path


def test_every_layer_has_a_form():
    # One takes codes, the other several inputs: see layers/test_embedding.py and below.
    beside = {"Embedding", "Inputs"}
    beside |= {name for name, kind in KNOWN.items() if kind.axes}  # see test_onnx_images.py
    assert {name for name in KNOWN if name not in LAYERS} == beside
    alone = {KNOWN[name] for name in ("Branch", "Shared")}  # their parts stand for themselves
    assert set(RULES) | alone == set(KNOWN.values())


@pytest.mark.parametrize("shape", [(6,), (2, 6)], ids=["rows", "matrices"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_there_and_back(tmp_path, name, shape):
    net = cr.Sequential(*LAYERS[name], seed=0)
    path = exported(tmp_path, net, input_shape=shape)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    same = cr.from_onnx(path)
    for rows in (1, 17):
        x = 3 * rng.normal(size=(rows, *shape)).astype("float32")
        expected = outputs_of(net, x)
        for found in (session.run(None, {"input": x}), outputs_of(same, x)):
            assert len(found) == len(expected)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    if name not in ("product", "RMSNorm without weight"):  # whose weight is written as ones
        assert same.params.size == net.params.size


@pytest.mark.parametrize("name", LAYERS)
def test_float64(tmp_path, name, run_float64):
    net = cr.Sequential(*LAYERS[name], seed=0, dtype="float64")
    path = exported(tmp_path, net, input_shape=(6,))
    same = cr.from_onnx(path)
    assert same.dtype == np.float64
    x = rng.normal(size=(5, 6))
    for found in (run_float64(path, x), outputs_of(same, x)):
        for one, other in zip(found, outputs_of(net, x), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_layers_come_back_as_they_were(tmp_path):
    layers = [
        cr.Rescale(0.5, -1.0),
        cr.Linear(6, 4),
        cr.GELU(),
        cr.Linear(4, 4, bias=False),
        cr.SiLU(),
        cr.GELU("tanh"),
        cr.Residual(cr.Linear(4, 4), cr.LeakyReLU(0.3)),
        cr.Parallel(cr.Linear(4, 2), cr.Linear(4, 3), combine="concatenate"),
        cr.Softmax(),
    ]
    net = cr.Sequential(*layers, seed=0)
    same = cr.from_onnx(exported(tmp_path, net))
    assert same.layers == net.layers
    np.testing.assert_array_equal(same.params, net.params)
    assert cr.from_onnx(tmp_path / "model.onnx", backend="numpy").backend == "numpy"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_shared_parameters_stay_shared(tmp_path):
    path = exported(tmp_path, cr.Sequential(*LAYERS["Shared"], seed=0))
    names = [tensor.name for tensor in onnx.load(path).graph.initializer]
    assert names == ["0.0.weight", "0.0.bias", "2.weight", "2.bias"]


def test_what_cannot_be_written(tmp_path):
    path = tmp_path / "model.onnx"
    net = cr.Sequential(cr.Linear(3, 2), cr.Activation(lambda x: x * x, lambda x: 2 * x), seed=0)
    with pytest.raises(ValueError, match=r"Activation\(.*\(layer 1\) cannot be written as ONNX"):
        net.to_onnx(path)
    with pytest.raises(ValueError, match="inputs of several shapes"):
        cr.Sequential(cr.Flatten(), cr.Linear(3, 2)).to_onnx(path)
    columns = cr.Parallel(cr.Columns([0, 2]), cr.Columns([-5]), combine="concatenate")
    for layers, shape in (
        ([columns], r"\(5,\)"),
        ([cr.Inputs(columns, cr.BatchNorm(3))], r"\(\(5,\), \(3,\)\)"),
    ):
        with pytest.raises(ValueError, match=rf"input_shape={shape}\.$"):
            cr.Sequential(*layers).to_onnx(path)
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    with pytest.raises(ValueError, match="expects 3 input features"):
        net.to_onnx(path, input_shape=(4,))
    with pytest.raises(TypeError, match="input_shape must be a tuple"):
        net.to_onnx(path, input_shape=3)
    untracked = cr.Sequential(cr.Linear(3, 2), cr.BatchNorm(2, track=False), seed=0)
    with pytest.raises(ValueError, match=r"^BatchNorm\(.*\(layer 1\) .* ONNX: it has no running"):
        untracked.to_onnx(path)
    net.params[0] = np.nan
    with pytest.raises(ValueError, match=r"0\.weight holds NaN"):
        net.to_onnx(path)
    assert os.listdir(tmp_path) == []


def test_damaged_files(tmp_path):
    net = cr.Sequential(*LAYERS["Residual"], *LAYERS["concatenate"], cr.Softmax(), seed=0)
    good = exported(tmp_path, net).read_bytes()
    chance, path = random.Random(0), tmp_path / "bad.onnx"
    refused = 0
    for _ in range(400):
        bad = bytearray(good)
        for _ in range(chance.choice([1, 1, 3, 20])):
            kind, at = chance.randrange(3), chance.randrange(len(bad))
            if kind == 0:
                bad[at] = chance.randrange(256)
            elif kind == 1:
                del bad[at : at + chance.randrange(1, 40)]
            else:
                bad[at:at] = chance.randbytes(chance.randrange(1, 10))
        path.write_bytes(bad)
        try:
            cr.from_onnx(path)
        except cr.ModelFileError:
            refused += 1
    assert refused > 200


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        cr.from_onnx(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"^backend must be one of"):
        cr.from_onnx(tmp_path / "model.onnx", backend="jax")
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(cr.ModelFileError, match="holds no graph"):
        cr.from_onnx(tmp_path / "model.onnx")


# Several inputs


@pytest.mark.parametrize("combine", ["sum", "concatenate", "product"])
def test_several_inputs(tmp_path, combine):
    image = cr.Sequential(cr.Rescale(0.5), cr.Flatten(), cr.Linear(12, 4), cr.Tanh(), seed=1)
    parts = image, cr.Linear(3, 4), cr.Identity()
    net = cr.Sequential(cr.Inputs(*parts, combine=combine), cr.Softmax(), seed=0)
    path = exported(tmp_path, net, input_shape=((3, 4), (3,), (4,)))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == ["input_0", "input_1", "input_2"]
    x = tuple(rng.normal(size=(7, *s)).astype("float32") for s in ((3, 4), (3,), (4,)))
    (found,) = session.run(None, {f"input_{i}": array for i, array in enumerate(x)})
    np.testing.assert_allclose(found, net.predict(x), rtol=1e-5, atol=1e-6)
    same = cr.from_onnx(path)
    assert type(same.layers[0]) is cr.Inputs
    assert same.params.size == net.params.size
    np.testing.assert_allclose(same.predict(x), net.predict(x), rtol=1e-5, atol=1e-6)


def test_shared_parts_codes_and_several_outputs(tmp_path):
    shared = cr.Shared(cr.Linear(4, 3), cr.Tanh())
    codes = cr.Sequential(cr.Embedding(5, 2), cr.Flatten(), seed=1)
    heads = cr.Branch(cr.Linear(10, 2), cr.Identity())
    net = cr.Sequential(cr.Inputs(shared, codes, shared), heads, seed=0)
    path = exported(tmp_path, net, input_shape=((4,), (2,), (4,)))
    same = cr.from_onnx(path)
    assert same.params.size == net.params.size
    x = rng.normal(size=(7, 4)), rng.integers(0, 5, (7, 2)), rng.normal(size=(7, 4))
    for one, other in zip(same.predict(x), net.predict(x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def graph_of_nodes(path, nodes, inputs):
    """Write a graph whose output is that of the last node."""
    info = onnx.helper.make_tensor_value_info
    given = [info(name, onnx.TensorProto.FLOAT, ["n", 4]) for name in inputs]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(*node[:3], **node[3]) for node in nodes],
        "graph",
        given,
        [info(nodes[-1][2][0], onnx.TensorProto.FLOAT, None)],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


MERGED = {
    "sum in another order": ([("Add", ["b", "a"], ["y"], {})], None),
    "concatenation in another order": (
        [("Concat", ["b", "a"], ["y"], {"axis": -1})],
        "must merge 2 values, each from an input of its own, in their order",
    ),
    "one input only": ([("Relu", ["a"], ["y"], {})], "follows from its input 'a' alone"),
    "an input twice": (
        [("Concat", ["a", "b", "a"], ["y"], {"axis": -1})],
        "must merge 2 values",
    ),
    "merged later again": (
        [("Add", ["a", "b"], ["c"], {}), ("Mul", ["c", "a"], ["y"], {})],
        "must merge 2 values",
    ),
    "merged after layers": (
        [("Relu", ["a"], ["c"], {}), ("Mul", ["c", "b"], ["d"], {}), ("Tanh", ["d"], ["y"], {})],
        None,
    ),
}


@pytest.mark.parametrize("merged", MERGED)
def test_inputs_of_other_files(tmp_path, merged):
    nodes, message = MERGED[merged]
    path = graph_of_nodes(tmp_path / "model.onnx", nodes, ["a", "b"])
    if message:
        with pytest.raises(cr.ModelFileError, match=message):
            cr.from_onnx(path)
        return
    x = tuple(rng.normal(size=(5, 4)).astype("float32") for _ in range(2))
    (expected,) = ReferenceEvaluator(str(path)).run(None, dict(zip("ab", x, strict=True)))
    np.testing.assert_allclose(cr.from_onnx(path).predict(x), expected, rtol=1e-6)


def test_shapes_of_several_inputs(tmp_path):
    known = cr.Sequential(cr.Inputs(cr.Linear(2, 3), cr.Sequential(cr.ReLU(), cr.Linear(4, 3))))
    model = onnx.load(exported(tmp_path, known))
    shapes = [[d.dim_value for d in i.type.tensor_type.shape.dim[1:]] for i in model.graph.input]
    assert shapes == [[2], [4]]
    path = tmp_path / "other.onnx"
    unknown = cr.Sequential(
        cr.Inputs(cr.Linear(2, 3), cr.Sequential(cr.Flatten(), cr.Linear(4, 3)))
    )
    with pytest.raises(ValueError, match=r"such as input_shape=\(\(2,\), \(28, 28, 1\)\)"):
        unknown.to_onnx(path)
    with pytest.raises(ValueError, match="a tuple of 2 shapes, one for each"):
        unknown.to_onnx(path, input_shape=(2, 4))
    with pytest.raises(ValueError, match=r"expects 4 input features, .* shape \(n, 6\)"):
        unknown.to_onnx(path, input_shape=((2,), (2, 3)))
    unknown.to_onnx(path, input_shape=((2,), (2, 2)))
    assert repr(cr.from_onnx(path).layers) == repr(unknown.layers)

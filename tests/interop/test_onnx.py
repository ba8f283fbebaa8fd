"""ONNX files: checked and run by others, and back again; what is not understood is refused."""

import os
import random

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import chainrule as cr
from chainrule.architecture import KNOWN
from chainrule.interop.onnx.export import RULES

rng = np.random.default_rng(0)
SHARED = cr.Shared(cr.Linear(6, 6), cr.Tanh())
ARGUMENTS = {
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
        if name not in ("Residual", "Parallel", "Branch", "Shared")
    },
    "no bias": [cr.Linear(6, 3, bias=False)],
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
    assert {name for name in KNOWN if name not in LAYERS} == set()
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
    if name != "product":
        assert same.params.size == net.params.size


@pytest.mark.parametrize("name", LAYERS)
def test_float64(tmp_path, name):
    net = cr.Sequential(*LAYERS[name], seed=0, dtype="float64")
    path = exported(tmp_path, net, input_shape=(6,))
    evaluator, same = ReferenceEvaluator(str(path)), cr.from_onnx(path)
    assert same.dtype == np.float64
    x = rng.normal(size=(5, 6))
    for found in (evaluator.run(None, {"input": x}), outputs_of(same, x)):
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
    with pytest.raises(ValueError, match=r"Activation\(.*\(layer 1\) has no form in ONNX"):
        net.to_onnx(path)
    with pytest.raises(ValueError, match="inputs of several shapes"):
        cr.Sequential(cr.Flatten(), cr.Linear(3, 2)).to_onnx(path)
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    with pytest.raises(ValueError, match="expects 3 input features"):
        net.to_onnx(path, input_shape=(4,))
    with pytest.raises(TypeError, match="input_shape must be a tuple"):
        net.to_onnx(path, input_shape=3)
    net.params[0] = np.nan
    with pytest.raises(ValueError, match=r"0\.weight holds NaN"):
        net.to_onnx(path)
    assert os.listdir(tmp_path) == []


# Files as others write them

W = rng.normal(size=(4, 6)).astype("float32")  # as PyTorch has it: (out, in)
B = rng.normal(size=4).astype("float32")
TENSORS = {
    "W": W, "Wt": W.T, "b": B, "half": np.float32(0.5), "one": np.float32([1]),
    "tiny": np.float32(8e-7), "many": np.float32(2.5e6),
    "two": np.float32(2), "three": np.float32(3), "root": np.float32(2**0.5),
    "rows": np.array([-1, 24]), "flat": np.array([0, -1]), "yes": np.array(True),
    "no": np.array(False),
    "cube": np.ones((1, 1, 4), "float32"), "two3": np.full((1, 1, 1), 2, "float32"),
    "zero": np.float32(0), "c": np.float32(0.044715), "k": np.float32((2 / np.pi) ** 0.5),
}  # fmt: skip


def written(tmp_path, nodes, shape=("n", 6), outputs=("y",), change=lambda model: None, **tensors):
    """Write a file of nodes, each (operator, "inputs", "output", attributes)."""
    used = {name for _, inputs, *_ in nodes for name in inputs.split()}
    values = {name: np.asarray(value) for name, value in (TENSORS | tensors).items()}
    graph = helper.make_graph(
        [helper.make_node(op, i.split(), o.split(), name=f"/{o}/{op}", **dict(*a))
         for op, i, o, *a in nodes],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
        [numpy_helper.from_array(values[name], name) for name in values if name in used],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=8)
    change(model)
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    return path


LINEAR = ("Gemm", "x W b", "h", {"transB": 1})
UNDERSTOOD = {
    "PyTorch": ([("Flatten", "x", "f"), ("Gemm", "f W b", "h", {"transB": 1}),
                 ("Relu", "h", "a"), ("Dropout", "a half no", "d mask"),
                 ("Softmax", "d", "y", {"axis": 1})],
                "(Flatten(), Linear(6, 4), ReLU(), Softmax())"),
    "MatMul and Add": ([("MatMul", "x Wt", "m"), ("Add", "b m", "y")], "(Linear(6, 4),)"),
    "a transposed constant": ([("Transpose", "W", "T", {"perm": [1, 0]}), ("MatMul", "x T", "m"),
                               ("Add", "m b", "y")], "(Linear(6, 4),)"),
    "GELU": ([LINEAR, ("Div", "h root", "d"), ("Erf", "d", "e"), ("Add", "e one", "a"),
              ("Mul", "h a", "m"), ("Mul", "m half", "y")],
             "(Linear(6, 4), GELU(approximate='none'))"),
    "GELU by tanh": ([LINEAR, ("Pow", "h three", "p"), ("Mul", "p c", "q"), ("Add", "h q", "r"),
                      ("Mul", "r k", "s"), ("Tanh", "s", "t"), ("Add", "one t", "u"),
                      ("Mul", "half h", "v"), ("Mul", "v u", "y")],
                     "(Linear(6, 4), GELU(approximate='tanh'))"),
    "SiLU times a tiny number": ([("Mul", "x tiny", "t"), ("Sigmoid", "x", "s"),
                                  ("Mul", "t s", "p"), ("Mul", "p many", "y")],
                                 "(SiLU(), Rescale(scale=2.0, offset=0.0))"),
    "Gelu": ([("Gelu", "x", "y", {"approximate": "tanh"})], "(GELU(approximate='tanh'),)"),
    "numbers": ([("Sub", "one x", "a"), ("Div", "a two", "b_"), ("Neg", "b_", "y")],
                "(Rescale(scale=0.5, offset=-0.5),)"),
    "a shortcut": ([("Gemm", "x S b6", "h"), ("Relu", "h", "a"), ("Add", "a x", "y")],
                   "(Residual(Linear(6, 6), ReLU()),)"),
    "a gate": ([("Gemm", "x S b6", "h"), ("Relu", "h", "a"), ("Tanh", "x", "t"),
                ("Mul", "a t", "y")],
               "(Parallel(Sequential(Linear(6, 6), ReLU()), Tanh(), combine='product'),)"),
    "nothing": ([("Identity", "x", "y")], "(Identity(),)"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_others_write(tmp_path, name):
    nodes, layers = UNDERSTOOD[name]
    square = {"S": np.ones((6, 6), "float32"), "b6": np.ones(6, "float32")}
    path = written(tmp_path, nodes, **square)
    net = cr.from_onnx(path)
    assert str(net.layers) == layers
    x = rng.normal(size=(5, 6)).astype("float32")
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-5)


def test_a_reshape_that_flattens(tmp_path):
    nodes = [("Reshape", "x rows", "f"), ("Relu", "f", "y")]
    net = cr.from_onnx(written(tmp_path, nodes, ("n", 2, 3, 4)))
    assert net.layers == (cr.Flatten(), cr.ReLU())
    with pytest.raises(cr.ModelFileError, match=r"\(Reshape\) reshapes to 24 columns, not to"):
        cr.from_onnx(written(tmp_path, nodes, ("n", 2, 4, 6)))


def test_ways_that_cross_share_what_they_have_in_common(tmp_path):
    nodes = [("Gemm", "x S b6", "h"), ("Relu", "h", "a"), ("Add", "a x", "p"), ("Mul", "a p", "y")]
    square = {"S": rng.normal(size=(6, 6)).astype("float32"), "b6": np.ones(6, "float32")}
    path = written(tmp_path, nodes, **square)
    net = cr.from_onnx(path)
    assert net.params.size == 42
    x = rng.normal(size=(5, 6)).astype("float32")
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-5)


def outside(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def huge(model):
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 40, 1 << 40])


def old(model):
    model.opset_import[0].version = 11


REFUSED = {
    "an operator": ([("Conv", "x W", "y")], r"node /y/Conv \(Conv\) is not understood"),
    "batch normalization": ([("BatchNormalization", "x b b b b", "y")], r"\(BatchNormalization\)"),
    "a scaled Gemm": ([("Gemm", "x Wt b", "y", {"alpha": 2.0})], r"\(Gemm\) has alpha=2.0"),
    "a Gemm of values": ([("Gemm", "x x b", "y")], "input 1 that is no constant"),
    "an attribute": ([("Relu", "x", "y", {"slope": 1.0})], r"\(Relu\) has the attribute slope"),
    "another axis": ([("Softmax", "x", "y", {"axis": 0})], r"\(Softmax\) has axis=0"),
    "a vector": ([("Add", "x b", "y")], "after MatMul only"),
    "a bias of three axes": ([("MatMul", "x Wt", "m"), ("Add", "m cube", "y")], "a bias of shape"),
    "a number of three axes": ([("Mul", "x two3", "y")], "input 1 that is not one number"),
    "a part of GELU": ([("Erf", "x", "y")], r"\(Erf\) is understood as a part of GELU only"),
    "division by 0": ([("Div", "x zero", "y")], "divides by 0"),
    "training": ([("Dropout", "x half yes", "y")], r"\(Dropout\) has training_mode true"),
    "what is not there": ([("Relu", "z", "y")], "takes 'z', which no node before it gives"),
    "a circle": ([("Add", "x b_", "a"), ("Relu", "a", "b_"), ("Relu", "b_", "y")], "takes 'b_'"),
    "no output": ([("Relu", "x", "z")], "output 'y' is given by no node"),
    "twice the same": ([("Relu", "x", "y"), ("Tanh", "x", "y")], "gives 'y' a second time"),
    "shapes": ([LINEAR, ("Gemm", "h W b", "y", {"transB": 1})], "expects 6 input features"),
    "another file": ([("MatMul", "x Wt", "y")], "tensor Wt lies in another file", outside),
    "a huge tensor": ([("MatMul", "x Wt", "y")], "has 24 elements", huge),
    "an old opset": ([("Relu", "x", "y")], "it has opset 11, but 13 to", old),
    "no graph": ([("Relu", "x", "y")], "holds no graph", lambda model: model.ClearField("graph")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path, name):
    nodes, message, *change = REFUSED[name]
    with pytest.raises(cr.ModelFileError, match=message):
        cr.from_onnx(written(tmp_path, nodes, change=change[0] if change else lambda model: None))


def test_ways_without_end(tmp_path):
    doubled = [("Sigmoid", "x", "a0"), ("Tanh", "x", "b0")]
    for i in range(40):  # each takes both of the two before it
        doubled += [("Add", f"a{i} b{i}", f"a{i + 1}"), ("Mul", f"a{i} b{i}", f"b{i + 1}")]
    doubled.append(("Add", "a40 b40", "y"))
    with pytest.raises(cr.ModelFileError, match="ways more than 20 deep"):
        cr.from_onnx(written(tmp_path, doubled))


def test_a_small_file_cannot_ask_for_any_memory(tmp_path):
    nodes = [("Concat", "x x", "a0", {"axis": 1})]
    nodes += [("Concat", f"a{i} a{i}", f"a{i + 1}", {"axis": 1}) for i in range(60)]
    with pytest.raises(cr.ModelFileError, match="numbers for each row"):
        cr.from_onnx(written(tmp_path, [*nodes, ("Relu", "a60", "y")]))


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

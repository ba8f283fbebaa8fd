"""ONNX files of other makers: read if a network says the same, else refused by name."""

import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import chainrule as cr
from chainrule.interop.onnx import restore

GOLDEN = Path(__file__).parents[2] / "golden" / "onnx"
rng = np.random.default_rng(0)
FLOAT = {"to": TensorProto.FLOAT}
SCALER = {"offset": [1.0, 2, 3, 4, 5, 6], "scale": [0.5, 1, 2, 3, 4, 5]}
LINEAR = ("Gemm", "x W b", "h", {"transB": 1})
LINEAR_OF_M = ("Gemm", "m W b", "y", {"transB": 1})
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
    "a doubled value": ([("Add", "x x", "y")],
                        "(Parallel(Identity(), Identity(), combine='sum'),)"),
    "a gate": ([("Gemm", "x S b6", "h"), ("Relu", "h", "a"), ("Tanh", "x", "t"),
                ("Mul", "a t", "y")],
               "(Parallel(Sequential(Linear(6, 6), ReLU()), Tanh(), combine='product'),)"),
    "nothing": ([("Identity", "x", "y")], "(Identity(),)"),
    "casts to its own type": ([("Cast", "x", "c_", FLOAT), ("MatMul", "c_ Wt", "m"),
                               ("Add", "m b", "a"), ("Cast", "a", "y", FLOAT)],
                              "(Linear(6, 4),)"),
    "PyTorch's Softplus": ([LINEAR, ("Softplus", "h", "s"), ("Greater", "h twenty", "g"),
                            ("Where", "g h s", "y")], "(Linear(6, 4), Softplus())"),
    "PyTorch's Softplus with a beta": (
        [LINEAR, ("Mul", "h two", "m"), ("Softplus", "m", "s"), ("Div", "s two", "d"),
         ("Greater", "m twenty", "g"), ("Where", "g h d", "y")],
        "(Linear(6, 4), Rescale(scale=2.0, offset=0.0), Softplus(), "
        "Rescale(scale=0.5, offset=0.0))"),
    "Softplus by its formula": ([LINEAR, ("Exp", "h", "e"), ("Add", "e one", "a"),
                                 ("Log", "a", "y")], "(Linear(6, 4), Softplus())"),
    "SiLU by its formula": ([LINEAR, ("Neg", "h", "n"), ("Exp", "n", "e"), ("Add", "e one", "a"),
                             ("Div", "h a", "y")], "(Linear(6, 4), SiLU())"),
    "SiLU by another formula": ([LINEAR, ("Sigmoid", "h", "s"), ("Reciprocal", "s", "r"),
                                 ("Div", "h r", "y")], "(Linear(6, 4), SiLU())"),
    "Softplus, the other way round": (
        [LINEAR, ("Softplus", "h", "s"), ("LessOrEqual", "h twenty", "l"), ("Where", "l s h", "y")],
        "(Linear(6, 4), Softplus())"),
    "Softplus, less and more": (
        [LINEAR, ("Softplus", "h", "s"), ("Less", "h twenty", "l"), ("Where", "l s h", "w"),
         ("GreaterOrEqual", "w twenty", "g"), ("Where", "g h w", "y")],
        "(Linear(6, 4), Softplus())"),
    "a choice of the first": (
        [LINEAR, ("Mul", "h two", "m"), ("Softplus", "m", "s"), ("Div", "s two", "d"),
         ("Less", "m twenty", "l"), ("Where", "l d h", "y")],
        "(Linear(6, 4), Rescale(scale=2.0, offset=0.0), Softplus(), "
        "Rescale(scale=0.5, offset=0.0))"),
    "LogSigmoid": ([LINEAR, ("Sigmoid", "h", "s"), ("Log", "s", "y")],
                   "(Linear(6, 4), Rescale(scale=-1.0, offset=0.0), Softplus(), "
                   "Rescale(scale=-1.0, offset=0.0))"),
    "ReLU6": ([LINEAR, ("Clip", "h zero six", "y")],
              "(Linear(6, 4), ReLU(), Rescale(scale=-1.0, offset=6.0), ReLU(), "
              "Rescale(scale=-1.0, offset=6.0))"),
    "Hardtanh": ([("Clip", "x minus one", "y")],
                 "(Rescale(scale=1.0, offset=1.0), ReLU(), Rescale(scale=-1.0, offset=2.0), "
                 "ReLU(), Rescale(scale=-1.0, offset=1.0))"),
    "ReLU as a clip": ([("Clip", "x zero", "y")], "(ReLU(),)"),
    "a bound": ([("Max", "x half", "y")], "(Rescale(scale=1.0, offset=-0.5), ReLU(), "
                                         "Rescale(scale=1.0, offset=0.5))"),
    "Keras's clip": ([("Min", "one x", "m"), ("Max", "m zero", "y")],
                     "(Rescale(scale=-1.0, offset=1.0), ReLU(), Rescale(scale=-1.0, offset=1.0), "
                     "ReLU())"),
    "hard sigmoid": ([("HardSigmoid", "x", "y", {"alpha": 0.25})],
                     "(Rescale(scale=0.25, offset=0.5), ReLU(), Rescale(scale=-1.0, offset=1.0), "
                     "ReLU(), Rescale(scale=-1.0, offset=1.0))"),
    "Keras's old hard sigmoid": ([("HardSigmoid", "x", "y")],
                                 "(Rescale(scale=0.2, offset=0.5), ReLU(), "
                                 "Rescale(scale=-1.0, offset=1.0), ReLU(), "
                                 "Rescale(scale=-1.0, offset=1.0))"),
    "hard swish": ([("HardSwish", "x", "y")], "(Hardswish(),)"),
    "Mish": ([("Mish", "x", "y")], "(Mish(),)"),
    "GLU": ([("Split", "x", "a b_", {"axis": 1, "num_outputs": 2}), ("Sigmoid", "b_", "s"),
             ("Mul", "a s", "y")], "(GLU(),)"),
    "a clip without an end": ([("Clip", "x lowest six", "y")],
                              "(Rescale(scale=-1.0, offset=6.0), ReLU(), "
                              "Rescale(scale=-1.0, offset=6.0))"),
    "SELU": ([("Selu", "x", "y")], "(ELU(alpha=1.6732632423543772), "
                                   "Rescale(scale=1.0507009873554805, offset=0.0))"),
    "CELU": ([("Celu", "x", "y", {"alpha": 0.5})],
             "(Rescale(scale=2.0, offset=0.0), ELU(alpha=1.0), Rescale(scale=0.5, offset=0.0))"),
    "PReLU of one number": ([("PRelu", "x half", "y")], "(PReLU(1),)"),
    "a difference": ([("Tanh", "x", "t"), ("Sub", "x t", "y")],
                     "(Residual(Tanh(), Rescale(scale=-1.0, offset=0.0)),)"),
    "a scaler before": ([("Sub", "x mean", "s"), ("Div", "s std", "d"),
                         ("Gemm", "d W b", "y", {"transB": 1})], "(Linear(6, 4),)"),
    "scikit-learn's scaler": ([("ai.onnx.ml.Scaler", "x", "s", SCALER), ("Cast", "s", "c_", FLOAT),
                               ("MatMul", "c_ Wt", "y")], "(Linear(6, 4),)"),
    "a scaler of one number": ([("ai.onnx.ml.Scaler", "x", "y", {"offset": [1.0], "scale": [2.0]})],
                               "(Rescale(scale=2.0, offset=-2.0),)"),
    "a scaler behind": ([LINEAR, ("Mul", "h four", "m"), ("Sub", "four m", "y")],
                        "(Linear(6, 4),)"),
    "a scaler alone": ([("Tanh", "x", "t"), ("Mul", "unknown t", "m"), ("Add", "m mean", "y")],
                       "(Tanh(), Linear(6, 6))"),
    "a scale before a number": ([("Div", "x std", "d"), ("Add", "d one", "a"), ("Tanh", "a", "y")],
                                "(Linear(6, 6), Tanh())"),
    "batch normalization": ([LINEAR, ("BatchNormalization", "h four b b four", "n"),
                             ("Relu", "n", "y")],
                            "(Linear(6, 4), BatchNorm(4), ReLU())"),
    "batch normalization with numbers": (
        [LINEAR, ("BatchNormalization", "h four b b four", "y",
                  {"epsilon": 0.5, "momentum": 0.75})],
        "(Linear(6, 4), BatchNorm(4, eps=0.5, momentum=0.25))"),
    "batch normalization first": ([("BatchNormalization", "x std mean mean std", "n"),
                                   ("MatMul", "n Wt", "y")],
                                  "(BatchNorm(6), Linear(6, 4, bias=False))"),
    "Keras's PReLU": ([("Relu", "x", "r"), ("Neg", "x", "n"), ("Relu", "n", "s"),
                       ("Mul", "unknown s", "m"), ("Add", "r m", "y")],
                      "(Parallel(ReLU(), Sequential(Rescale(scale=-1.0, offset=0.0), ReLU(), "
                      "Linear(6, 6, bias=False)), combine='sum'),)"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_others_write(write, name):
    nodes, layers = UNDERSTOOD[name]
    square = {"S": rng.normal(size=(6, 6)).astype("float32"), "b6": np.ones(6, "float32")}
    path = write(nodes, **square)
    net = cr.from_onnx(path)
    assert str(net.layers) == str(eval(layers, vars(cr)))
    x = rng.normal(size=(5, 6)).astype("float32")
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-5)


SQUARE = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 10]], "float32")  # as PyTorch has it: (out, in)
SQUARES = {
    "Gemm, turned": [("Gemm", "x Q c3", "y", {"transB": 1})],
    "Gemm": [("Gemm", "x Qt c3", "y")],
    "MatMul": [("MatMul", "x Qt", "m"), ("Add", "m c3", "y")],
    "Transpose": [("Transpose", "Q", "T", {"perm": [1, 0]}), ("MatMul", "x T", "m"),
                  ("Add", "c3 m", "y")],
    "numbers before": [("Mul", "x s3", "d"), ("MatMul", "d Qt", "m"), ("Add", "m c3", "y")],
    "numbers behind": [("Gemm", "x Qt", "m"), ("Mul", "s3 m", "d"), ("Add", "d c3", "y")],
}  # fmt: skip


@pytest.mark.parametrize("name", SQUARES)
def test_square_weights(write, name):
    scale = np.array([2, 3, 4], "float32")
    bias = np.full(3, 0.5, "float32")
    net = cr.from_onnx(write(SQUARES[name], ("n", 3), Q=SQUARE, Qt=SQUARE.T, c3=bias, s3=scale))
    x = np.array([[1, 0, 2]], "float32")
    assert len(net.layers) == 1
    if name == "numbers before":
        assert net.predict(x).tolist() == [[26.5, 56.5, 94.5]]
    elif name == "numbers behind":
        assert net.predict(x).tolist() == [[14.5, 48.5, 108.5]]
    else:  # what torch.nn.functional.linear(x, SQUARE, bias) gives
        assert net.predict(x).tolist() == [[7.5, 16.5, 27.5]]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3,), (2, 3)], ids=["rows", "matrices"])
def test_square_weights_are_written(tmp_path, bias, shape):
    net = cr.Sequential(cr.Linear(3, 3, bias=bias), dtype="float64")
    net.parameters()["0.weight"][...] = SQUARE.T
    net.to_onnx(tmp_path / "model.onnx", input_shape=shape)
    x = np.broadcast_to([1.0, 0.0, 2.0], (1, *shape))
    (found,) = ReferenceEvaluator(str(tmp_path / "model.onnx")).run(None, {"input": x.copy()})
    offset = net.parameters()["0.bias"] if bias else 0
    np.testing.assert_allclose(found - offset, np.broadcast_to([7.0, 16, 27], found.shape))


def test_gelu_as_keras_writes_it(write):
    # With an operator that ONNX does not have, so that nothing else runs it.
    nodes = [("Mul", "x half", "h"), ("Neg", "x", "n"), ("Div", "n root", "d"), ("Erfc", "d", "e"),
             ("Mul", "h e", "y")]  # fmt: skip
    assert cr.from_onnx(write(nodes)).layers == (cr.GELU(),)


@pytest.mark.parametrize("maker", ["keras", "pytorch", "sklearn"])
def test_files_that_others_wrote(maker):
    net = cr.from_onnx(GOLDEN / f"{maker}.onnx")
    with np.load(GOLDEN / f"{maker}.npz") as values:
        x, *expected = values.values()
    found = net.predict(x)
    found = found if isinstance(found, tuple) else (found,)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.reshape(other.shape), other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("element", [TensorProto.UINT8, TensorProto.INT64, TensorProto.DOUBLE])
def test_inputs_that_are_cast_first(write, element):
    nodes = [("Cast", "x", "f", FLOAT), ("Div", "f two", "d"), ("MatMul", "d Wt", "y")]
    path = write(nodes, element=element)
    net = cr.from_onnx(path)
    assert net.dtype == np.float32
    x = rng.integers(0, 200, (5, 6)).astype(helper.tensor_dtype_to_np_dtype(element))
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-4)
    uncast = write([*nodes, ("Sub", "x y", "z")], outputs=("z",), element=element)
    if element != TensorProto.DOUBLE:
        with pytest.raises(cr.ModelFileError, match=r"its input has type (UINT8|INT64), not FLOAT"):
            cr.from_onnx(uncast)


@pytest.mark.parametrize("element", [TensorProto.INT64, TensorProto.INT32])
def test_rows_of_a_table_by_integers(write, element):
    own = np.random.default_rng(1)
    table = own.normal(size=(9, 4)).astype("float32")
    weight = own.normal(size=(24, 3)).astype("float32")
    nodes = [("Gather", "T x", "g"), ("Flatten", "g", "f"), ("MatMul", "f M", "y")]
    path = write(nodes, element=element, T=table, M=weight)
    net = cr.from_onnx(path)
    assert repr(net.layers) == "(Embedding(9, 4), Flatten(), Linear(24, 3, bias=False))"
    x = own.integers(0, 9, (5, 6)).astype(helper.tensor_dtype_to_np_dtype(element))
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-5)


def test_a_cast_beside_other_nodes_does_not_change_the_dtype(write):
    nodes = [("Tanh", "x", "t"), ("Cast", "x", "c", {"to": TensorProto.DOUBLE})]
    for outputs in (("t", "c"), ("c", "t")):
        net = cr.from_onnx(write(nodes, outputs=outputs))
        assert net.dtype == np.float32
    nodes[0] = ("Cast", "x", "t", FLOAT)
    net = cr.from_onnx(write(nodes, outputs=("t", "c"), element=TensorProto.DOUBLE))
    assert net.dtype == np.float64


ENDINGS = {
    "one column": ([("MatMul", "x V", "v"), ("Squeeze", "v last", "y")], "(Linear(6, 1, {}),)"),
    "one column as a vector": ([("MatMul", "x V", "v"), ("Reshape", "v vector", "y")],
                               "(Linear(6, 1, {}),)"),
    "a vector as long as the batch": (
        [("Shape", "x", "n", {"end": 1}), ("MatMul", "x V", "v"), ("Reshape", "v n", "y")],
        "(Linear(6, 1, {}),)"),
    "the only column": ([("MatMul", "x V", "v"), ("Gather", "v first", "y", {"axis": 1})],
                        "(Linear(6, 1, {}),)"),
    "the last column, the only one": ([("MatMul", "x V", "v"),
                                       ("Gather", "v minus_one", "y", {"axis": 1})],
                                      "(Linear(6, 1, {}),)"),
    "labels": ([LINEAR, ("ArgMax", "h", "y", {"axis": 1, "keepdims": 0})], "(Linear(6, 4),)"),
    "labels that are numbers": ([LINEAR, ("ArgMax", "h", "a", {"axis": -1}),
                                 ("ai.onnx.ml.ArrayFeatureExtractor", "classes a", "e"),
                                 ("Reshape", "e vector", "l"),
                                 ("Cast", "l", "y", {"to": TensorProto.INT64})],
                                "(Linear(6, 4),)"),
    "a column that goes on": ([("MatMul", "x V", "v"), ("Squeeze", "v last", "s"),
                               ("Sigmoid", "s", "p"), ("Mul", "p two", "m"),
                               ("Sub", "m s", "d"), ("Clip", "d zero one", "y")],
                              "(Linear(6, 1, {}), Parallel(Sequential(Sigmoid(), "
                              "Rescale(scale=2.0, offset=0.0)), Rescale(scale=-1.0, offset=0.0), "
                              "combine='sum'), ReLU(), Rescale(scale=-1.0, offset=1.0), ReLU(), "
                              "Rescale(scale=-1.0, offset=1.0))"),
    "another precision": ([LINEAR, ("Cast", "h", "y", {"to": TensorProto.DOUBLE})],
                          "(Linear(6, 4),)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_what_stands_behind_a_network_is_left_out(write, name):
    nodes, layers = ENDINGS[name]
    path = write(nodes)
    model = onnx.load(path)
    kind = {"labels": TensorProto.INT64, "anothe": TensorProto.DOUBLE}.get(name[:6])
    model.graph.output[0].type.tensor_type.elem_type = kind or TensorProto.FLOAT
    onnx.save(model, path)
    net = cr.from_onnx(path)
    assert str(net.layers) == str(eval(layers.format("bias=False"), vars(cr)))
    x = rng.normal(size=(9, 6)).astype("float32")
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    found = net.predict(x)
    if kind == TensorProto.INT64:
        found = found.argmax(axis=1) + (7 if "numbers" in name else 0)
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("classes", ["classes", "names"])
def test_a_classifier_of_scikit_learn(write, classes):
    nodes = [
        ("MatMul", "x V", "v"), ("Sigmoid", "v", "p"), ("Sub", "one p", "q"),
        ("Concat", "q p", "scores", {"axis": 1}), ("ArgMax", "scores", "a", {"axis": 1}),
        ("ai.onnx.ml.ZipMap", "scores", "z", {"classlabels_int64s": [0, 1]}),
        ("ai.onnx.ml.ArrayFeatureExtractor", f"{classes} a", "e"), ("Reshape", "e vector", "y"),
    ]  # fmt: skip
    V = rng.normal(size=(6, 1)).astype("float32")
    net = cr.from_onnx(write(nodes, outputs=("y", "z"), V=V))
    x = rng.normal(size=(9, 6)).astype("float32")
    scores = net.predict(x)  # once, though both outputs are made of them
    expected = 1 / (1 + np.exp(-x @ V))
    np.testing.assert_allclose(scores, np.hstack([1 - expected, expected]), rtol=1e-5)


def test_labels_beside_other_outputs(write):
    nodes = [LINEAR, ("ArgMax", "h", "a", {"axis": 1}), ("Tanh", "h", "t")]
    net = cr.from_onnx(write(nodes, outputs=("a", "t")))
    assert str(net.layers) == "(Linear(6, 4), Branch(Identity(), Tanh()))"
    net = cr.from_onnx(write(nodes, outputs=("t", "a", "h")))
    assert str(net.layers) == "(Linear(6, 4), Branch(Tanh(), Identity()))"
    net = cr.from_onnx(write([*nodes, ("Cast", "a", "c", FLOAT)], outputs=("a", "c")))
    assert str(net.layers) == "(Linear(6, 4),)"


def test_numbers_by_column_do_not_go_into_what_is_shared(write):
    nodes = [("MatMul", "x S", "h"), ("Mul", "h std", "m"), ("MatMul", "m S", "n"),
             ("Div", "n std", "y")]  # fmt: skip
    path = write(nodes, S=rng.normal(size=(6, 6)).astype("float32"))
    net = cr.from_onnx(path)
    assert [type(layer).__name__ for layer in net.layers] == 2 * ["Shared", "Linear"]
    x = rng.normal(size=(5, 6)).astype("float32")
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-5)


def test_batch_normalization_of_a_signal_is_along_the_axis_after_the_batch(write):
    nodes = [("BatchNormalization", "x four four four four", "y")]
    path = write(nodes, shape=("n", 4, 4))
    x = rng.normal(size=(5, 4, 4)).astype("float32")
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    found = cr.from_onnx(path).predict(x.transpose(0, 2, 1))
    np.testing.assert_allclose(found, expected.transpose(0, 2, 1), rtol=1e-5, atol=1e-6)
    along_rows = [*nodes, ("MatMul", "y Q", "z")]
    path = write(along_rows, shape=("n", 4, 4), outputs=("z",), Q=np.eye(4, dtype="float32"))
    with pytest.raises(cr.ModelFileError, match=r"\(MatMul\) is not supported of images"):
        cr.from_onnx(path)


OWN = ["diagonal weights", "weights of their own", "biases of their own"]


@pytest.mark.parametrize("kind", OWN)
def test_layers_take_no_more_memory_than_a_file_may_ask_for(write, kind):
    nodes = []
    for i in range(100):  # all of the same tensors
        nodes.append(("Mul", f"y{i} column" if i else "x column", f"m{i}"))
        if kind == "biases of their own":
            nodes[-1] = ("MatMul", f"y{i} square" if i else "x square", f"m{i}")
            nodes.append(("Add", f"m{i} bias{i}", f"y{i + 1}"))
        elif kind == "diagonal weights":
            nodes.append(("Tanh", f"m{i}", f"y{i + 1}"))
        else:
            nodes += [("MatMul", f"m{i} narrow", f"n{i}"), ("MatMul", f"n{i} wide", f"y{i + 1}")]
    tensors = {
        "column": np.ones(1000, "float32"),
        "narrow": np.ones((1000, 50), "float32"),
        "wide": np.ones((50, 1000), "float32"),
        "square": np.ones((1000, 1000), "float32"),
        **{f"bias{i}": np.ones(1000, "float32") for i in range(100)},
    }
    with pytest.raises(cr.ModelFileError, match="bytes of parameters"):
        cr.from_onnx(write(nodes, ("n", 1000), ("y100",), **tensors))


@pytest.mark.parametrize("kind", ["of one constant", "one of the other"])
def test_casts_take_no_more_memory_than_a_file_may_ask_for(write, kind):
    double = {"to": TensorProto.DOUBLE}
    casts = [
        ("Cast", f"c{i}" if i and kind != "of one constant" else "large", f"c{i + 1}",
         FLOAT if i % 2 and kind != "of one constant" else double)
        for i in range(100)
    ]  # fmt: skip
    path = write([*casts, ("Relu", "x", "y")], large=np.ones(1 << 20, "float32"))
    tracemalloc.start()
    with pytest.raises(cr.ModelFileError, match=r"\(Cast\) computes more bytes of known numbers"):
        cr.from_onnx(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * restore.MOST_EXTRA_BYTES
    assert cr.from_onnx(write([*casts[:2], ("Relu", "x", "y")], large=np.ones(9))).layers


NUMBERS_OF_6 = {name: rng.uniform(0.5, 2, 6).astype("float32") for name in ("v1", "v2", "v3", "v4")}
NORM = "v1 v2 v3 v4"
NO_SHAPE = {
    "Softmax, MatMul": [("Softmax", "x", "s", {"axis": 1}), ("MatMul", "s Wt", "y")],
    "MatMul, Softmax": [("MatMul", "x Wt", "m"), ("Softmax", "m", "y", {"axis": 1})],
    "MatMul, Softmax, last": [("MatMul", "x Wt", "m"), ("Softmax", "m", "y", {"axis": -1})],
    "MatMul, ArgMax": [("MatMul", "x Wt", "m"), ("ArgMax", "m", "y", {"axis": 1})],
    "MatMul, Concat": [("MatMul", "x Wt", "m"), ("Concat", "x m", "y", {"axis": 1})],
    "Gemm, Softmax": [LINEAR, ("Softmax", "h", "y", {"axis": 1})],
    "Norm": [("BatchNormalization", f"x {NORM}", "y")],
    "Norm, Flatten": [("BatchNormalization", f"x {NORM}", "n"), ("Flatten", "n", "y")],
    "Norm, Gemm": [("BatchNormalization", f"x {NORM}", "n"), ("Relu", "n", "r"),
                   ("Gemm", "r W b", "y", {"transB": 1})],
    "Flatten, Norm": [("Flatten", "x", "f"), ("BatchNormalization", f"f {NORM}", "n"),
                      ("Gemm", "n W b", "y", {"transB": 1})],
    "LayerNorm": [("LayerNormalization", "x v1 v2", "y", {"axis": 1})],
    "LayerNorm, last": [("LayerNormalization", "x v1 v2", "y", {"axis": -1})],
}  # fmt: skip


@pytest.mark.parametrize("name", NO_SHAPE)
def test_an_input_of_unknown_shape_is_read_right_or_refused(write, name):
    """The second axis is the last one of some inputs, and not of others."""

    def forget(model):
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.ClearField("shape")
        if "ArgMax" in name:
            model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64

    path = write(NO_SHAPE[name], change=forget, **NUMBERS_OF_6)
    is_known = "Gemm" in name or "last" in name or name == "Flatten, Norm"
    if not is_known:
        with pytest.raises(cr.ModelFileError, match="does not say how many axes its input has"):
            cr.from_onnx(path)
        return
    net, session = cr.from_onnx(path), onnxruntime.InferenceSession(path)
    for shape in ((5, 6), (5, 6, 6)) if "last" in name else ((5, 6),):
        x = rng.normal(size=shape).astype("float32")
        (expected,) = session.run(None, {"x": x})
        np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-6)


def test_the_number_of_axes_is_enough(write):
    nodes = [("Softmax", "x", "s", {"axis": 1}), ("MatMul", "s Wt", "y")]
    assert cr.from_onnx(write(nodes, ("n", None))).layers == (
        cr.Softmax(), cr.Linear(6, 4, bias=False))  # fmt: skip


def test_weights_are_not_copied_beyond_what_a_file_may_ask_for(write):
    """They are counted before they are there, not when all of them are."""
    square = np.ones((500, 500), "float32")
    nodes = []
    for i in range(100):  # numbers for columns, which go into a copy of the one weight
        nodes += [("Mul", f"y{i} column" if i else "x column", f"m{i}")]
        nodes += [("MatMul", f"m{i} square", f"n{i}"), ("Tanh", f"n{i}", f"y{i + 1}")]
    path = write(nodes, ("n", 500), ("y100",), square=square, column=np.ones(500, "float32"))
    tracemalloc.start()
    with pytest.raises(cr.ModelFileError, match="bytes of parameters"):
        cr.from_onnx(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * restore.MOST_EXTRA_BYTES


def test_numbers_for_columns_around_a_large_weight_take_the_room_of_one_copy(write, monkeypatch):
    monkeypatch.setattr(restore, "MOST_EXTRA_BYTES", 0)
    numbers = {f"c{i}": rng.uniform(0.5, 2, 64).astype("float32") for i in range(8)}
    weight = rng.normal(size=(64, 64)).astype("float32")
    nodes = [("Sub", "x c0", "y0"), ("Div", "y0 c1", "y1"), ("MatMul", "y1 weight", "y2")]
    nodes += [(("Mul", "Add")[i % 2], f"y{i} c{i}", f"y{i + 1}") for i in range(2, 8)]
    path = write(nodes, ("n", 64), ("y8",), weight=weight, **numbers)
    net = cr.from_onnx(path)
    assert net.layers == (cr.Linear(64, 64),)
    x = rng.normal(size=(5, 64)).astype("float32")
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["", "same"])
def test_names_of_nodes_mean_nothing(write, name):
    def rename(model):
        for node in model.graph.node:
            node.name = name

    nodes = [("Tanh", "x", "t"), ("Sigmoid", "x", "s"), ("Sub", "x t", "a"), ("Sub", "x s", "b_"),
             ("HardSwish", "a", "c_"), ("HardSwish", "b_", "d"), ("Mul", "c_ d", "y")]  # fmt: skip
    x = rng.normal(size=(5, 6)).astype("float32")
    expected = cr.from_onnx(write(nodes)).predict(x)
    np.testing.assert_array_equal(cr.from_onnx(write(nodes, change=rename)).predict(x), expected)


def test_a_factor_within_an_activation_keeps_its_digits(write):
    nodes = [("Mul", "x factor", "t"), ("Sigmoid", "x", "s"), ("Mul", "t s", "y")]
    for factor in np.float32([1.6765324703310907, 1 / 3, -1e-3 * np.pi, 0.1, 2.0]):
        silu, rescale = cr.from_onnx(write(nodes, factor=factor)).layers
        assert silu == cr.SiLU()
        assert rescale.scale == pytest.approx(float(factor), rel=1e-7)
    assert cr.from_onnx(write(nodes, factor=np.float32(1.0000001))).layers == (cr.SiLU(),)


def test_a_reshape_that_flattens(write):
    nodes = [("Reshape", "x rows", "f"), ("Relu", "f", "y")]
    net = cr.from_onnx(write(nodes, ("n", 2, 3, 4)))
    assert net.layers == (cr.Flatten(), cr.ReLU())
    with pytest.raises(cr.ModelFileError, match=r"\(Reshape\) reshapes to 24 columns, not to"):
        cr.from_onnx(write(nodes, ("n", 2, 4, 6)))


def test_ways_that_cross_share_what_they_have_in_common(write):
    nodes = [("Gemm", "x S b6", "h"), ("Relu", "h", "a"), ("Add", "a x", "p"), ("Mul", "a p", "y")]
    square = {"S": rng.normal(size=(6, 6)).astype("float32"), "b6": np.ones(6, "float32")}
    path = write(nodes, **square)
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


def smaller(model):
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([6, 3])


def new(model):
    model.opset_import[0].version = 999


INT64 = {"to": TensorProto.INT64}
NO_TYPE = TensorProto(dims=[1], data_type=99)

REFUSED = {
    "an operator": ([("Det", "x", "y")], r"node /y/Det \(Det\) is not supported"),
    "a variance below 0": ([LINEAR, ("BatchNormalization", "h four b b b", "y")], "not positive"),
    "training of batch normalization": ([("BatchNormalization", "x std std std std", "y",
                                          {"training_mode": 1})], "has training_mode=1"),
    "a scaled Gemm": ([("Gemm", "x Wt b", "y", {"alpha": 2.0})], r"\(Gemm\) has alpha=2.0"),
    "a Gemm of values": ([("Gemm", "x x b", "y")], "input 1 that is no constant"),
    "an attribute": ([("Relu", "x", "y", {"slope": 1.0})], r"\(Relu\) has the attribute slope"),
    "means along two axes": (
        [("ReduceMean", "x", "m", {"axes": [0]}), ("Sub", "x m", "c_"), ("Mul", "c_ c_", "q"),
         ("ReduceMean", "q", "v", {"axes": [-1]}), ("Add", "v tiny", "e"), ("Sqrt", "e", "r"),
         ("Div", "c_ r", "d"), ("Mul", "d std", "y")],
        r"\(Mul\) is of a value minus its mean along another axis"),
    "CELU of 0": ([("Celu", "x", "y", {"alpha": 0.0})], r"\(Celu\) has alpha=0.0"),
    "CELU below 0": ([("Celu", "x", "y", {"alpha": -1.0})], r"\(Celu\) has alpha=-1.0"),
    "another axis": ([("Softmax", "x", "y", {"axis": 0})], r"\(Softmax\) has axis=0"),
    "a vector of another length": ([("Add", "x b", "y")], "expects 4 input features"),
    "a vector that widens": ([("MatMul", "x V", "v"), ("Add", "v b", "y")],
                             "expects 4 input features"),
    "a column": ([("Mul", "x V", "y")], r"input 1 of shape \(6, 1\), where a number"),
    "division by a 0 among others": ([("Div", "x some", "y")], "divides by 0"),
    "a scaler of another length": ([("Mul", "x four", "m"), LINEAR_OF_M],
                                   "expects 6 input features"),
    "what float32 cannot hold": ([("Mul", "x large", "l"), ("Mul", "l large", "m"), LINEAR_OF_M],
                                 "too large to be merged into linear layers"),
    "an infinite number": ([("Mul", "x infinite", "y")], "infinite holds NaN or infinity"),
    "more elements than it says": ([("MatMul", "x Wt", "y")], "has 24 elements", smaller),
    "a choice": ([("Greater", "x zero", "g"), ("Mul", "x half", "m"), ("Where", "g x m", "y")],
                 r"\(Where\) is supported where both values are the same"),
    "a choice that is never made": ([("Greater", "x many", "g"), ("Tanh", "x", "t"),
                                     ("Where", "g x t", "y")], r"\(Where\) is supported where"),
    "a square": ([("Pow", "x two", "y")], r"\(Pow\) is supported as a part of"),
    "constants only": ([("Exp", "half", "y")], "no inputs but constants"),
    "a clip the other way round": ([("Clip", "x one zero", "y")], "clips between 1.0 and 0.0"),
    "half of a value": ([("Split", "x", "a b_", {"axis": 1}), ("Tanh", "b_", "s"),
                         ("Mul", "a s", "y")], r"\(Split\) is supported as a part of"),
    "a cast to integers": ([("Cast", "x", "y", {"to": TensorProto.INT64})],
                           "casts to integers, which only Gather may take"),
    "labels in the middle": ([("ArgMax", "x", "a", {"axis": 1}), ("Relu", "a", "y")],
                             r"\(Relu\) follows node /a/ArgMax \(ArgMax\)"),
    "a column beside what is none": ([("MatMul", "x V", "v"), ("Squeeze", "v last", "s"),
                                      ("Add", "s v", "y")], r"follows node /s/Squeeze"),
    "softmax of a column": ([("MatMul", "x V", "v"), ("Squeeze", "v last", "s"),
                             ("Softmax", "s", "y")], r"follows node /s/Squeeze"),
    "numbers for a column's rows": ([("MatMul", "x V", "v"), ("Squeeze", "v last", "s"),
                                     ("Add", "s mean", "y")], r"follows node /s/Squeeze"),
    "labels of the batch": ([("ArgMax", "x", "y")], r"\(ArgMax\) has axis=0, where only the last"),
    "one row of several columns": ([("Reshape", "x vector", "y")], "rows of one element, not of"),
    "another column": ([("Gather", "x first", "y", {"axis": 1})], "rows of one element, not of"),
    "a column that is not there": ([("MatMul", "x V", "v"), ("Gather", "v flat", "y")],
                                   r"\(Gather\) has axis=0, where only the last"),
    "texts": ([("Mul", "x names", "y")], "takes 'names', which holds texts"),
    "a domain": ([("com.microsoft.FusedGemm", "x W b", "y")], "is not supported"),
    "a bias of three axes": ([("MatMul", "x Wt", "m"), ("Add", "m cube", "y")], "a bias of shape"),
    "a number of three axes": ([("Mul", "x two3", "y")], r"input 1 of shape \(1, 1, 1\)"),
    "a part of GELU": ([("Erf", "x", "y")], r"\(Erf\) is supported as a part of an activation"),
    "division by 0": ([("Div", "x zero", "y")], "divides by 0"),
    "training": ([("Dropout", "x half yes", "y")], r"\(Dropout\) has training_mode true"),
    "what is not there": ([("Relu", "z", "y")], "takes 'z', which is the output of no node before"),
    "a circle": ([("Add", "x b_", "a"), ("Relu", "a", "b_"), ("Relu", "b_", "y")], "takes 'b_'"),
    "no output": ([("Relu", "x", "z")], "output 'y' is the output of no node"),
    "the input again": ([("Relu", "x", "x"), ("Tanh", "x", "y")], "gives 'x' a second time"),
    "half of SiLU": ([("Log", "x", "l"), ("Exp", "l", "e"), ("Sigmoid", "x", "s"),
                      ("Mul", "e s", "y")], r"\(Exp\) is supported as a part of"),
    "layers without end": ([("Relu", f"y{i}" if i else "x", f"y{i + 1}") for i in range(10_000)]
                           + [("Tanh", "y10000", "y")], "more than 10,000 layers"),
    "twice the same": ([("Relu", "x", "y"), ("Tanh", "x", "y")], "gives 'y' a second time"),
    "shapes": ([LINEAR, ("Gemm", "h W b", "y", {"transB": 1})], "expects 6 input features"),
    "another file": ([("MatMul", "x Wt", "y")], "'/etc/passwd', which is not in the", outside),
    "a huge tensor": ([("MatMul", "x Wt", "y")], "has 24 elements", huge),
    "an output without a name": ([("Relu", "x", "y"), ("Tanh", "y", "")], "has no output"),
    "an input too many": ([("Exp", "x x", "y")], r"\(Exp\) has 2 inputs, but takes 1 to 1"),
    "an input too few": ([("Where", "x", "y")], r"\(Where\) has 1 inputs, but takes 3 to 3"),
    "indices that are computed": ([("Add", "x x", "s"), ("Cast", "s", "c_", INT64),
                                   ("Gather", "Wt c_", "y")],
                                  r"\(Gather\) is understood of the network's input"),
    "a value of no type": ([("ConstantOfShape", "vector", "c_", {"value": NO_TYPE}),
                            ("Mul", "x c_", "y")], "has a value that is not one number"),
    "a division of integers by 0": ([("Div", "first first", "q"), ("Relu", "x", "y")],
                                    "divides by 0"),
    "a place that is infinite": ([("Constant", "", "i", {"value_floats": [np.inf]}),
                                  ("Slice", "classes i i", "s"), ("Relu", "x", "y")],
                                 r"node /s/Slice \(Slice\) cannot convert float infinity"),
    "a part from the batch size on": (
        [("Shape", "x", "n", {"end": 1}), ("Slice", "mean n last", "s"), ("Mul", "x s", "y")],
        r"\(Slice\) computes with the batch size"),
    "a constant with itself": ([("Concat", "Wt " * 200, "c_", {"axis": 0}), ("Relu", "x", "y")],
                               "computes 4800 known numbers, too many"),
    "an old opset": ([("Relu", "x", "y")], "opset 11, but 13 to .*convert_version", old),
    "a new opset": ([("Relu", "x", "y")], "opset 999, which needs a newer onnx", new),
    "no graph": ([("Relu", "x", "y")], "holds no graph", lambda model: model.ClearField("graph")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(write, name):
    nodes, message, *change = REFUSED[name]
    with pytest.raises(cr.ModelFileError, match=message):
        cr.from_onnx(write(nodes, change=change[0] if change else lambda model: None))


@pytest.mark.parametrize(
    ("nodes", "axis"),
    [
        ([("Softmax", "m", "y", {"axis": 1})], 1),
        ([("Concat", "m m", "y", {"axis": 1})], 1),
        ([("LayerNormalization", "m four", "y", {"axis": 1})], 1),
        ([("BatchNormalization", "m four four four four", "y")], 1),
        ([("ArgMax", "m", "y", {"axis": 1})], 1),
        ([("Gather", "m rows4", "y", {"axis": 1})], 1),
    ],
)
def test_an_axis_that_is_not_the_last_of_rows_of_unknown_length(write, nodes, axis):
    """They were read as if rows had no axis but the one that the linear layer takes."""
    nodes, rows4 = [("MatMul", "x Wt", "m"), *nodes], np.array([0, 1])
    message = f"has axis={axis}, where only the last is supported"
    with pytest.raises(cr.ModelFileError, match=message):
        cr.from_onnx(write(nodes, ("n", "length", 6), rows4=rows4))
    assert cr.from_onnx(write(nodes, ("n", 6), rows4=rows4)).predict(np.ones((2, 6))).ndim == 2


def test_integers_are_divided_as_onnx_does(write):
    """It rounds towards 0, where Python rounds down."""
    nodes = [("Div", "less two_", "q"), ("Cast", "q", "f", FLOAT), ("Mul", "x f", "y")]
    path = write(nodes, less=np.array([-7, 7, -8]), two_=np.array(2), shape=("n", 3))
    x = np.ones((1, 3), "float32")
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_array_equal(cr.from_onnx(path).predict(x), expected)


def test_branches_without_end(write):
    doubled = [("Sigmoid", "x", "a0"), ("Tanh", "x", "b0")]
    for i in range(40):  # each takes both of the two before it
        doubled += [("Add", f"a{i} b{i}", f"a{i + 1}"), ("Mul", f"a{i} b{i}", f"b{i + 1}")]
    doubled.append(("Add", "a40 b40", "y"))
    with pytest.raises(cr.ModelFileError, match="nested more than 20 deep"):
        cr.from_onnx(write(doubled))


def test_a_small_file_cannot_ask_for_any_memory(write):
    nodes = [("Concat", "x x", "a0", {"axis": 1})]
    nodes += [("Concat", f"a{i} a{i}", f"a{i + 1}", {"axis": 1}) for i in range(60)]
    with pytest.raises(cr.ModelFileError, match="numbers for each row"):
        cr.from_onnx(write([*nodes, ("Relu", "a60", "y")]))
    cut = {"begin": np.array([0]), "behind": np.array([1 << 60]), "along": np.array([1])}
    with pytest.raises(cr.ModelFileError, match="takes 1,099,511,627,776 columns"):
        cr.from_onnx(write([("Slice", "x begin behind along", "y")], ("n", 1 << 40), **cut))

"""ONNX files as others write them, of few nodes."""

import re

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(0)
W = rng.normal(size=(4, 6)).astype("float32")  # as PyTorch has it: (out, in)
B = rng.normal(size=4).astype("float32")
TENSORS = {
    "W": W, "Wt": W.T, "b": B, "half": np.float32(0.5), "one": np.float32([1]),
    "tiny": np.float32(8e-7), "many": np.float32(2.5e6),
    "two": np.float32(2), "three": np.float32(3), "root": np.float32(2**0.5),
    "rows": np.array([-1, 24]), "flat": np.array([0, -1]), "yes": np.array(True),
    "no": np.array(False), "some": np.float32([1, 2, 0, 3, 4, 5]),
    "cube": np.ones((1, 1, 4), "float32"), "two3": np.full((1, 1, 1), 2, "float32"),
    "zero": np.float32(0), "c": np.float32(0.044715), "k": np.float32((2 / np.pi) ** 0.5),
    "six": np.float32(6), "twenty": np.float32(20), "minus": np.float32(-1),
    "mean": rng.normal(size=6).astype("float32"), "std": np.float32([0.5, 1, 2, 3, 4, 5]),
    "unknown": np.float32([[0.5, 1, 2, 3, 4, 5]]), "four": np.float32([0.5, 1, 2, 3]),
    "classes": np.array([7, 8, 9, 10]), "names": np.array(["a", "b", "c", "d"], object),
    "V": rng.normal(size=(6, 1)).astype("float32"), "last": np.array([1]), "vector": np.array([-1]),
    "first": np.array(0), "minus_one": np.array(-1),
    "lowest": np.finfo("float32").min, "infinite": np.float32(np.inf),
    "large": np.full(6, 3e38, "float32"),
}  # fmt: skip
# Operators that onnxruntime 1.20 to 1.32 does not have for float64, as the guide says.
NOT_IN_FLOAT64 = {
    *("AveragePool", "Conv", "ConvTranspose", "Elu", "Erf", "GlobalAveragePool", "GlobalMaxPool"),
    *("HardSigmoid", "InstanceNormalization", "Resize", "Softplus", "Softsign"),
}
OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 1)]


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file of nodes: (operator, "inputs", "output", attributes).

    It takes the one input x, and constants by their names: those of TENSORS, and what is given.
    """

    def written(nodes, shape=("n", 6), outputs=("y",), change=lambda model: None,
                element=TensorProto.FLOAT, **tensors):  # fmt: skip
        used = {name for _, inputs, *_ in nodes for name in inputs.split()}
        values = {name: np.asarray(value) for name, value in (TENSORS | tensors).items()}
        graph = helper.make_graph(
            [made(*node) for node in nodes],
            "graph",
            [helper.make_tensor_value_info("x", element, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            [numpy_helper.from_array(values[name], name) for name in values if name in used],
        )
        model = helper.make_model(graph, opset_imports=OPSETS, ir_version=8)
        change(model)
        path = tmp_path / "other.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return written


def made(operator, inputs, output, attributes=()):
    domain, _, kind = operator.rpartition(".")
    return helper.make_node(
        kind,
        inputs.split(),
        output.split(" "),
        f"/{output}/{kind}",
        domain=domain,
        **dict(attributes),
    )


@pytest.fixture
def run_float64():
    """Return a function that runs a file in float64: by onnxruntime, or else as ONNX defines it."""

    def run(path, x):
        try:
            options = {"providers": ["CPUExecutionProvider"]}
            return onnxruntime.InferenceSession(path, **options).run(None, {"input": x})
        except Exception as error:  # of a class that is not public
            (operator,) = re.findall(r"Could not find an implementation for (\w+)", str(error))
            assert operator in NOT_IN_FLOAT64
        return ReferenceEvaluator(str(path)).run(None, {"input": x})

    return run

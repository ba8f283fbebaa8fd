"""ONNX files of layers of signals and images: channels stand after the batch in them."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import chainrule as cr
from chainrule.models.architecture import KNOWN

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "images.json").read_text())
FILES = Path(__file__).parents[2] / "golden" / "onnx"
SHAPES = {"1d": (9, 2), "2d": (6, 5, 2)}
CASES = [(case["layer"], case["options"]) for case in GOLDEN]
CASES += [
    ("RandomShift", {"shift": 1}),
    ("RandomFlip", {}),
    ("RandomCrop", {"size": 3}),
    ("RandomCrop", {"size": [7, 4], "padding": 1}),
]
IMAGES = [kind for kind in KNOWN.values() if kind.axes]
each = pytest.mark.parametrize(("name", "options"), CASES, ids=str)


def test_every_layer_of_images_is_here():
    assert {getattr(cr, name) for name, _ in CASES} == set(IMAGES)


def exported(tmp_path, net, shape):
    path = tmp_path / "model.onnx"
    net.to_onnx(path, input_shape=shape)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return path


def run(path, x, name="input"):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {name: x})[0]


@each
def test_there_and_back(tmp_path, name, options):
    layer, shape = getattr(cr, name)(**options), SHAPES.get(name[-2:], SHAPES["2d"])
    before, behind = options.get("in_channels", 3), options.get("out_channels", 3)
    several = [cr.Linear(2, before), cr.ReLU(), layer, cr.Tanh(), cr.GlobalAvgPool()]
    several.append(cr.Linear(behind, 2))
    if "Global" in name:
        del several[4]
    for layers in ([layer], several):
        net = cr.Sequential(*layers, seed=0)
        path = exported(tmp_path, net, shape)
        x = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
        np.testing.assert_allclose(run(path, x), net.predict(x), rtol=1e-5, atol=1e-6)
        same = cr.from_onnx(path)
        np.testing.assert_array_equal(same.predict(x), net.predict(x))
        expected = [type(own) for own in layers if not own.differs_in_training]
        assert [type(own) for own in same.layers] == expected or name.startswith("Random")


@each
def test_float64(tmp_path, name, options, run_float64):
    shape = SHAPES.get(name[-2:], SHAPES["2d"])
    net = cr.Sequential(getattr(cr, name)(**options), seed=0, dtype="float64")
    path = exported(tmp_path, net, shape)
    x = np.random.default_rng(0).normal(size=(3, *shape))
    if "Transpose" not in name or options.get("groups", 1) == 1:  # which onnx's evaluator refuses
        (found,) = run_float64(path, x)
        np.testing.assert_allclose(found, net.predict(x), rtol=1e-12, atol=1e-12)
    same = cr.from_onnx(path)
    assert same.dtype == np.float64
    np.testing.assert_array_equal(same.predict(x), net.predict(x))


def test_windows_one_after_the_other(tmp_path):
    layers = [cr.MaxPool2d(2, 1), cr.AvgPool2d(2, 1), cr.ReLU(), cr.ZeroPad(1), cr.MaxPool2d(2)]
    net = cr.Sequential(*layers, seed=0)
    path = exported(tmp_path, net, (6, 5, 2))
    x = np.random.default_rng(0).normal(size=(3, 6, 5, 2)).astype("float32")
    assert cr.from_onnx(path).layers == net.layers
    np.testing.assert_allclose(run(path, x), net.predict(x), rtol=1e-5, atol=1e-6)


def test_windows_that_onnx_counts_otherwise(tmp_path):
    net = cr.Sequential(cr.MaxPool2d((2, 3), (3, 3), ceil_mode=True))
    with pytest.raises(
        ValueError, match=r"MaxPool2d\(.*\(layer 0\) .* more window along an axis of 6"
    ):
        net.to_onnx(tmp_path / "model.onnx", input_shape=(6, 4, 2))


def between(*nodes, rank=4):
    """Return a file with these nodes between two Transpose, on images (n, 6, 5, 2)."""
    make = onnx.helper.make_node
    first, last = [0, rank - 1, *range(1, rank - 1)], [0, *range(2, rank), 1]
    shape = ["n", 6, 5, 2][:rank]
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)
        for name, dims in (("x", shape), ("y", None))
    ]
    graph = onnx.helper.make_graph(
        [make("Transpose", ["x"], ["a"], perm=first), *nodes,
         make("Transpose", ["b"], ["y"], perm=last)],
        "g", values[:1], values[1:],
    )  # fmt: skip
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}, "not the same at both ends"),
        ({"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}, "not the same at both ends"),
        ({"kernel_shape": [2, 2], "pads": [2, 2, 2, 2]}, "at most 1, half of the kernel_size"),
        ({"kernel_shape": [2, 2, 2]}, "has 3 axes"),
        ({"kernel_shape": [9, 2]}, "windows of length 9"),
    ],
)
def test_what_cannot_be_read(tmp_path, attributes, message):
    path = tmp_path / "model.onnx"
    onnx.save(between(onnx.helper.make_node("MaxPool", ["a"], ["b"], **attributes)), path)
    with pytest.raises(cr.ModelFileError, match=message):
        cr.from_onnx(path)


def test_nodes_with_channels_first_one_after_the_other(tmp_path):
    """As others write them, with a Transpose at the borders only."""
    make, path = onnx.helper.make_node, tmp_path / "model.onnx"
    nodes = (
        make("MaxPool", ["a"], ["c"], kernel_shape=[2, 2]),
        make("AveragePool", ["c"], ["b"], kernel_shape=[2, 2], count_include_pad=1),
    )
    onnx.save(between(*nodes), path)
    assert cr.from_onnx(path).layers == (cr.MaxPool2d(2, 1), cr.AvgPool2d(2, 1))


def test_a_file_of_pytorch():
    """Its images have their channels first, so that they are flattened in another order."""
    net = cr.from_onnx(FILES / "pytorch_images.onnx")
    with np.load(FILES / "pytorch_images.npz") as values:
        x, *expected = values.values()
    for found, other in zip(net.predict(x.transpose(0, 2, 3, 1)), expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-6)


def with_channels_first(*nodes, batch="n", **more):
    """Return a file with these nodes on images (batch, 2, 6, 5), the last of which gives y.

    ``more`` has further constants.
    """
    make = onnx.helper.make_tensor_value_info
    values = [
        make(n, onnx.TensorProto.FLOAT, dims) for n, dims in (("x", [batch, 2, 6, 5]), ("y", None))
    ]
    rng = np.random.default_rng(0)
    weights = [
        onnx.numpy_helper.from_array(rng.normal(size=shape).astype("float32"), name)
        for name, shape in (
            ("K", (3, 2, 3, 2)),
            ("W", (48, 4)),
            ("c", (3, 1, 1)),
            ("four", (4,)),
            ("high", (4, 1)),
        )
    ]
    known = {"scales": np.float32([1, 1, 2, 3]), "one": np.float32([1]), "zero": np.float32([0]),
             "K2": np.float32([[[[1]], [[2]]], [[[3]], [[5]]]]), "groups": np.array([0, 1, -1]),
             "shape": np.array([0, 2, 6, 5]), "first": np.array([0]), "second": np.array([1]),
             "wider": np.array([6, 8, 4]), "index": np.array(0), "number": np.array(1),
             "twice": np.array([2, 2]), "three": np.float32([1, 1, 2]),
             "K3": np.ones((2, 3, 2, 2), "float32")}  # fmt: skip
    known |= more
    weights += [onnx.numpy_helper.from_array(value, name) for name, value in known.items()]
    graph = onnx.helper.make_graph(nodes, "g", values[:1], values[1:], weights)
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )


def node(operator, inputs, output, **attributes):
    return onnx.helper.make_node(
        operator, inputs.split(" "), [output], name=f"/{output}", **attributes
    )


CONV = node("Conv", "x K", "h", kernel_shape=[3, 2])
POOLED = node("GlobalAveragePool", "x", "g")


@pytest.mark.parametrize(
    ("nodes", "names"),
    [
        ([CONV, node("Relu", "h", "y")], "Conv2d ReLU"),
        ([CONV, node("Flatten", "h", "f"), node("Relu", "f", "r"), node("MatMul", "r W", "y")],
         "Conv2d Flatten ReLU Linear"),
        ([CONV, node("Sigmoid", "h", "s"), node("Mul", "h s", "y")], "Conv2d SiLU"),
        ([CONV, node("GlobalAveragePool", "h", "g"), node("Flatten", "g", "y")],
         "Conv2d GlobalAvgPool"),
        ([node("Conv", "x K", "y", pads=[0, 1, 2, 3])], "ZeroPad Conv2d"),
        ([node("Conv", "x K", "y", pads=[0, 1, 1, 0], strides=[2, 2])], "ZeroPad Conv2d"),
        ([CONV, node("PRelu", "h c", "y")], "Conv2d PReLU"),
        ([CONV, node("Resize", "h  scales", "y", mode="nearest", nearest_mode="floor",
                     coordinate_transformation_mode="asymmetric", cubic_coeff_a=-0.75)],
         "Conv2d Upsample"),
        ([CONV, node("Resize", "h  scales", "y", mode="nearest")], "Conv2d Upsample"),
        ([CONV, node("Resize", "h  scales", "y", nearest_mode="round_prefer_ceil")],
         "Conv2d Upsample"),
        ([node("Conv", "x K", "h", auto_pad="SAME_UPPER"),
          node("MaxPool", "h", "y", kernel_shape=[2, 2])], "Conv2d MaxPool2d"),
        ([node("Conv", "x K", "y", auto_pad="SAME_LOWER")], "ZeroPad Conv2d"),
        ([node("Conv", "x K", "y", auto_pad="SAME_UPPER", strides=[2, 3])], "ZeroPad Conv2d"),
        ([CONV, node("MaxPool", "h", "y", kernel_shape=[3, 3], auto_pad="SAME_LOWER")],
         "Conv2d MaxPool2d"),
        ([CONV, node("AveragePool", "h", "y", kernel_shape=[2, 2], auto_pad="VALID")],
         "Conv2d AvgPool2d"),
        ([CONV, node("AveragePool", "h", "y", kernel_shape=[2, 2], auto_pad="SAME_UPPER",
                     count_include_pad=1)], "Conv2d ZeroPad AvgPool2d"),
        ([CONV, node("Mul", "h c", "m"), node("Add", "m c", "y")], "Conv2d"),
        ([node("Conv", "x K2", "h"), node("Reshape", "h groups", "g"),
          node("InstanceNormalization", "g one zero", "i"), node("Reshape", "i shape", "y")],
         "Conv2d GroupNorm"),
        ([CONV, node("Flatten", "h", "y")], "Conv2d Flatten Columns"),
        ([CONV, node("Flatten", "h", "f"), node("Softmax", "f", "y")],
         "Conv2d Flatten Softmax Columns"),
    ],
)  # fmt: skip
def test_channels_first_without_any_transpose(tmp_path, nodes, names):
    path = tmp_path / "model.onnx"
    onnx.save(with_channels_first(*nodes), path)
    net, x = (
        cr.from_onnx(path),
        np.random.default_rng(1).normal(size=(3, 2, 6, 5)).astype("float32"),
    )
    expected = run(path, x, "x")
    if expected.ndim == 4:
        expected = expected.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(net.predict(x.transpose(0, 2, 3, 1)), expected, rtol=1e-5, atol=1e-5)
    assert " ".join(type(layer).__name__ for layer in net.layers) == names


GROUPS = [
    ("{b} 1 -1", "{b} 2 6 5"),
    ("{b} 1 60", "{b} 2 6 5"),
    ("{b} 2 -1", "{b} 2 -1 5"),
    ("{b} 6 -1", "{b} 60"),  # of the flattened image
    ("{b} 6 10", "{b} -1"),
]


@pytest.mark.parametrize("first", ["batch", "-1", "0"])
@pytest.mark.parametrize("batch", [1, 3, "n"])
@pytest.mark.parametrize("shapes", [*GROUPS, ("{b} 60",), ("{b} -1",)], ids=" to ".join)
def test_a_reshape_says_the_batch_in_any_way(tmp_path, shapes, batch, first):
    """It may be fixed in the file, as it is without dynamic axes."""
    begin = first if first != "batch" else str(batch)
    rows = [[begin if n == "{b}" else n for n in shape.split()] for shape in shapes]
    if any(row.count("-1") > 1 or "n" in row for row in rows):
        return  # no shape in ONNX
    path = tmp_path / "model.onnx"
    names = ["a", "b"][: len(rows)]
    known = {name: np.array(row, np.int64) for name, row in zip(names, rows, strict=True)}
    groups = 1 if len(rows) == 1 else int(rows[0][1])
    known |= {"ones": np.ones(groups, "float32"), "zeros": np.zeros(groups, "float32")}
    nodes = [node("Conv", "x K2", "h"), node("Reshape", "h a", "y" if len(rows) == 1 else "g")]
    if len(rows) == 2:
        nodes.append(node("InstanceNormalization", "g ones zeros", "i"))
        nodes.append(node("Reshape", "i b", "y"))
    onnx.save(with_channels_first(*nodes, batch=batch, **known), path)
    size = 3 if batch == "n" else batch
    x = np.random.default_rng(1).normal(size=(size, 2, 6, 5)).astype("float32")
    expected = run(path, x, "x")
    if expected.ndim == 4:
        expected = expected.transpose(0, 2, 3, 1)
    found = cr.from_onnx(path).predict(x.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([3, -1], r"reshapes to \(3, -1\), not to as many rows as before"),
        ([-1, -1], r"reshapes to \(-1, -1\), not to as many rows as before"),
        ([2, 0], r"reshapes to \(2, 0\)$"),
        ([2, 3, 4, 5], r"reshapes rows to \(3, 4, 5\), not to one axis of known length"),
        ([], r"reshapes to \(\)"),
    ],
)
def test_what_changes_the_batch_is_refused(tmp_path, shape, message):
    path = tmp_path / "model.onnx"
    reshape = node("Reshape", "x to", "y")
    onnx.save(with_channels_first(reshape, batch=2, to=np.array(shape, np.int64)), path)
    with pytest.raises(cr.ModelFileError, match=message):
        cr.from_onnx(path)


def test_labels_of_pixels(tmp_path):
    path = tmp_path / "model.onnx"
    model = with_channels_first(CONV, node("ArgMax", "h", "y", axis=1, keepdims=0))
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    onnx.save(model, path)
    x = np.random.default_rng(1).normal(size=(3, 2, 6, 5)).astype("float32")
    scores = cr.from_onnx(path).predict(x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(scores.argmax(axis=-1), run(path, x, "x"))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([CONV, node("Softmax", "h", "y")], r"has axis=-1 of images .* axis=1 is supported"),
        ([CONV, node("MatMul", "h W", "y")], r"\(MatMul\) is not supported of images"),
        ([CONV, node("GlobalAveragePool", "h", "g"), node("Mul", "h g", "y")],
         r"\(Mul\) takes images or signals beside values of other shapes"),
        ([node("Conv", "x W", "y")], r"has a weight of shape \(48, 4\)"),
        ([node("Conv", "x K c", "y")], r"has a bias of shape \(3, 1, 1\), not of 3 numbers"),
        ([node("Conv", "x K", "y", pads=[0, 1, 2, -1])], r"has pads=\[0, 1, 2, -1\]"),
        ([CONV, node("PRelu", "h c", "s"), node("PRelu", "s four", "y")],
         r"shape \(4,\), where a number is supported, or one for each channel, of shape \(chan"),
        ([CONV, node("PRelu", "h high", "y")], r"has an input 1 of shape \(4, 1\), where a number"),
        ([CONV, node("Mul", "h high", "y")], r"has an input 1 of shape \(4, 1\), where a number"),
        ([CONV, node("Concat", "h h", "y", axis=2)], r"\(Concat\) has axis=2 of images"),
        ([CONV, node("Shape", "h", "s"), node("Mul", "s s", "t"), node("Reshape", "h t", "y")],
         r"node /t \(Mul\) computes with the batch size"),
        ([CONV, node("Resize", "h  scales", "y", nearest_mode="floor")],
         "has coordinate_transformation_mode='half_pixel' and nearest_mode='floor'"),
        ([CONV, node("Resize", "h  scales", "y", nearest_mode="round_prefer_floor",
                     coordinate_transformation_mode="asymmetric")], "mode='asymmetric' and near"),
        ([CONV, node("ArgMax", "h", "y", axis=2)], r"\(ArgMax\) is supported along the channels"),
        ([CONV, node("Flatten", "h", "f"), node("ArgMax", "f", "y", axis=0)],
         r"\(ArgMax\) has axis=0, where only the last is supported"),
        ([CONV, node("Shape", "h", "s"), node("Slice", "s first second", "b"),
          node("Concat", "b wider", "t", axis=0), node("Resize", "h   t", "y")],
         "changes batch or channels: .*6, 8, 4"),
        ([CONV, node("Unsqueeze", "h four", "y")], "that is no row of integers"),
        ([node("Conv", "x K", "y", kernel_shape=[2, 2])], "has kernel_shape"),
        ([POOLED, node("Gather", "g index", "y", axis=1)],
         r"takes away the axes \[1\], where those behind a pooling are supported: \[2, 3\]"),
        ([POOLED, node("Gather", "g index", "y", axis=-4)], r"takes away the axes \[0\]"),
        ([POOLED, node("Gather", "g number", "y", axis=3)], "takes the place 1 of an axis of len"),
        ([POOLED, node("Squeeze", "g twice", "y")], r"takes away the axes \[2, 2\]"),
        ([node("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[2])],
         r"has strides=\[2\], not a number for each of 2 axes"),
        ([node("Conv", "x K", "y", dilations=[1, 1, 1])], r"has dilations=\[1, 1, 1\], not a num"),
        ([node("ConvTranspose", "x K3", "y", strides=[2, 2], output_padding=[1])],
         r"has output_padding=\[1\], not a number for each of 2 axes"),
        ([CONV, node("InstanceNormalization", "h one zero", "y")],
         r"has a scale of shape \(1,\) for 3 channels"),
        ([CONV, node("Resize", "h  three", "y")], r"has \[1.0, 1.0, 2.0\] for a value of 4 axes"),
        ([CONV, node("Transpose", "h", "y", perm=[0, 2, 1])],
         r"has perm=\[0, 2, 1\] for a value of 4 axes"),
    ],
)  # fmt: skip
def test_what_is_not_understood_with_channels_first(tmp_path, nodes, message):
    path = tmp_path / "model.onnx"
    onnx.save(with_channels_first(*nodes), path)
    with pytest.raises(cr.ModelFileError, match=message):
        cr.from_onnx(path)


@pytest.mark.parametrize(
    "nodes",
    [
        [CONV, node("Softmax", "h", "y", axis=0)],
        [CONV, node("Concat", "h h", "y", axis=0)],
        [CONV, node("Concat", "h h", "y", axis=-4)],
        [CONV, node("GlobalMaxPool", "h", "g"), node("Concat", "g g", "y", axis=-4)],
    ],
)
def test_the_batch_is_no_axis_of_channels_of_images_of_unknown_shape(tmp_path, nodes):
    path, model = tmp_path / "model.onnx", with_channels_first(*nodes)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    with pytest.raises(cr.ModelFileError, match="of images or signals with their channels first"):
        cr.from_onnx(path)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_the_batch_is_no_axis_of_a_vector(tmp_path, operator):
    path, model = tmp_path / "model.onnx", with_channels_first(node(operator, "x", "y", axis=0))
    del model.graph.input[0].type.tensor_type.shape.dim[1:]
    onnx.save(model, path)
    with pytest.raises(cr.ModelFileError, match="not supported of an input to which the file adds"):
        cr.from_onnx(path)

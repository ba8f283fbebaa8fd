"""Every kernel against its NumPy twin: same names, same arguments, same results."""

import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import FunctionType

import numpy as np
import pytest

import chainrule.kernels
import chainrule.operations
import chainrule.reference
from chainrule.kernels import jit
from chainrule.kernels.blocks import NORM_BLOCK, PACKED_BYTES
from chainrule.kernels.group import GROUP_SIZE
from chainrule.operations.operation import View

# Not kernels, but what they are made with.
WITHOUT_TWIN = {
    *(
        "argument",
        "atomics",
        "blocks",
        "cache",
        "clock",
        "compilation",
        "context",
        "conversion",
        "convolution",
        "copy",
        "dot",
        "elementwise",
        "fingerprint",
        "formats",
        "group",
        "indirect",
        "jit",
        "native",
        "maximum",
        "narrow",
        "normalized_pooling",
        "pipelines",
        "pooling",
        "routine",
        "same",
        "sums",
        "symbols",
        "thread_group",
        "tile",
        "transpose",
    ),
    *("values", "vectors", "views", "weak", "windows"),
}
ROWS_AND_COLUMNS = [(1, 1), (9, 2), (1, 10), (3, 2), (7, 5), (13, 33), (64, 10), (37, 53)]


def public_functions(module):
    """Return what ``module`` itself defines, compiled or not."""
    found = {}
    for name, value in vars(module).items():
        function = getattr(value, "py_func", value)
        if isinstance(function, FunctionType) and function.__module__ == module.__name__:
            found[name] = value
    return {name: value for name, value in found.items() if not name.startswith("_")}


def modules(package):
    return {name for _, name, _ in iter_modules(package.__path__)}


def kernels_of(subject):
    """Return the kernels of this name's file in kernels, and of that in operations."""
    found = {}
    if subject in modules(chainrule.kernels) - WITHOUT_TWIN:
        found = public_functions(import_module(f"chainrule.kernels.{subject}"))
    if subject in modules(chainrule.operations):
        beside = public_functions(import_module(f"chainrule.operations.{subject}"))
        if jit.JIT_DISABLED:  # a kernel is a function as any other
            found |= {name: beside[name] for name in beside.keys() & references_of(subject).keys()}
        else:
            found |= {name: value for name, value in beside.items() if hasattr(value, "py_func")}
    return found


def references_of(subject):
    if subject not in modules(chainrule.reference):
        return {}
    return public_functions(import_module(f"chainrule.reference.{subject}"))


SUBJECTS = sorted(
    subject
    for subject in modules(chainrule.kernels) | modules(chainrule.operations)
    if kernels_of(subject)
)
PAIRS = [(subject, name) for subject in SUBJECTS for name in kernels_of(subject)]


def pair(subject, name):
    return kernels_of(subject)[name], references_of(subject)[name]


def test_every_file_has_its_twin():
    references = modules(chainrule.reference) - {
        "array_functions",
        "ops",
        "pooling",
    }  # see test_ops.py
    assert references >= {*SUBJECTS}
    assert references - {*SUBJECTS} <= modules(chainrule.operations)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_function_has_its_twin(subject):
    kernels, references = kernels_of(subject), references_of(subject)
    assert kernels.keys() == references.keys()
    for name, kernel in kernels.items():
        function = getattr(kernel, "py_func", kernel)
        # The usual values of numbers stand in the reference.
        signatures = map(inspect.signature, (function, references[name]))
        assert len({tuple(signature.parameters) for signature in signatures}) == 1, name


def test_nobody_else_writes_njit():
    package = Path(chainrule.kernels.__file__).parent.parent
    for source in package.rglob("*.py"):
        assert "njit(" not in source.read_text() or source.name == Path(jit.__file__).name, source


# What a twin is called with: made from the names of its parameters.


def arguments(function, rows, columns, dtype, rng):
    """Return arrays and numbers for each of a function's parameters, by the project's names."""
    inner = 6
    shapes = {
        "a": (rows, inner),
        "b": (inner, columns),
        "bias": (columns,),
        "w": (inner, columns),
        "db": (columns,),
        "dw": (inner, columns),
        "scratch": (PACKED_BYTES // 4,),
        "weight": (rows,),
        "source": (rows + 3, columns),
        **dict.fromkeys(("class_weight", "pos_weight"), (columns,)),
        "quantiles": (3,),
        "parts": (3, columns + 1),
        "out": (rows, columns),
        "c": (rows, columns),
    }
    numbers = {
        "negative_slope": 0.1,
        "alpha": 0.7,
        "delta": 0.8,
        "label_smoothing": 0.2,
        "columns": 3,
        "column": 1,
        "adds": True,
        "rows": rows,
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.1,
        "nesterov": True,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "step": 3,
        "amsgrad": True,
        "centered": True,
        "full": True,
        "log_input": True,
        "positive": 1.5,
        "center": 0.5,
        "decoupled_weight_decay": True,
        "lr_decay": 0.1,
        "momentum_decay": 0.004,
        "penalty": 0.1,
        "shrink": 0.95,
        "total": 2.5,
        "floor": dtype(-0.5),
        "threads": 1,
        "scale": 0.3,
        "offset": -0.7,
        "dtype": ord("h"),  # int16
        "limit": 0.5,
        "loss_weight": 0.25,
        "thread": 0,
        "has_bias": 1,
        "p": 0.3,
        "key": 0x7234567890ABCDEF,
        "number": 1,
        **{f"counter{i}": 0x9ABCDEF0 + i for i in range(4)},
        "key0": 3,
        "key1": 0xFFFFFFFF,
        "decay": 0.9,
        "factor": 0.5,
        "first": 1 if "gather" in function.__module__ else 0,
        "stride": 2 * columns + 3,
    }
    name = function.__name__
    if name in ("cross_entropy", "weighted_cross_entropy"):
        shapes["terms"] = (rows, 1)
    if name in ("linear", "linear_add", "linear_backward_weight"):
        shapes["x"] = (rows, inner)
    if name == "linear":
        shapes["b"] = (columns,)
    if name == "linear_backward_input":
        shapes["dx"] = (rows, inner)
    if name == "multiply_by_transposed":
        shapes["b"] = (columns, inner)
    if name == "multiply_transposed":
        shapes["a"] = (inner, rows)
    if name in ("gather_values", "gather_weights"):
        shapes["source"], shapes["out"] = (rows + 3,), (rows,)
    if name == "add_up":
        shapes["out"] = (columns,)
    if name == "outer":
        shapes |= {"x": (rows,), "dy": (columns,), "dw": (rows, columns)}
    if name in ("sum_squares", "sum_squares_of_partition"):
        shapes["squares"] = (-(-rows * columns // NORM_BLOCK),)
    if name == "square_norms_of_products":
        shapes["squares"] = (rows,)
    if name in ("add_up_weights", "sum_of_weights"):
        del numbers["total"]
        shapes |= {"weights": (rows + 3,), "total": (1,)}
    if name == "sgd_of_rows":
        del numbers["rows"]
        numbers["begin"] = 1
    if name == "scale_lr":
        shapes["scaled"] = (1,)
    if name == "normalize_weights":
        shapes |= {"weights": (rows,), "out": (rows,)}
    if name in ("glu", "glu_backward"):
        shapes |= dict.fromkeys(("x", "dx"), (rows, 2 * columns))
    if "gaussian_nll" in name or "quantile" in name:
        wide = rows, columns * (2 if "gaussian_nll" in name else 3)
        shapes |= dict.fromkeys(("output", "d_output", "direction", "d_gradient"), wide)
        shapes["terms"] = (rows, columns) if "gaussian_nll" in name else wide
    if name in ("prelu", "prelu_backward"):
        shapes |= {"weight": (columns,), "d_weight": (columns,)}
    if name in ("scale_shift", "scale_shift_backward"):
        shapes |= dict.fromkeys(("weight", "d_weight", "d_bias"), (columns,))
    if "embedding" in name:
        shapes |= dict.fromkeys(("weight", "d_weight"), (rows + 3, columns))
        shapes |= dict.fromkeys(("y", "dy"), (rows * columns, columns))
        numbers |= {"padding": 2, "begin": 1, "cleared": 0}
    if any(word in name for word in ("layer_norm", "rms_norm", "group")):
        grouping = {"groups": 2, "channels": 4} if "group" in name else {"groups": 1}
        numbers |= grouping
        shapes["scale"], shapes["sums"] = (rows, grouping["groups"]), (4,)
        numbers["count"] = 3.0
        if "group" in name:  # three places
            shapes |= dict.fromkeys(("x", "y", "dy", "dx"), (rows, 12))
            shapes["scratch"] = (12,)
        del numbers["scale"]
    if "by_column" in name or "fold" in function.__module__:
        del numbers["scale"]
        shapes |= dict.fromkeys(("scale", "shift", "bias", "folded_bias"), (columns,))
        shapes |= {"weight": (rows, columns) if "fold" in name else (columns,)}
        shapes["folded"] = rows, columns
    if any(word in function.__module__ for word in ("batch_norm", "batch_mean", "standardize")):
        of_columns = "running_mean", "running_var", "mean", "squares", "variance", "scale"
        of_columns += "weight", "bias", "d_weight", "d_bias", "shift", "of_dy", "of_x"
        numbers.pop("scale", None)
        shapes |= dict.fromkeys(of_columns, (columns,)) | {"num_batches_tracked": (1,)}
        shapes |= {"sums": (4, 2, columns), "chunk_sums": (2, columns)}
        shapes |= {"moments": (4, 4, columns), "products": (4, 2, columns)}
        shapes |= {"chunk_moments": (4, columns), "chunk_products": (2, columns)}
    if "pool" in name or "convolution" in name:
        # Images of so many channels, windows of 3 by 2 that have elements in common.
        numbers |= {
            "floor": 0.1,
            "count_include_pad": 0,
            "window": np.array([3, 2, 2, 1, 1, 0, 1, 1], dtype),
        }
        shapes |= dict.fromkeys(("x", "dx", "direction"), (2, rows + 2, 5, columns))
        shapes |= dict.fromkeys(("y", "dy"), (2, (rows + 1) // 2 + 1, 4, columns))
    if "batch_norm_max_pool" in name:  # each pixel is in one window
        numbers["window"] = np.array([2, 3, 2, 3, 0, 0, 1, 1], dtype)
        shapes |= dict.fromkeys(("x", "dx"), (2, 2 * rows, 6, columns))
        shapes |= dict.fromkeys(("y", "dy"), (2, rows, 2, columns))
    if "convolution" in name:
        few = min(columns, 3)  # channels: sums of few terms are exact enough
        numbers |= {"begin": 1, "window": np.append(numbers["window"], dtype(1))}
        shapes |= dict.fromkeys(("x", "dx"), (*shapes["x"][:3], few))
        shapes |= {"weight": (6 * few, columns), "d_weight": (6 * few - 1, columns)}
        if "depthwise" in name:
            shapes |= dict.fromkeys(("x", "dx"), (*shapes["x"][:3], columns))
            shapes |= {"weight": (6, columns), "d_weight": (5, columns)}
        if "transposed" in name:
            shapes |= {"x": shapes["y"], "dx": shapes["y"], "y": shapes["x"], "dy": shapes["x"]}
        shapes |= dict.fromkeys(("bias", "d_bias"), shapes["y"][3:])
    if name == "copy_shifted":
        shapes |= {"source": (rows + 2, 4, columns), "target": (rows, 5, columns)}
        numbers |= {"row": 1, "row_step": 1, "column": 3, "column_step": -1}
    if "zero_pad" in name or "random_crop" in name:
        shapes |= dict.fromkeys(("x", "dx"), (3, rows + 1, 4, columns))
        shapes |= dict.fromkeys(("y", "dy"), (3, rows + 2, 3, columns))
        pairs = {"before": (2, -1), "lowest": (-1, 0), "highest": (2, 1), "p": (0.4, 0.6)}
        numbers |= {key: np.array(value, dtype) for key, value in pairs.items()}
        numbers["first"] = 5 * (rows + 1) * 4 * columns
    if "upsample" in name:
        shapes |= dict.fromkeys(("x", "dx"), (2, rows, 4, columns))
        shapes |= dict.fromkeys(("y", "dy"), (2, 3 * rows, 8, columns))
        numbers["window"] = np.array([3, 2, 3, 2, 0, 0, 1, 1], dtype)
    if name == "put_columns_among_zeros":
        shapes["dx"] = (rows, columns + 2)
    if name == "add_loss":
        shapes["loss"] = (1,)
    if name == "put_columns":
        shapes["y"] = (rows, columns + 2)
    if name == "slice_columns":
        shapes["x"] = (rows, columns + 2)
    positive = {"sums", "square", "squares", "largest", "root", "weight", "variance", "moments"}
    positive |= {"target"} if "poisson" in name else set()
    positive |= {"x"} if name == "rsqrt" else set()
    values = []
    for parameter in inspect.signature(function).parameters:
        if parameter in numbers:
            values.append(numbers[parameter])
        elif parameter == "label":
            values.append(rng.integers(0, columns, rows))
        elif parameter == "x" and "embedding" in name:
            values.append(rng.integers(-2, rows + 5, (rows, columns)).astype(dtype))
        elif parameter == "rows":  # of a table, some of another thread
            values.append(rng.integers(-2, rows + 5, columns).astype(dtype))
        elif parameter == "selected":
            values.append(rng.integers(0, columns, columns).astype(dtype))
        elif parameter == "group":
            values.append(np.zeros(GROUP_SIZE, np.int64))
        elif parameter == "memory":
            size = numbers["first"] + (rows + 3) * numbers["stride"]
            values.append(rng.integers(0, 256, size, np.uint8))
        elif parameter == "order":
            values.append(rng.permutation(rows + 3)[:rows])
        elif parameter == "orders":
            values.append(np.zeros((rows, columns), np.int64))
        elif parameter == "uniform":
            values.append(rng.uniform(size=(rows, columns)))
        elif parameter in ("class_weight", "pos_weight", "quantiles"):  # numbers of the operation
            values.append(rng.uniform(0.1, 0.9, shapes[parameter]).astype(dtype))
        elif parameter in positive:
            values.append(rng.uniform(0.1, 2, shapes.get(parameter, (rows, columns))).astype(dtype))
        elif parameter == "target" and "bce_with_logits" in name:
            values.append(rng.uniform(0, 1, (rows, columns)).astype(dtype))
        else:
            values.append(rng.normal(size=shapes.get(parameter, (rows, columns))).astype(dtype))
    subject = function.__module__.rpartition(".")[2]
    flat = ("clip", "combine", "elementwise", "norm", "update")
    operation = None
    if subject in modules(chainrule.operations):
        module = import_module(f"chainrule.operations.{subject}")
        operation = getattr(module, "OPERATION", None)
    is_flat = subject in flat or getattr(operation, "view", None) == View.FLAT
    is_flat |= "params" in inspect.signature(function).parameters
    by_row = any(word in name for word in ("softmax", "columns", "rows", "add_up"))
    if is_flat and not by_row:
        values = [v.reshape(-1) if isinstance(v, np.ndarray) else v for v in values]
    return values


def tolerance(dtype):
    return {"rtol": 64 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}


# Those that take numbers instead have test_elementary.py.
ARRAY_PAIRS = [(subject, name) for subject, name in PAIRS if subject != "elementary"]


# A kernel has the same indices in both dtypes, but for products, which test_products.py compares.
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.once)])
@pytest.mark.parametrize(("subject", "name"), ARRAY_PAIRS)
def test_kernel_equals_its_twin(subject, name, dtype):
    kernel, reference = pair(subject, name)
    rng = np.random.default_rng(0)
    for rows, columns in ROWS_AND_COLUMNS:
        given = arguments(reference, rows, columns, dtype, rng)
        mine = [v.copy() if isinstance(v, np.ndarray) else v for v in given]
        result, expected = kernel(*mine), reference(*given)
        names = inspect.signature(reference).parameters
        for parameter, compiled, plain in zip(names, mine, given, strict=True):
            if parameter != "scratch":
                np.testing.assert_allclose(compiled, plain, **tolerance(dtype), err_msg=parameter)
        if expected is not None:
            assert result == pytest.approx(expected, rel=float(64 * np.finfo(dtype).eps))

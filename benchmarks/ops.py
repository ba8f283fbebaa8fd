"""What a call of each function of chainrule.ops takes, and what NumPy takes for the same.

``python -m benchmarks.ops`` prints the tables.
"""

import os
import subprocess
import sys
import timeit
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import chainrule as cr

ROOT = Path(__file__).parents[1]
SMALL, LARGE, MEMORY = (8, 16), (1024, 1024), (4096, 4096)
CLASSES = 10


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x):
    z = x - x.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def silu_backward(dy, x):
    s = sigmoid(x)
    return dy * s * (1 + x * (1 - s))


def gelu(x):
    return x / 2 * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def gelu_backward(dy, x):
    t = np.tanh(0.7978845608 * (x + 0.044715 * x**3))
    return dy * ((1 + t) / 2 + x / 2 * (1 - t * t) * 0.7978845608 * (1 + 3 * 0.044715 * x**2))


def mse(output, target):
    error = output - target
    return float(np.mean(error * error)), error * (2 / error.size)


def huber(output, target):
    error = output - target
    clipped = np.clip(error, -1, 1)
    return float(np.mean(clipped * (error - clipped / 2))), clipped / error.size


def bce_with_logits(output, target):
    e = np.exp(-np.abs(output))
    loss = np.maximum(output, 0) - output * target + np.log1p(e)
    p = np.where(output < 0, e, 1) / (1 + e)
    return float(loss.mean()), (p - target) / output.size


def cross_entropy(output, label):
    rows = np.arange(len(label))
    p = softmax(output)
    loss = -np.log(p[rows, label]).mean()
    p[rows, label] -= 1
    return float(loss), p / len(label)


def sgd_update(w, dw):
    w -= 1e-3 * dw


def adam_update(w, dw, mean, square):
    mean *= 0.9
    mean += 0.1 * dw
    square *= 0.999
    square += 0.001 * dw * dw
    w -= 1e-3 * (mean / 0.271) / (np.sqrt(square / 0.002997) + 1e-8)


def adamw_update(w, dw, mean, square):
    w *= 1 - 1e-5
    adam_update(w, dw, mean, square)


def clip_grad_norm(dw):
    norm = np.sqrt(np.sum(dw * dw))
    if norm > 1e9:
        dw *= 1e9 / norm
    return float(norm)


def calls(shape, dtype="float32"):
    """Return, by name, a call of each function, and NumPy's for the same."""
    rng = np.random.default_rng(0)
    x, dy, y, target, dw = (rng.uniform(0.1, 0.9, shape).astype(dtype) for _ in range(5))
    params, mean, square = (np.ones(shape, dtype) for _ in range(3))
    w = rng.normal(size=(shape[1], CLASSES)).astype(dtype)
    b, dz = np.ones(CLASSES, dtype), np.ones((shape[0], CLASSES), dtype)
    label = rng.integers(0, shape[1], shape[0])
    state = params, dw, mean, square
    return {
        "linear": (lambda: cr.ops.linear(x, w, b), lambda: x @ w + b),
        "linear_backward": (
            lambda: cr.ops.linear_backward(dz, x, w),
            lambda: (dz @ w.T, x.T @ dz, dz.sum(axis=0)),
        ),
        "matmul": (lambda: cr.ops.matmul(x, w), lambda: x @ w),
        "matmul, bias, relu": (
            lambda: cr.ops.matmul(x, w, b, "relu"),
            lambda: np.maximum(x @ w + b, 0),
        ),
        "matmul, bias, tanh": (lambda: cr.ops.matmul(x, w, b, "tanh"), lambda: np.tanh(x @ w + b)),
        "relu": (lambda: cr.ops.relu(x), lambda: np.maximum(x, 0)),
        "relu_backward": (lambda: cr.ops.relu_backward(dy, y), lambda: dy * (y > 0)),
        "leaky_relu": (lambda: cr.ops.leaky_relu(x), lambda: np.where(x > 0, x, 0.01 * x)),
        "leaky_relu_backward": (
            lambda: cr.ops.leaky_relu_backward(dy, y),
            lambda: np.where(y > 0, dy, 0.01 * dy),
        ),
        "tanh": (lambda: cr.ops.tanh(x), lambda: np.tanh(x)),
        "tanh, out": (lambda: cr.ops.tanh(x, out=y), lambda: np.tanh(x, out=y)),
        "tanh, in place": (lambda: cr.ops.tanh(y, out=y), lambda: np.tanh(y, out=y)),
        "tanh, every second column": (lambda: cr.ops.tanh(x[:, ::2]), lambda: np.tanh(x[:, ::2])),
        "tanh, of a number": (lambda: cr.ops.tanh(0.5), lambda: np.tanh(0.5)),
        "tanh_backward": (lambda: cr.ops.tanh_backward(dy, y), lambda: dy * (1 - y * y)),
        "tanh_backward, one row of dy": (
            lambda: cr.ops.tanh_backward(dy[0], y),
            lambda: dy[0] * (1 - y * y),
        ),
        "sigmoid": (lambda: cr.ops.sigmoid(x), lambda: sigmoid(x)),
        "sigmoid_backward": (lambda: cr.ops.sigmoid_backward(dy, y), lambda: dy * y * (1 - y)),
        "softplus": (lambda: cr.ops.softplus(x), lambda: np.logaddexp(0, x)),
        "softplus_backward": (
            lambda: cr.ops.softplus_backward(dy, y),
            lambda: dy * (1 - np.exp(-y)),
        ),
        "elu": (lambda: cr.ops.elu(x), lambda: np.where(x > 0, x, np.expm1(x))),
        "elu_backward": (
            lambda: cr.ops.elu_backward(dy, y),
            lambda: np.where(y > 0, dy, dy * (y + 1)),
        ),
        "silu": (lambda: cr.ops.silu(x), lambda: x * sigmoid(x)),
        "silu_backward": (lambda: cr.ops.silu_backward(dy, x), lambda: silu_backward(dy, x)),
        "gelu, by tanh": (lambda: cr.ops.gelu(x, "tanh"), lambda: gelu(x)),
        "gelu_backward, by tanh": (
            lambda: cr.ops.gelu_backward(dy, x, "tanh"),
            lambda: gelu_backward(dy, x),
        ),
        "softmax": (lambda: cr.ops.softmax(x), lambda: softmax(x)),
        "softmax_backward": (
            lambda: cr.ops.softmax_backward(dy, y),
            lambda: y * (dy - (dy * y).sum(axis=-1, keepdims=True)),
        ),
        "log_softmax": (lambda: cr.ops.log_softmax(x), lambda: log_softmax(x)),
        "log_softmax_backward": (
            lambda: cr.ops.log_softmax_backward(dy, y),
            lambda: dy - np.exp(y) * dy.sum(axis=-1, keepdims=True),
        ),
        "mse": (lambda: cr.ops.mse(x, target), lambda: mse(x, target)),
        "huber": (lambda: cr.ops.huber(x, target), lambda: huber(x, target)),
        "bce_with_logits": (
            lambda: cr.ops.bce_with_logits(x, target),
            lambda: bce_with_logits(x, target),
        ),
        "cross_entropy": (lambda: cr.ops.cross_entropy(x, label), lambda: cross_entropy(x, label)),
        "sgd_update": (lambda: cr.ops.sgd_update(params, dw), lambda: sgd_update(params, dw)),
        "adam_update": (lambda: cr.ops.adam_update(*state, step=3), lambda: adam_update(*state)),
        "adamw_update": (lambda: cr.ops.adamw_update(*state, step=3), lambda: adamw_update(*state)),
        "clip_grad_norm": (lambda: cr.ops.clip_grad_norm(dw, 1e9), lambda: clip_grad_norm(dw)),
    }


class Calls:
    """One small call, float32, 8 rows of 16: mostly what Python and the checks take."""

    params = (sorted(calls(SMALL)),)
    param_names = ("function",)

    def setup(self, function):
        self.mine, self.numpy = calls(SMALL)[function]
        self.mine()  # compiles or loads

    def time_mine(self, function):
        self.mine()

    def time_numpy(self, function):
        self.numpy()


class LargeCalls(Calls):
    """One call on a million numbers, which are more than the second-level cache holds."""

    params = (["linear", "relu", "tanh", "tanh_backward", "softmax", "mse", "adam_update"],)

    def setup(self, function):
        self.mine, self.numpy = calls(LARGE)[function]
        self.mine()


FIRST_CALL = """
from time import perf_counter
from benchmarks.ops import SMALL, calls
call = calls(SMALL)[{function!r}][0]
started = perf_counter()
call()
print(perf_counter() - started)
"""


def seconds_of_first_call(function):
    """Return what compiling takes, in a process and a cache of its own."""
    with TemporaryDirectory() as folder:
        result = subprocess.run(
            [sys.executable, "-c", FIRST_CALL.format(function=function)],
            cwd=ROOT,  # where "benchmarks" is found
            env=os.environ | {"CHAINRULE_CACHE_DIR": folder},
            check=True,
            capture_output=True,
            text=True,
        )
    return float(result.stdout)


class FirstCall:
    params = (["tanh", "linear", "linear_backward"],)
    param_names = ("function",)
    track_seconds = staticmethod(seconds_of_first_call)
    track_seconds.unit = "s"


def seconds(call, number, repeat):
    call()
    return min(timeit.repeat(call, number=number, repeat=repeat)) / number


def report(shape, unit, number, repeat):
    scale = {"us": 1e6, "ms": 1e3}[unit]
    print(f"\n| float32, {shape[0]} x {shape[1]}, {unit} | chainrule | NumPy | difference |")
    print("|---|---:|---:|---:|")
    for name, pair in calls(shape).items():
        mine, numpy = (scale * seconds(call, number, repeat) for call in pair)
        print(f"| `{name}` | {mine:.2f} | {numpy:.2f} | {mine - numpy:+.2f} |")


def report_memory():
    """Print how fast numbers from memory are read and written, in GB/s."""
    x = np.ones(MEMORY, "float32")
    out = np.empty_like(x)
    for name, call in {
        "relu": lambda: cr.ops.relu(x, out=out),
        "tanh": lambda: cr.ops.tanh(x, out=out),
        "np.copyto": lambda: np.copyto(out, x),
        "np.maximum": lambda: np.maximum(x, 0, out=out),
        "np.tanh": lambda: np.tanh(x, out=out),
    }.items():
        print(f"{name}: {2 * x.nbytes / seconds(call, 1, 9) / 1e9:.1f} GB/s")


if __name__ == "__main__":
    report(SMALL, "us", number=5000, repeat=9)
    report(LARGE, "ms", number=2, repeat=9)
    print()
    report_memory()
    for function in FirstCall.params[0]:
        print(f"first call of {function}: {seconds_of_first_call(function):.1f} s")

"""Elementary functions and the optimizer's update, against what Numba and the memory give."""

import math
import timeit

import numpy as np

from chainrule.kernels import elementary
from chainrule.kernels.jit import kernel
from chainrule.operations.adam import adam_update
from chainrule.operations.sgd import sgd_update

DTYPES = ["float32", "float64"]
ROUNDS = 100

# What one would write in a Numba loop.
NUMPY = {
    "exp": kernel(lambda x: np.exp(x)),
    "expm1": kernel(lambda x: np.expm1(x)),
    "log": kernel(lambda x: np.log(x)),
    "tanh": kernel(lambda x: np.tanh(x)),
    "sigmoid": kernel(lambda x: 1 / (1 + np.exp(-x))),
    "softplus": kernel(lambda x: max(x, 0) + np.log1p(np.exp(-abs(x)))),
    "erf": kernel(lambda x: math.erf(x)),
    "normal_pdf": kernel(lambda x: np.exp(-x * x / 2) * 0.3989422804014327),
    "normal_cdf": kernel(lambda x: math.erfc(-x * 0.7071067811865476) / 2),
}


def loop_over(function):
    @kernel
    def each(x, y):
        for _ in range(ROUNDS):
            for i in range(x.size):
                y[i] = function(x[i])

    return each


class Elementary:
    """1024 numbers, which stay in the first cache, 100 times a call."""

    params = (list(NUMPY), DTYPES, ["mine", "NumPy's in a Numba loop"])
    param_names = ("function", "dtype", "whose")

    def setup(self, function, dtype, whose):
        self.x = np.random.default_rng(0).normal(size=1024).astype(dtype)
        if function == "log":
            self.x = abs(self.x)
        self.y = np.empty_like(self.x)
        self.loop = loop_over(getattr(elementary, function) if whose == "mine" else NUMPY[function])
        self.loop(self.x, self.y)  # compiles

    def time_loop(self, function, dtype, whose):
        self.loop(self.x, self.y)


@kernel
def triad(a, b, c, factor):
    for i in range(a.size):
        a[i] = b[i] + factor * c[i]


class Update:
    """Bytes that a loop names for each element, a second, as STREAM counts them.

    The triad's come out too low where they leave the caches: what it writes is read first.
    """

    params = ([10_000, 100_000, 10_000_000], DTYPES)
    param_names = ("parameters", "dtype")

    def setup(self, parameters, dtype):
        self.vectors = np.ones((4, parameters), dtype)

    def gigabytes_per_second(self, accesses, loop, *arguments):
        loop(*arguments)  # compiles
        calls = max(1, 1_000_000 // self.vectors.shape[1])
        seconds = min(timeit.repeat(lambda: loop(*arguments), number=calls, repeat=7)) / calls
        return accesses * self.vectors[0].nbytes / seconds / 1e9

    def track_adam(self, parameters, dtype):
        unused = np.empty(0, dtype)  # the vector of amsgrad
        numbers = 1e-3, 0.9, 0.999, 1e-8, 0.0, False, 3  # the optimizer's, and the step
        return self.gigabytes_per_second(7, adam_update, *self.vectors, unused, *numbers)

    def track_sgd_with_momentum(self, parameters, dtype):
        numbers = 1e-3, 0.9, 0.0, False
        return self.gigabytes_per_second(5, sgd_update, *self.vectors[:3], *numbers)

    def track_triad(self, parameters, dtype):
        return self.gigabytes_per_second(3, triad, *self.vectors[:3], 0.5)

    track_adam.unit = track_sgd_with_momentum.unit = track_triad.unit = "GB/s"

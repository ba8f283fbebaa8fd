"""The gather of shuffled rows, in bytes of X a second, beside a plain copy of the same rows.

The copy is a loop over whole rows in order, of the network's dtype: what memory can do.
"""

from time import perf_counter

import numba
import numpy as np

from chainrule.engine.rows import as_rows
from chainrule.kernels.gather import gather_rescaled
from chainrule.kernels.jit import FLAGS
from chainrule.operations.put_columns import put_columns

# columns, rows of a batch, rows of X: from cache, and the last from main memory
SHAPES = {
    "tiny": (4, 32, 4096),
    "digits": (64, 64, 1792),
    "mnist, 256 rows": (784, 128, 256),
    "mnist": (784, 128, 60_032),
}
DTYPES = ["float32", "float64", "float16", "uint8", "int64"]
ROWS = 60_032  # read in one call, at least
CALLS = 5

# Without the disk cache, which does not see changes in this file.


@numba.njit(**FLAGS)
def gather_batches(memory, dtype, first, stride, order, out):
    for start in range(0, order.size, out.shape[0]):
        batch = order[start : start + out.shape[0]]
        gather_rescaled(memory, dtype, first, stride, batch, 1.0, -0.0, out)


@numba.njit(**FLAGS)
def copy_batches(X, calls, out):
    for _ in range(calls):
        for start in range(0, X.shape[0], out.shape[0]):
            put_columns(X[start : start + out.shape[0]], 0, out)


class Gather:
    params = (list(SHAPES), DTYPES)
    param_names = ("shape", "dtype")
    unit = "GB/s"

    def setup(self, shape, dtype):
        columns, batch, rows = SHAPES[shape]
        self.X = np.ones((rows, columns), dtype)
        rng = np.random.default_rng(0)
        self.order = np.concatenate([rng.permutation(rows) for _ in range(-(-ROWS // rows))])
        self.out = np.empty((batch, columns), np.float32)
        self.rows = as_rows(self.X)

    def track_gather(self, shape, dtype):
        def run():
            gather_batches(*self.rows, self.order, self.out)

        return self.order.size * self.X[0].nbytes / best_seconds(run) / 1e9


class Copy:
    params = (list(SHAPES),)
    param_names = ("shape",)
    unit = "GB/s"

    def track_copy(self, shape):
        columns, batch, rows = SHAPES[shape]
        X, out = np.ones((rows, columns), np.float32), np.empty((batch, columns), np.float32)
        calls = -(-ROWS // rows)
        return calls * X.nbytes / best_seconds(lambda: copy_batches(X, calls, out)) / 1e9


def best_seconds(run):
    run()  # compiles or loads
    seconds = []
    for _ in range(CALLS):
        started = perf_counter()
        run()
        seconds.append(perf_counter() - started)
    return min(seconds)

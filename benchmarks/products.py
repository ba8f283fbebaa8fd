"""Matrix products: how near they come to what the machine can do, and NumPy's BLAS beside them.

``python -m benchmarks.products`` prints the whole sweep; asv keeps track of a few shapes.
"""

import ctypes
from pathlib import Path
from time import perf_counter

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.affine import linear, linear_backward_input, linear_backward_weight
from chainrule.kernels.blocks import PACKED_BYTES
from chainrule.kernels.vectors import VECTOR_BYTES, Vectors

# Rows of a batch, inputs, outputs.
MULTIPLES_OF_THE_TILE = [
    (32, 32, 32), (32, 64, 64), (64, 32, 64), (64, 64, 32), (64, 64, 64), (128, 32, 32),
    (96, 96, 96), (128, 128, 64), (128, 64, 128), (128, 128, 128), (256, 64, 64), (32, 256, 256),
    (256, 128, 128), (128, 784, 128), (160, 160, 160), (192, 192, 192), (512, 32, 256),
    (256, 256, 256), (512, 256, 64), (64, 512, 128), (320, 320, 320),
]  # fmt: skip
ODD = [
    (1, 64, 64), (1, 784, 128), (3, 5, 7), (8, 8, 8), (16, 16, 16), (32, 4, 32), (32, 32, 2),
    (200, 4, 32), (200, 24, 8), (64, 32, 10), (64, 64, 10), (128, 64, 10), (17, 33, 65),
    (37, 53, 29), (50, 50, 50), (31, 100, 77), (100, 100, 100), (127, 63, 31), (512, 30, 256),
    (512, 256, 1), (150, 200, 250), (333, 77, 91), (60, 784, 100), (300, 300, 300),
]  # fmt: skip
LARGE = [
    (64, 1024, 1024), (256, 1024, 1024), (1024, 256, 1024), (1024, 1024, 256), (512, 512, 512),
    (500, 500, 500), (768, 768, 768), (1000, 1000, 1000), (1024, 1024, 1024), (128, 3072, 768),
    (2000, 300, 700), (1024, 2048, 2048), (1500, 1500, 1500), (1024, 4096, 1024),
    (4096, 4096, 1024),
]  # fmt: skip
SHAPES = MULTIPLES_OF_THE_TILE + ODD + LARGE

SECONDS = 0.002  # of one measurement, at least
ROUNDS = 7


@intrinsic
def _multiply_adds(typing_context, number, rounds, address):
    """Do sixteen independent multiply-adds of whole vectors, ``rounds`` times."""
    chains = 16

    def codegen(context, builder, signature, values):
        number, rounds, address = values
        width = VECTOR_BYTES * 8 // signature.args[0].bitwidth
        vectors = Vectors(builder, context.get_value_type(signature.args[0]), width)
        factor = vectors.splat(number)
        sums = [cgutils.alloca_once_value(builder, factor) for _ in range(chains)]
        with cgutils.for_range(builder, rounds):
            for slot in sums:
                builder.store(vectors.multiply_add(builder.load(slot), factor, factor), slot)
        out = builder.inttoptr(address, vectors.pointer)
        for i, slot in enumerate(sums):
            vectors.store(
                builder.load(slot),
                builder.gep(out, [ir.Constant(ir.IntType(64), i * width)]),
                0,
                None,
            )
        return context.get_dummy_value()

    return types.void(number, types.int64, types.int64), codegen


@njit(nogil=True)
def _run_multiply_adds(number, rounds, out):
    _multiply_adds(number, rounds, out.ctypes.data)


def measure_peak(dtype=np.float32, tries=ROUNDS) -> float:
    """Return what one core can do: multiply-adds in registers, in GFLOP/s; the most of some tries.

    One takes some 0.2 ms.
    """
    number, out, rounds = dtype(0.5), np.empty(16 * VECTOR_BYTES, dtype), 100_000
    seconds = least_seconds(lambda times: _run_multiply_adds(number, times * rounds, out), 1, tries)
    return 2 * 16 * rounds * (VECTOR_BYTES // out.itemsize) / seconds / 1e9


@njit(nogil=True)
def _repeat_linear(times, x, w, b, scratch, y):
    for _ in range(times):
        linear(x, w, b, -np.inf, scratch, y)


@njit(nogil=True)
def _repeat_backward_weight(times, x, dy, scratch, dw):
    for _ in range(times):
        linear_backward_weight(x, dy, 0, False, scratch, dw)


@njit(nogil=True)
def _repeat_backward_input(times, dy, w, scratch, dx):
    for _ in range(times):
        linear_backward_input(dy, w, False, scratch, dx)


def aligned(shape, dtype):
    """Return an array that begins with a cache line, as those of a plan's arena do."""
    size = int(np.prod(shape))
    buffer = np.empty(size + 64 // np.dtype(dtype).itemsize, dtype)
    first = -buffer.ctypes.data % 64 // buffer.itemsize
    return buffer[first : first + size].reshape(shape)


def operands(m, k, n, dtype=np.float32):
    """Return x, w and dy of a linear layer."""
    rng = np.random.default_rng(0)
    arrays = [aligned(shape, dtype) for shape in ((m, k), (k, n), (m, n))]
    for array in arrays:
        array[...] = rng.random(array.shape)
    return arrays


def products(x, w, dy):
    """Return, by name, functions that do each product of a linear layer so many times."""
    y, dw, dx = (aligned(array.shape, x.dtype) for array in (dy, w, x))
    b, scratch = np.empty(0, x.dtype), aligned(PACKED_BYTES // x.itemsize, x.dtype)
    return {
        "x @ w": lambda times: _repeat_linear(times, x, w, b, scratch, y),
        "x.T @ dy": lambda times: _repeat_backward_weight(times, x, dy, scratch, dw),
        "dy @ w.T": lambda times: _repeat_backward_input(times, dy, w, scratch, dx),
    }


def blas_products(x, w, dy):
    """Return the same by NumPy's BLAS, called from compiled code too; float32."""
    sgemm = _find_sgemm()
    (m, k), n = x.shape, w.shape[1]
    y, dw, dx = (aligned(array.shape, x.dtype) for array in (dy, w, x))

    @njit(nogil=True)
    def repeat(times, left, right, m, n, k, a, a_row, b, b_row, c):
        for _ in range(times):
            sgemm(
                101, left, right, m, n, k, np.float32(1), a.ctypes.data, a_row,
                b.ctypes.data, b_row, np.float32(0), c.ctypes.data, n,
            )  # fmt: skip

    plain, transposed = 111, 112
    return {
        "x @ w": lambda times: repeat(times, plain, plain, m, n, k, x, k, w, n, y),
        "x.T @ dy": lambda times: repeat(times, transposed, plain, k, n, m, x, k, dy, n, dw),
        "dy @ w.T": lambda times: repeat(times, plain, transposed, m, k, n, dy, n, w, n, dx),
    }


def _find_sgemm():
    """Return the function that NumPy's wheels bring along, so that no call of Python's counts."""
    folder = Path(np.__file__).parent.parent / "numpy.libs"
    library = ctypes.CDLL(str(next(folder.glob("libscipy_openblas64_*"))))
    library.scipy_openblas_set_num_threads64_(1)
    sgemm = library.scipy_cblas_sgemm64_
    integer, real, address = ctypes.c_int64, ctypes.c_float, ctypes.c_size_t
    sgemm.argtypes = [
        ctypes.c_int, ctypes.c_int, ctypes.c_int, integer, integer, integer, real, address,
        integer, address, integer, real, address, integer,
    ]  # fmt: skip
    sgemm.restype = None
    return sgemm


def least_seconds(repeat, guess: float, rounds=ROUNDS) -> float:
    """Return the least time of one repetition; ``guess`` is about how long it takes."""
    repeat(1)  # compiles
    times = max(1, int(SECONDS / guess))
    least = float("inf")
    for _ in range(rounds):
        started = perf_counter()
        repeat(times)
        least = min(least, (perf_counter() - started) / times)
    return least


class Products:
    """Fractions of the machine's peak, of the three products of a linear layer together."""

    params = ([(32, 32, 32), (64, 64, 64), (128, 784, 128), (37, 53, 29), (1024, 1024, 1024)],)
    param_names = ("shape",)

    def track_fraction_of_peak_float32(self, shape):
        return self._fraction(shape, np.float32)

    def track_fraction_of_peak_float64(self, shape):
        return self._fraction(shape, np.float64)

    def _fraction(self, shape, dtype):
        flops = 2 * np.prod(shape)
        guess = flops / 50e9
        seconds = sum(least_seconds(f, guess) for f in products(*operands(*shape, dtype)).values())
        return 3 * flops / seconds / 1e9 / measure_peak(dtype)


class Peak:
    def track_gflops_of_multiply_adds(self):
        return measure_peak()

    track_gflops_of_multiply_adds.unit = "GFLOP/s"


def main() -> None:
    peak = measure_peak()
    print(f"Multiply-adds in registers: {peak:.1f} GFLOP/s. In brackets: NumPy's BLAS.\n")
    names = list(products(*operands(1, 1, 1)))
    print("| m, k, n |", " | ".join(names), "| of peak | of BLAS's time |")
    print("|---|" + "---:|" * (len(names) + 2))
    behind = 0
    for shape in SHAPES:
        flops = 2 * np.prod(shape)
        given = operands(*shape)
        ours, blas = products(*given), blas_products(*given)
        cells, worst, seconds = [], 0.0, 0.0
        for name in names:
            mine, theirs = (least_seconds(f[name], flops / 50e9) for f in (ours, blas))
            cells.append(f"{flops / mine / 1e9:.0f} ({flops / theirs / 1e9:.0f})")
            worst, seconds = max(worst, mine / theirs), seconds + mine
        behind += worst > 1.03
        fraction = 3 * flops / seconds / 1e9 / peak
        shown = ", ".join(map(str, shape))
        print(f"| {shown} |", " | ".join(cells), f"| {fraction:.0%} | {worst:.0%} |", flush=True)
    print(f"\nBehind by more than 3 % in one of the three: {behind} of {len(SHAPES)} shapes.")


if __name__ == "__main__":
    main()

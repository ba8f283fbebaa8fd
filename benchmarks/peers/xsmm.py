"""Products of small matrices beside libxsmm, which writes machine code for each shape.

``python -m benchmarks.peers.xsmm`` prints a table. It needs a C compiler and libxsmm 1; Debian and
Ubuntu have both: ``apt install gcc libxsmm-dev``.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import numpy as np

from benchmarks.products import ROUNDS, aligned, least_seconds, measure_peak, operands, products

# Rows of a batch, inputs, outputs.
SHAPES = [
    (32, 32, 32), (64, 64, 32), (64, 64, 64), (128, 128, 128), (128, 784, 128), (37, 53, 29),
    (50, 50, 50), (100, 100, 100),
]  # fmt: skip

LIBRARIES = ["-lxsmm", "-lxsmmnoblas", "-lpthread", "-ldl", "-lm"]


def load_libxsmm():
    """Compile xsmm.c and return its function; end the program where that is not possible."""
    with TemporaryDirectory() as folder:
        source, library = Path(__file__).with_suffix(".c"), Path(folder) / "xsmm.so"
        command = [os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", source, "-o", library]
        try:
            subprocess.run([*command, *LIBRARIES], check=True, capture_output=True, text=True)
        except OSError as error:
            _end(str(error))
        except subprocess.CalledProcessError as error:
            _end(error.stderr.partition("\n")[0])
        repeat = ctypes.CDLL(str(library)).repeat_product
    integer, address = ctypes.c_int, ctypes.c_size_t
    repeat.argtypes = [ctypes.c_long, integer, integer, integer, address, address, address]
    return repeat


def _end(reason: str) -> NoReturn:
    sys.exit(f"Install a C compiler and libxsmm (apt install gcc libxsmm-dev): {reason}")


def product_by(repeat, x, w):
    """Return a function that does ``x @ w`` so many times with libxsmm, after a look at it."""
    (m, k), n = x.shape, w.shape[1]
    y = aligned((m, n), x.dtype)

    def multiply(times):
        return repeat(times, m, k, n, x.ctypes.data, w.ctypes.data, y.ctypes.data)

    if not multiply(1):
        sys.exit(f"libxsmm has no machine code for {m, k, n} on this CPU")
    np.testing.assert_allclose(y, np.matmul(x, w, dtype=np.float64), rtol=1e-5)
    return multiply


def main() -> None:
    repeat = load_libxsmm()
    peers = []
    for shape in SHAPES:
        x, w, dy = operands(*shape)
        peers.append((products(x, w, dy)["x @ w"], product_by(repeat, x, w)))

    flops = 2 * np.prod(SHAPES, axis=1)
    peak, speeds = 0.0, np.zeros((len(SHAPES), 2))
    for _ in range(ROUNDS):  # all in turn, so that nobody suffers alone when the machine is busy
        peak = max(peak, measure_peak())
        seconds = [
            [least_seconds(peer, work / 50e9) for peer in pair]
            for pair, work in zip(peers, flops, strict=True)
        ]
        speeds = np.maximum(speeds, flops[:, None] / seconds / 1e9)

    print(f"Multiply-adds in registers: {peak:.1f} GFLOP/s.\n")
    print("| m, k, n | chainrule | libxsmm | of libxsmm | of peak |")
    print("|---|---:|---:|---:|---:|")
    for shape, (ours, theirs) in zip(SHAPES, speeds, strict=True):
        shown = ", ".join(map(str, shape))
        print(f"| {shown} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.0%} | {ours / peak:.0%} |")


if __name__ == "__main__":
    main()

"""Matrix products: all paths, over shapes, layouts and parts, against NumPy."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chainrule.kernels import blocks, gemm
from chainrule.kernels.affine import linear_backward_bias
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.kernels.vectors import VECTOR_BYTES

compiled = pytest.mark.skipif(JIT_DISABLED, reason="plain Python leaves products to NumPy")

DTYPES = st.sampled_from([np.float32, np.float64])
SIZES = st.one_of(st.integers(1, 20), st.integers(1, 140))


def scratch(dtype):
    return np.full(
        max(blocks.PACKED_BYTES, blocks.DIRECT_BYTES) // np.dtype(dtype).itemsize, np.nan, dtype
    )


def random(rng, shape, dtype):
    return rng.uniform(-1, 1, shape).astype(dtype)


def assert_product(c, left, right, start=0.0, floor=-np.inf):
    """Compare with the exact product, within the bound of k rounded sums."""
    exact = np.maximum(left.astype(np.longdouble) @ right + start, floor)
    bound = abs(left.astype(float)) @ abs(right.astype(float)) + abs(start)
    eps = np.finfo(c.dtype).eps
    assert (abs(c - exact) <= (left.shape[1] + 2) * eps * bound).all()


@given(m=SIZES, k=SIZES, n=SIZES, dtype=DTYPES, bias=st.booleans(), relu=st.booleans())
@example(m=9, k=300, n=3, dtype=np.float32, bias=True, relu=True)
@example(m=1, k=784, n=1, dtype=np.float64, bias=True, relu=False)
@example(m=1, k=9, n=97, dtype=np.float32, bias=True, relu=False)
@example(m=13, k=130, n=50, dtype=np.float32, bias=True, relu=True)
@settings(max_examples=150)
def test_multiply(m, k, n, dtype, bias, relu):
    rng = np.random.default_rng(m * k * n)
    a, b = random(rng, (m, k), dtype), random(rng, (k, n), dtype)
    start = random(rng, n, dtype)[: n if bias else 0]
    floor = dtype(0 if relu else -np.inf)
    c = np.full((m, n), np.nan, dtype)
    gemm.multiply(a, b, start, floor, scratch(dtype), c)
    assert_product(c, a, b, start if bias else 0.0, floor)


@given(m=SIZES, k=SIZES, n=SIZES, dtype=DTYPES)
@example(m=9, k=300, n=3, dtype=np.float32)
@example(m=1, k=784, n=1, dtype=np.float64)
@example(m=40, k=64, n=50, dtype=np.float32)
@example(m=50, k=700, n=600, dtype=np.float32)
@settings(max_examples=60)
def test_products_are_added_to_what_is_there(m, k, n, dtype):
    rng = np.random.default_rng(m * k * n)
    a, b, before = (random(rng, shape, dtype) for shape in ((m, k), (k, n), (m, n)))
    sums = [before.copy() for _ in range(3)]
    a_transposed, b_transposed = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    gemm.multiply(a, b, sums[0].reshape(-1), dtype(-np.inf), scratch(dtype), sums[0])
    gemm.multiply_transposed(a_transposed, 0, b, True, scratch(dtype), sums[1])
    gemm.multiply_by_transposed(a, b_transposed, True, scratch(dtype), sums[2])
    for c in sums:
        assert_product(c, a, b, before, dtype(-np.inf))


@given(m=SIZES, k=SIZES, n=SIZES, dtype=DTYPES, cut=st.integers(0, 140))
@example(m=40, k=64, n=10, dtype=np.float32, cut=8)
@example(m=40, k=64, n=50, dtype=np.float32, cut=16)
@settings(max_examples=150)
def test_multiply_transposed_in_two_parts(m, k, n, dtype, cut):
    rng = np.random.default_rng(m * k * n)
    a, b = random(rng, (k, m), dtype), random(rng, (k, n), dtype)
    c = np.full((m, n), np.nan, dtype)
    cut = min(cut, m)
    for first, last in ((0, cut), (cut, m)):
        if first < last:
            gemm.multiply_transposed(a, first, b, False, scratch(dtype), c[first:last])
    assert_product(c, a.T, b)
    whole = np.empty_like(c)
    gemm.multiply_transposed(a, 0, b, False, scratch(dtype), whole)
    if not JIT_DISABLED:
        assert np.array_equal(whole, c)


@given(m=SIZES, k=SIZES, n=SIZES, dtype=DTYPES, cut=st.integers(1, 140))
@settings(max_examples=150)
def test_multiply_by_transposed_in_two_parts(m, k, n, dtype, cut):
    rng = np.random.default_rng(m * k * n)
    a, b = random(rng, (m, k), dtype), random(rng, (n, k), dtype)
    c, whole = np.full((m, n), np.nan, dtype), np.empty((m, n), dtype)
    for rows in (slice(0, cut), slice(cut, None)):
        gemm.multiply_by_transposed(a[rows], b, False, scratch(dtype), c[rows])
    assert_product(c, a, b.T)
    gemm.multiply_by_transposed(a, b, False, scratch(dtype), whole)
    if not JIT_DISABLED:
        assert np.array_equal(whole, c)


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (8, 1100, 530),
        (37, 600, 1000),
        (3, 2000, 333),
        (50, 513, 1025),
        (1, 600, 999),
        (701, 513, 999),
    ],
)
def test_factors_too_large_for_the_cache(m, k, n, dtype):
    while blocks.is_direct(k, n, np.dtype(dtype).itemsize):  # on a machine with a larger cache
        k *= 2
    rng = np.random.default_rng(0)
    a, b, bias = random(rng, (m, k), dtype), random(rng, (k, n), dtype), random(rng, n, dtype)
    c = np.full((m, n), np.nan, dtype)
    gemm.multiply(a, b, bias, dtype(0), scratch(dtype), c)
    assert_product(c, a, b, bias, 0)
    gemm.multiply_by_transposed(a, np.ascontiguousarray(b.T), False, scratch(dtype), c)
    assert_product(c, a, b)
    gemm.multiply_transposed(np.ascontiguousarray(a.T), 0, b, False, scratch(dtype), c)
    assert_product(c, a, b)


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "k", "n"), [(131, 300, 256), (101, 512, 300), (256, 512, 300)])
def test_parts_of_a_batch_give_the_same_bits_however_they_are_copied(m, k, n, dtype):
    rng = np.random.default_rng(0)
    a, b, bias = random(rng, (m, k), dtype), random(rng, (k, n), dtype), random(rng, n, dtype)
    by_rows, whole = np.full((2, m, n), np.nan, dtype)
    gemm.multiply(a, b, bias, dtype(0), scratch(dtype), whole)
    assert_product(whole, a, b, bias, 0)
    for part in (slice(0, 21), slice(21, 29), slice(29, None)):
        gemm.multiply(a[part], b, bias, dtype(0), scratch(dtype), by_rows[part])
    assert np.array_equal(by_rows, whole)
    a_transposed = np.ascontiguousarray(a.T)
    gemm.multiply_transposed(a_transposed, 0, b, False, scratch(dtype), whole)
    assert_product(whole, a, b)
    for first, last in ((0, 21), (21, 29), (29, m)):
        part = by_rows[first:last]
        gemm.multiply_transposed(a_transposed, first, b, False, scratch(dtype), part)
    assert np.array_equal(by_rows, whole)


@given(rows=st.integers(1, 40), columns=SIZES, dtype=DTYPES)
@settings(max_examples=50)
def test_sums_of_columns(rows, columns, dtype):
    dy = random(np.random.default_rng(rows), (rows, columns), dtype)
    db = np.full(columns, np.nan, dtype)
    linear_backward_bias(dy, False, db)
    np.testing.assert_allclose(db, dy.sum(axis=0, dtype=float), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 10, 40])
@np.errstate(invalid="ignore")  # NumPy, where the JIT is off, warns of infinities
def test_what_is_not_finite_stays_visible(bad, n):
    a, b = np.ones((9, 64), np.float32), np.ones((64, n), np.float32)
    a[4, 60] = bad
    c = np.empty((9, n), np.float32)
    gemm.multiply(a, b, np.empty(0, np.float32), np.float32(0), scratch(np.float32), c)
    expected = 0 if bad == -np.inf else bad  # ReLU of -inf is 0
    np.testing.assert_array_equal(c[4], expected)
    assert (np.delete(c, 4, axis=0) == 64).all()


@pytest.mark.parametrize("itemsize", [4, 8])
def test_narrow_tails_are_few_columns_of_long_sums(itemsize):
    lanes = VECTOR_BYTES // itemsize
    for n in range(1, 100):
        tail = gemm._narrow_tail(256, n, itemsize)
        assert tail == (n % lanes if n % lanes <= lanes // 4 else 0)
        assert tail * itemsize <= blocks.NARROW_BYTES
        assert gemm._narrow_tail(1, n, itemsize) == 0


@pytest.mark.parametrize("itemsize", [4, 8])
def test_tails_are_transposed_where_that_fills_vectors(itemsize):
    lanes = VECTOR_BYTES // itemsize
    for n in range(1, 100):
        assert gemm._transposed_tail(lanes, 256, n, itemsize) in (0, n % lanes)
        assert gemm._transposed_tail(1, 256, n, itemsize) == 0
    assert gemm._transposed_tail(4 * lanes, 256, 3 * lanes + 1, itemsize) == 1
    assert gemm._transposed_tail(4 * lanes, 256, 3 * lanes, itemsize) == 0
    assert gemm._transposed_tail(4 * lanes, 1, 1, itemsize) == 0  # the transpose would take longer


@compiled
@pytest.mark.parametrize("cpu", ["generic", "haswell"])
def test_other_vector_widths(cpu):
    code = """
import numpy as np
from chainrule.kernels import gemm
from chainrule.kernels.blocks import PACKED_BYTES
from chainrule.kernels.vectors import VECTOR_BYTES
rng = np.random.default_rng(0)
print(VECTOR_BYTES)
room = np.empty(PACKED_BYTES // 4, "f")
for m, k, n in [(9, 64, 1), (37, 53, 29), (16, 16, 16), (50, 50, 50), (5, 700, 600)]:
    a, b, c = rng.random((m, k), "f"), rng.random((k, n), "f"), np.empty((m, n), "f")
    gemm.multiply(a, b, b[0], np.float32(0), room, c)
    assert np.allclose(c, a @ b + b[0], rtol=1e-4)
    gemm.multiply_by_transposed(a, np.ascontiguousarray(b.T), False, room, c)
    assert np.allclose(c, a @ b, rtol=1e-4)
    gemm.multiply_transposed(np.ascontiguousarray(a.T), 0, b, False, room, c)
    assert np.allclose(c, a @ b, rtol=1e-4)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) in (16, 32)

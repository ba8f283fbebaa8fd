"""Second derivatives by several inputs: those by one input with all columns."""

from math import prod

import numpy as np
import pytest
from several_inputs import Problem, both_backends, by_inputs, flat, joined

import chainrule as cr


def in_blocks(found, shapes, before=()):
    """Return second derivatives by all elements as matrices, from a tuple of tuples."""
    if not isinstance(found, tuple):
        return found
    return np.block(
        [
            [block.reshape(*before, prod(x), prod(z)) for block, z in zip(row, shapes, strict=True)]
            for row, x in zip(found, shapes, strict=True)
        ]
    )


def hessian_by_x(net, x, p):
    found = cr.hessian(net, p.loss, x, p.y, wrt="x")
    if not isinstance(x, tuple):
        return found
    rows, columns = len(x[0]), sum(map(prod, p.shapes))
    order = np.concatenate(  # of the elements when all columns stand side by side
        [
            np.arange(a.size).reshape(rows, -1) + begin
            for a, begin in zip(x, begins(x), strict=True)
        ],
        axis=1,
    ).reshape(-1)
    matrix = in_blocks(found, [array.shape for array in x])
    return matrix[np.ix_(order, order)].reshape(rows, columns, rows, columns)


def begins(arrays):
    return np.cumsum([0, *(array.size for array in arrays[:-1])])


def hessian_x(net, x, p):
    return in_blocks(cr.hessian_x(net, x), p.shapes, (len(p.x[0]), 3))


def laplacian(net, x, p):
    found = cr.laplacian(net, x)
    assert isinstance(found, tuple) == isinstance(x, tuple)
    return sum(found) if isinstance(found, tuple) else found


def input_derivatives(net, x, p):
    """Differentiate by the first element, and by the last one, of the last input."""
    last = sum(map(prod, p.shapes)) - 1
    chosen = [(), (0,), (last,), (0, last), (last, last)]
    values, pullback = cr.input_derivatives(net, x, chosen)
    d_params, d_x = pullback([np.cos(i + value) for i, value in enumerate(values)])
    return *values, d_params, by_inputs(d_x)


SECOND = {
    "hessian by x": hessian_by_x,
    "hessian_x": hessian_x,
    "laplacian": laplacian,
    "input_derivatives": input_derivatives,
}


@pytest.mark.parametrize("kind", ["image and table", "three", "siamese"])
@both_backends
@pytest.mark.parametrize("what", SECOND)
def test_second_derivatives_are_those_by_all_columns(kind, backend, what):
    p = Problem(kind, backend, rows=3)
    found, expected = SECOND[what](p.net, p.x, p), SECOND[what](p.one, joined(p.x), p)
    np.testing.assert_allclose(flat(found), flat(expected), rtol=1e-9, atol=1e-12)


def test_second_derivatives_have_the_form_of_the_inputs():
    p = Problem("image and table", rows=4)
    by_x = cr.hessian(p.net, p.loss, p.x, p.y, wrt="x")
    assert [[part.shape for part in row] for row in by_x] == [
        [a.shape + b.shape for b in p.x] for a in p.x
    ]
    found = cr.hessian_x(p.net, p.x)
    assert [[part.shape for part in row] for row in found] == [
        [(4, 3, *a.shape[1:], *b.shape[1:]) for b in p.x] for a in p.x
    ]
    sums = cr.laplacian(p.net, p.x)
    np.testing.assert_allclose(sums[0], np.einsum("noijij->no", found[0][0]), atol=1e-12)
    np.testing.assert_allclose(sums[1], np.einsum("noii->no", found[1][1]), atol=1e-12)
    (second,), _ = cr.input_derivatives(p.net, p.x, [(5, 12)])  # element 5 of one, 0 of the other
    np.testing.assert_allclose(second, found[0][1][:, :, 1, 1, 0], atol=1e-12)
    with pytest.raises(ValueError, match=r"a row of x has 14 elements \(numbers 0 to 13\)"):
        cr.input_derivatives(p.net, p.x, [(14,)])

"""The gradients of single samples, and their norms, from what a plan's way back left in the arena.

The plan has kept every value and every gradient of a value. Compiled apart from the interpreter,
for those who need it; where the kernels' names mean their twins, it is the reference backend.
"""

from chainrule.kernels.combine import accumulate, copy
from chainrule.kernels.jit import kernel
from chainrule.kernels.samples import outer, row_squares
from chainrule.kernels.views import matrix
from chainrule.plan.instructions import Op


@kernel
def differentiate_samples(plan, arena, first, last, begin, stride, grads):
    """Write the gradients of the samples from ``first`` to ``last``.

    The first one's goes to ``begin`` in the vector ``grads``, each other ``stride`` further.
    """
    for i in range(first, last):
        of_sample = grads[begin + (i - first) * stride :]
        for s in range(plan.size - 1, -1, -1):
            if plan[s]["op"] == Op.LINEAR:
                differentiate_sample(plan[s], arena, i, of_sample)


@kernel
def differentiate_sample(step, arena, sample, grads):
    """Write a sample's gradients by one step's parameters."""
    repeat, k, n = step["repeat"], step["inputs"], step["outputs"]
    dw = matrix(grads[step["weight"] : step["weight"] + k * n], k, n)
    has_bias = step["bias"] >= 0
    db = grads[step["bias"] : step["bias"] + n] if has_bias else grads[:0]
    for row in range(sample * repeat, (sample + 1) * repeat):
        x = arena[step["x"] + row * k : step["x"] + (row + 1) * k]
        dz = arena[step["dz"] + row * n : step["dz"] + (row + 1) * n]
        is_later = row > sample * repeat
        outer(x, dz, step["adds_dw"] or is_later, dw)
        if has_bias and (step["adds_db"] or is_later):
            accumulate(dz, db)
        elif has_bias:
            copy(dz, db)


@kernel
def square_norms(plan, arena, rows, of_x, of_dz, squares):
    """Write the squares of the samples' gradients' norms, without the gradients.

    Each weight is used once, and has one row a sample: then its gradient's norm is that of x times
    that of dz. ``of_x`` and ``of_dz`` are room for a number a sample.
    """
    squares[:] = 0
    for s in range(plan.size):
        step = plan[s]
        if step["op"] == Op.LINEAR:
            k, n = step["inputs"], step["outputs"]
            row_squares(matrix(arena[step["x"] : step["x"] + rows * k], rows, k), of_x)
            row_squares(matrix(arena[step["dz"] : step["dz"] + rows * n], rows, n), of_dz)
            with_bias = 1 if step["bias"] >= 0 else 0
            for i in range(rows):
                squares[i] += of_dz[i] * (of_x[i] + with_bias)

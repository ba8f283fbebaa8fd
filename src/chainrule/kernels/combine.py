"""Merges of paths of the network: values are added, multiplied or concatenated.

Sums, products and their like work on flat vectors, elementwise; columns are those of matrices.
"""

from chainrule.kernels.jit import kernel


@kernel
def add(x, other, y):
    for i in range(x.size):
        y[i] = x[i] + other[i]


@kernel
def multiply_elements(x, other, y):
    for i in range(x.size):
        y[i] = x[i] * other[i]


@kernel
def copy(x, y):
    for i in range(x.size):
        y[i] = x[i]


@kernel
def accumulate(x, y):
    for i in range(x.size):
        y[i] += x[i]


@kernel
def put_columns(x, column, y):
    rows, columns = x.shape
    for i in range(rows):
        row, place = x[i], y[i, column : column + columns]
        for j in range(columns):
            place[j] = row[j]


@kernel
def take_columns(y, column, x):
    rows, columns = x.shape
    for i in range(rows):
        row, place = x[i], y[i, column : column + columns]
        for j in range(columns):
            row[j] = place[j]


@kernel
def add_up(parts, column, adds, out):
    for j in range(out.size):
        total = parts[0, column + j]
        for i in range(1, parts.shape[0]):
            total += parts[i, column + j]
        out[j] = out[j] + total if adds else total

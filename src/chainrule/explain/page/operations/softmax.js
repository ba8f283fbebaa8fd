// exp(x) / sum(exp(x)) along the last axis.

OPERATIONS.softmax = rowwise(
  ({ x, y, columns }, begin) => {
    logSoftmaxRow(x, y, begin, columns);
    for (let j = begin; j < begin + columns; j += 1) y[j] = Math.exp(y[j]);
  },
  // The Jacobian diag(y) - y y^T, applied to dy.
  ({ y, dy, dx, columns }, begin) => {
    let sum = 0;
    for (let j = begin; j < begin + columns; j += 1) sum += dy[j] * y[j];
    for (let j = begin; j < begin + columns; j += 1) dx[j] += y[j] * (dy[j] - sum);
  },
);

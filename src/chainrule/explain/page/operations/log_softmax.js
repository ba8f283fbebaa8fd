// x - log(sum(exp(x))) along the last axis.

OPERATIONS.log_softmax = rowwise(
  ({ x, y, columns }, begin) => logSoftmaxRow(x, y, begin, columns),
  // softmax(x) = exp(y)
  ({ y, dy, dx, columns }, begin) => {
    let sum = 0;
    for (let j = begin; j < begin + columns; j += 1) sum += dy[j];
    for (let j = begin; j < begin + columns; j += 1) dx[j] += dy[j] - Math.exp(y[j]) * sum;
  },
);

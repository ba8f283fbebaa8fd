// y = (x - mean) / sqrt(variance + eps), both known, for each column.

OPERATIONS.standardize = {
  forward({ x, mean, variance, eps, y, columns }) {
    for (let i = 0; i < x.length; i += 1) y[i] = (x[i] - mean[i % columns]) / Math.sqrt(variance[i % columns] + eps);
  },
  backward({ variance, eps, dy, dx, columns }) {
    for (let i = 0; i < dy.length; i += 1) dx[i] += dy[i] / Math.sqrt(variance[i % columns] + eps);
  },
};

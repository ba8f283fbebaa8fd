// y is each window of x times the weight, plus the bias.

OPERATIONS.convolution = {
  forward({ x, weight, bias, y, shape, yShape, window, columns, yColumns }) {
    for (let i = 0; i < y.length; i += 1) y[i] = bias ? bias[i % yColumns] : 0;
    const count = x.length / (shape[0] * shape[1] * columns);
    eachProduct(count, shape, yShape, window, (i, j, k) => {
      y[j] += x[i] * weight[k];
    });
  },
  // Each product gives the gradient of one factor times the other one.
  backward({ x, weight, dy, dx, d_weight, d_bias, shape, yShape, window, columns, yColumns }) {
    const count = x.length / (shape[0] * shape[1] * columns);
    eachProduct(count, shape, yShape, window, (i, j, k) => {
      dx[i] += dy[j] * weight[k];
      d_weight[k] += dy[j] * x[i];
    });
    if (d_bias) dy.forEach((d, i) => (d_bias[i % yColumns] += d));
  },
};

// Each pixel of x, times the weight, is a window of y, plus the bias: a convolution the other way round.

OPERATIONS.transposed_convolution = {
  forward({ x, weight, bias, y, shape, yShape, window, columns, yColumns }) {
    for (let i = 0; i < y.length; i += 1) y[i] = bias ? bias[i % yColumns] : 0;
    const count = x.length / (shape[0] * shape[1] * columns);
    eachProduct(count, yShape, shape, window, (i, j, k) => {
      y[i] += x[j] * weight[k];
    });
  },
  backward({ x, weight, dy, dx, d_weight, d_bias, shape, yShape, window, columns, yColumns }) {
    const count = x.length / (shape[0] * shape[1] * columns);
    eachProduct(count, yShape, shape, window, (i, j, k) => {
      dx[j] += dy[i] * weight[k];
      d_weight[k] += dy[i] * x[j];
    });
    if (d_bias) dy.forEach((d, i) => (d_bias[i % yColumns] += d));
  },
};

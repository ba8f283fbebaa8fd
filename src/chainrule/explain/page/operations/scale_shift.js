// y = x * weight + bias, a weight and maybe a bias for each column.

OPERATIONS.scale_shift = {
  forward({ x, weight, bias, y, columns }) {
    for (let i = 0; i < x.length; i += 1) y[i] = x[i] * weight[i % columns] + (bias ? bias[i % columns] : 0);
  },
  backward({ x, weight, dy, dx, d_weight, d_bias, columns }) {
    for (let i = 0; i < x.length; i += 1) {
      dx[i] += dy[i] * weight[i % columns];
      d_weight[i % columns] += dy[i] * x[i];
      if (d_bias) d_bias[i % columns] += dy[i];
    }
  },
};

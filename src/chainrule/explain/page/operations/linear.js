// y = x @ weight + bias, along the last axis.

OPERATIONS.linear = {
  forward({ x, weight, bias, y, columns, yColumns }) {
    for (let row = 0; row * columns < x.length; row += 1) {
      for (let j = 0; j < yColumns; j += 1) y[row * yColumns + j] = bias ? bias[j] : 0;
      for (let i = 0; i < columns; i += 1) {
        const from = x[row * columns + i];
        for (let j = 0; j < yColumns; j += 1) y[row * yColumns + j] += from * weight[i * yColumns + j];
      }
    }
  },

  // dx = dy @ weight.T; d_weight = x.T @ dy; d_bias is the sum of dy over the rows.
  backward({ x, weight, dy, dx, d_weight, d_bias, columns, yColumns }) {
    for (let row = 0; row * columns < x.length; row += 1) {
      for (let i = 0; i < columns; i += 1) {
        const from = x[row * columns + i];
        let sum = 0;
        for (let j = 0; j < yColumns; j += 1) {
          const d = dy[row * yColumns + j];
          sum += d * weight[i * yColumns + j];
          d_weight[i * yColumns + j] += from * d;
        }
        dx[row * columns + i] += sum;
      }
      if (d_bias) for (let j = 0; j < yColumns; j += 1) d_bias[j] += dy[row * yColumns + j];
    }
  },
};

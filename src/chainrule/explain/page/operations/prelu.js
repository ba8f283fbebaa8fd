// x where it is positive, else x times a weight: one for all columns, or one for each.

OPERATIONS.prelu = {
  forward({ x, weight, y }) {
    const columns = weight.length;
    for (let i = 0; i < x.length; i += 1) y[i] = x[i] > 0 ? x[i] : x[i] * weight[i % columns];
  },
  backward({ x, weight, dy, dx, d_weight }) {
    const columns = weight.length;
    for (let i = 0; i < x.length; i += 1) {
      dx[i] += x[i] > 0 ? dy[i] : dy[i] * weight[i % columns];
      if (!(x[i] > 0)) d_weight[i % columns] += dy[i] * x[i];
    }
  },
};

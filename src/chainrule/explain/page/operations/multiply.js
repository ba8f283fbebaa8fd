// y = x * other; each gets y's gradient times the other one.

OPERATIONS.multiply = {
  forward({ x, other, y }) {
    for (let i = 0; i < y.length; i += 1) y[i] = x[i] * other[i];
  },
  backward({ x, other, dy, dx, d_other }) {
    for (let i = 0; i < dy.length; i += 1) {
      dx[i] += dy[i] * other[i];
      d_other[i] += dy[i] * x[i];
    }
  },
};

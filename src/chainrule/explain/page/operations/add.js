// y = x + other; both get y's gradient as it is.

OPERATIONS.add = {
  forward({ x, other, y }) {
    for (let i = 0; i < y.length; i += 1) y[i] = x[i] + other[i];
  },
  backward({ dy, dx, d_other }) {
    for (let i = 0; i < dy.length; i += 1) {
      dx[i] += dy[i];
      d_other[i] += dy[i];
    }
  },
};

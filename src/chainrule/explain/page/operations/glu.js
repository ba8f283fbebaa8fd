// x = [value, gate] along the last axis; y = value * sigmoid(gate).

OPERATIONS.glu = rowwise(
  ({ x, y, yColumns }, begin, yBegin) => {
    for (let j = 0; j < yColumns; j += 1) y[yBegin + j] = x[begin + j] * sigmoid(x[begin + yColumns + j]);
  },
  ({ x, dy, dx, yColumns }, begin, yBegin) => {
    for (let j = 0; j < yColumns; j += 1) {
      const d = dy[yBegin + j];
      const s = sigmoid(x[begin + yColumns + j]);
      dx[begin + j] += d * s;
      dx[begin + yColumns + j] += d * x[begin + j] * s * (1 - s);
    }
  },
);

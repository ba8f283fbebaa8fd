// y = weight[x]: each code picks a row of a table; the row `padding` has no gradient.

OPERATIONS.embedding = {
  forward({ x, weight, y, yColumns }) {
    x.forEach((code, i) => y.set(weight.subarray(code * yColumns, (code + 1) * yColumns), i * yColumns));
  },
  // Between two codes there is no value, so dx stays 0.
  backward({ x, padding, dy, d_weight, yColumns }) {
    x.forEach((code, i) => {
      if (code === padding) return;
      for (let j = 0; j < yColumns; j += 1) d_weight[code * yColumns + j] += dy[i * yColumns + j];
    });
  },
};

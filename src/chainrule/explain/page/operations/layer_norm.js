// y = (x - mean) * scale with scale = 1 / sqrt(variance + eps), for each row.

function scaleOfRow(x, begin, columns, eps) {
  let mean = 0;
  for (let j = begin; j < begin + columns; j += 1) mean += x[j] / columns;
  let variance = 0;
  for (let j = begin; j < begin + columns; j += 1) variance += (x[j] - mean) ** 2 / columns;
  return { mean, scale: 1 / Math.sqrt(variance + eps) };
}

OPERATIONS.layer_norm = rowwise(
  ({ x, y, eps, columns }, begin) => {
    const { mean, scale } = scaleOfRow(x, begin, columns, eps);
    for (let j = begin; j < begin + columns; j += 1) y[j] = (x[j] - mean) * scale;
  },
  // dx = (dy - mean(dy) - y * mean(dy * y)) * scale
  ({ x, y, eps, dy, dx, columns }, begin) => {
    const { scale } = scaleOfRow(x, begin, columns, eps);
    let ofDy = 0;
    let ofY = 0;
    for (let j = begin; j < begin + columns; j += 1) {
      ofDy += dy[j] / columns;
      ofY += (dy[j] * y[j]) / columns;
    }
    for (let j = begin; j < begin + columns; j += 1) dx[j] += (dy[j] - ofDy - y[j] * ofY) * scale;
  },
);

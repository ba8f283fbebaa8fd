// y = x * scale with scale = 1 / sqrt(mean(x^2) + eps), for each row.

function scaleOfSquares(x, begin, columns, eps) {
  let square = 0;
  for (let j = begin; j < begin + columns; j += 1) square += x[j] ** 2 / columns;
  return 1 / Math.sqrt(square + eps);
}

OPERATIONS.rms_norm = rowwise(
  ({ x, y, eps, columns }, begin) => {
    const scale = scaleOfSquares(x, begin, columns, eps);
    for (let j = begin; j < begin + columns; j += 1) y[j] = x[j] * scale;
  },
  // dx = (dy - y * mean(dy * y)) * scale
  ({ x, y, eps, dy, dx, columns }, begin) => {
    const scale = scaleOfSquares(x, begin, columns, eps);
    let ofY = 0;
    for (let j = begin; j < begin + columns; j += 1) ofY += (dy[j] * y[j]) / columns;
    for (let j = begin; j < begin + columns; j += 1) dx[j] += (dy[j] - y[j] * ofY) * scale;
  },
);

// x, or alpha * (exp(x) - 1) where x is negative.

OPERATIONS.elu = elementwise(
  (x, { alpha }) => (x > 0 ? x : alpha * Math.expm1(x)),
  (x, y, { alpha }) => (y > 0 ? 1 : y + alpha),
);

// max(x, 0).

OPERATIONS.relu = elementwise(
  (x) => Math.max(x, 0),
  (x, y) => (y > 0 ? 1 : 0),
);

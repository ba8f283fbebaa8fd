// x, or negative_slope * x where x is negative.

OPERATIONS.leaky_relu = elementwise(
  (x, { negative_slope }) => (x > 0 ? x : negative_slope * x),
  (x, y, { negative_slope }) => (y > 0 ? 1 : negative_slope),
);

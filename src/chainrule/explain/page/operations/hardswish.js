// x * (x + 3) / 6 between -3 and 3, 0 below and x above.

OPERATIONS.hardswish = elementwise(
  (x) => (x >= 3 ? x : x <= -3 ? 0 : (x * (x + 3)) / 6),
  (x) => (x >= 3 ? 1 : x <= -3 ? 0 : (x + 1.5) / 3),
);

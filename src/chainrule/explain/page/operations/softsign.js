// x / (1 + abs(x)).

OPERATIONS.softsign = elementwise(
  (x) => x / (1 + Math.abs(x)),
  (x) => 1 / (1 + Math.abs(x)) ** 2,
);

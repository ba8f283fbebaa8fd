// x * sigmoid(x).

OPERATIONS.silu = elementwise(
  (x) => x * sigmoid(x),
  (x) => sigmoid(x) * (1 + x * sigmoid(-x)),
);

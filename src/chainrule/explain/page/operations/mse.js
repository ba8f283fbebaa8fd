// (output - target)**2.

OPERATIONS.mse = lossOfEntries(
  (output, target) => (output - target) ** 2,
  (output, target) => 2 * (output - target),
);

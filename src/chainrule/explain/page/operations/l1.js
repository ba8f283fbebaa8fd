// |output - target|.

OPERATIONS.l1 = lossOfEntries(
  (output, target) => Math.abs(output - target),
  (output, target) => Math.sign(output - target),
);

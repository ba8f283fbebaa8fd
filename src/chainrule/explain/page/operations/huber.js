// error**2 / 2 near 0, delta * (|error| - delta / 2) beyond delta.

const clipped = (error, delta) => Math.max(-delta, Math.min(delta, error));

OPERATIONS.huber = lossOfEntries(
  (output, target, { delta }) => {
    const near = clipped(output - target, delta);
    return near * (output - target - near / 2);
  },
  (output, target, { delta }) => clipped(output - target, delta),
);

// y = x * scale + offset.

OPERATIONS.rescale = elementwise(
  (x, { scale, offset }) => x * scale + offset,
  (x, y, { scale }) => scale,
);

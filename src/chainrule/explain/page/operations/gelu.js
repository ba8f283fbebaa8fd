// x times the normal distribution's cumulative.

OPERATIONS.gelu = elementwise(
  (x) => x * normalCdf(x),
  (x) => normalCdf(x) + x * normalPdf(x),
);

// The hyperbolic tangent; its slope is 1 - y**2.

OPERATIONS.tanh = elementwise(Math.tanh, (x, y) => 1 - y * y);

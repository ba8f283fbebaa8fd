// GELU, approximated: x * s with s = sigmoid(2 * sqrt(2 / pi) * (x + 0.044715 * x**3)).

const GATE = 2 * Math.sqrt(2 / Math.PI);
const gate = (x) => sigmoid(GATE * (x + 0.044715 * x ** 3));

OPERATIONS.gelu_tanh = elementwise(
  (x) => x * gate(x),
  (x) => {
    const near = Math.max(-50, Math.min(50, x)); // beyond, all is flat, and powers of x may overflow
    return gate(near) * (1 + near * (1 - gate(near)) * GATE * (1 + 3 * 0.044715 * near ** 2));
  },
);

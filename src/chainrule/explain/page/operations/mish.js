// x * t with t = tanh(softplus(x)), whose slope is sigmoid(x) * (1 - t**2).

OPERATIONS.mish = elementwise(
  (x) => x * Math.tanh(softplus(x)),
  (x) => {
    const t = Math.tanh(softplus(x));
    return t + x * sigmoid(x) * (1 - t * t);
  },
);

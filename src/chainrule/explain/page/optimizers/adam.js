// Adam: steps by the gradient's running mean over the root of its running square.

OPERATIONS.adam = {
  label: "Adam",
  usualRate: 0.01, // its steps are about as long as the rate
  state: ["mean", "square"],
  numbers: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0 },
  update({ params, grads, mean, square, lr, beta1, beta2, eps, weight_decay, step }) {
    const root = Math.sqrt(1 - beta2 ** step);
    const rate = (lr * root) / (1 - beta1 ** step);
    for (let i = 0; i < params.length; i += 1) {
      const gradient = grads[i] + weight_decay * params[i];
      mean[i] = beta1 * mean[i] + (1 - beta1) * gradient;
      square[i] = beta2 * square[i] + (1 - beta2) * gradient ** 2;
      params[i] -= (rate * mean[i]) / (Math.sqrt(square[i]) + eps * root);
    }
  },
};

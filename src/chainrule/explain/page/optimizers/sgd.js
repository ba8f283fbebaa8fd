// Stochastic gradient descent, with momentum if wanted.

OPERATIONS.sgd = {
  label: "SGD",
  usualRate: 0.1,
  state: ["velocity"],
  numbers: { momentum: 0, weight_decay: 0, nesterov: false },
  update({ params, grads, velocity, lr, momentum, weight_decay, nesterov }) {
    for (let i = 0; i < params.length; i += 1) {
      const gradient = grads[i] + weight_decay * params[i];
      velocity[i] = momentum * velocity[i] + gradient;
      params[i] -= lr * (nesterov ? gradient + momentum * velocity[i] : velocity[i]);
    }
  },
};

// -t * log(p) - (1 - t) * log(1 - p) with p = sigmoid(output).

OPERATIONS.bce_with_logits = lossOfEntries(
  (output, target) => softplus(output) - output * target,
  (output, target) => sigmoid(output) - target,
);

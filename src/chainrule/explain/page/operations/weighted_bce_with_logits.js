// -w * t * log(p) - (1 - t) * log(1 - p) with p = sigmoid(output), and w the entry's pos_weight.

const positive = ({ pos_weight }, i) => pos_weight[i % pos_weight.length];

OPERATIONS.weighted_bce_with_logits = lossOfEntries(
  (output, target, head, i) => positive(head, i) * target * softplus(-output) + (1 - target) * softplus(output),
  (output, target, head, i) => (1 - target) * sigmoid(output) - positive(head, i) * target * sigmoid(-output),
);

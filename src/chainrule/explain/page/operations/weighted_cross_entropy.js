// The mean of -sum(q * log(softmax(output))) over the rows, where each class counts by its weight:
// q has weight * (1 - label_smoothing) for the row's label, and weight * label_smoothing / classes
// for every class. The mean is by the weights of the labels.

OPERATIONS.weighted_cross_entropy = ({ output, label, class_weight, label_smoothing, d_output, columns }) => {
  const logP = new Float64Array(output.length);
  const total = label.reduce((sum, own) => sum + class_weight[own], 0);
  let sum = 0;
  label.forEach((own, row) => {
    const begin = row * columns;
    logSoftmaxRow(output, logP, begin, columns);
    const q = class_weight.map(
      (weight, j) => weight * (label_smoothing / columns + (j === own ? 1 - label_smoothing : 0)),
    );
    const mass = q.reduce((all, part) => all + part, 0);
    for (let j = 0; j < columns; j += 1) {
      sum -= q[j] * logP[begin + j];
      d_output[begin + j] = total > 0 ? (mass * Math.exp(logP[begin + j]) - q[j]) / total : 0;
    }
  });
  return total > 0 ? sum / total : 0;
};

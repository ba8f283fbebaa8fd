// The mean of -sum(q * log(softmax(output))) over the rows: q has 1 - label_smoothing for the row's
// label, and label_smoothing / classes for every class.

OPERATIONS.cross_entropy = ({ output, label, label_smoothing, d_output, columns }) => {
  const logP = new Float64Array(output.length);
  let sum = 0;
  label.forEach((own, row) => {
    const begin = row * columns;
    logSoftmaxRow(output, logP, begin, columns);
    for (let j = 0; j < columns; j += 1) {
      const q = label_smoothing / columns + (j === own ? 1 - label_smoothing : 0);
      sum -= q * logP[begin + j];
      d_output[begin + j] = (Math.exp(logP[begin + j]) - q) / label.length;
    }
  });
  return sum / label.length;
};

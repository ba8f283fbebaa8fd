// (1 - q) * error where the error is positive, else -q * error; a row has all quantiles of its first
// target, then those of the next one.

OPERATIONS.quantile = ({ output, target, quantiles, d_output }) => {
  let sum = 0;
  for (let i = 0; i < output.length; i += 1) {
    const q = quantiles[i % quantiles.length];
    const error = output[i] - target[Math.floor(i / quantiles.length)];
    const slope = error > 0 ? 1 - q : -q;
    sum += slope * error;
    d_output[i] = error === 0 ? 0 : slope / output.length;
  }
  return sum / output.length;
};

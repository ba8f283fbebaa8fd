// rate - t * log(rate); the output is log(rate) or, without log_input, the rate itself.

// Of log(t!), where t is more than 1.
const stirling = (t) => (t > 1 ? t * Math.log(t) - t + Math.log(2 * Math.PI * t) / 2 : 0);

OPERATIONS.poisson_nll = lossOfEntries(
  (output, target, { log_input, full, eps }) =>
    (log_input ? Math.exp(output) - target * output : output - target * Math.log(output + eps)) +
    (full ? stirling(target) : 0),
  (output, target, { log_input, eps }) =>
    log_input ? Math.exp(output) - target : 1 - target / (output + eps),
);

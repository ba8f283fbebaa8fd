// (log(v) + error**2 / v) / 2; a row of the output has the means, then the variances, which are at
// least eps.

OPERATIONS.gaussian_nll = ({ output, target, full, eps, d_output, columns }) => {
  const half = columns / 2;
  let sum = 0;
  target.forEach((goal, i) => {
    const mean = Math.floor(i / half) * columns + (i % half);
    const v = Math.max(output[mean + half], eps);
    const error = output[mean] - goal;
    sum += (Math.log(v) + error ** 2 / v + (full ? Math.log(2 * Math.PI) : 0)) / 2;
    d_output[mean] = error / v / target.length;
    d_output[mean + half] = (1 - error ** 2 / v) / (2 * v) / target.length;
  });
  return sum / target.length;
};

// y = (x - mean) * scale with scale = 1 / sqrt(variance + eps), for each group of channels of a
// row, which has so many channels at each of its places.

function eachGroup({ groups, channels, columns }, begin, compute) {
  const width = channels / groups;
  for (let group = 0; group < groups; group += 1) {
    const members = [];
    for (let j = begin; j < begin + columns; j += 1) {
      if (Math.floor(((j - begin) % channels) / width) === group) members.push(j);
    }
    compute(members, (values) => members.reduce((sum, j) => sum + values(j), 0) / members.length);
  }
}

function scaleOfGroup({ x, eps }, mean) {
  const center = mean((j) => x[j]);
  return { center, scale: 1 / Math.sqrt(mean((j) => (x[j] - center) ** 2) + eps) };
}

OPERATIONS.group_norm = rowwise(
  (step, begin) => eachGroup(step, begin, (members, mean) => {
    const { center, scale } = scaleOfGroup(step, mean);
    for (const j of members) step.y[j] = (step.x[j] - center) * scale;
  }),
  // dx = (dy - mean(dy) - y * mean(dy * y)) * scale
  (step, begin) => eachGroup(step, begin, (members, mean) => {
    const { y, dy, dx } = step;
    const { scale } = scaleOfGroup(step, mean);
    const [ofDy, ofY] = [mean((j) => dy[j]), mean((j) => dy[j] * y[j])];
    for (const j of members) dx[j] += (dy[j] - ofDy - y[j] * ofY) * scale;
  }),
);

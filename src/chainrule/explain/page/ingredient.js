// The numbers that can be turned: the input, the parameters, and each link's values, row by row.

// A number of the network at its place in an array, and how the loss depends on it.
class Ingredient {
  constructor(model, choice, row, entry) {
    const { network } = model;
    Object.assign(this, { model, choice, entry });
    const part = (array) => (choice.parameter ? array : array.subarray(row * choice.size, (row + 1) * choice.size));
    this.numbers = part(choice.parameter ? network.parameters.views[choice.parameter] : network.values[choice.value]);
    const gradients = choice.parameter ? network.parameterGradients.views[choice.parameter] : network.gradients[choice.value];
    this.start = this.numbers[entry];
    this.slope = part(gradients)[entry];
    this.loss = network.loss;
    this.before = network.values.map((value) => value.slice());
    // A value that a step makes is held where it was turned to: only what comes after is computed.
    this.firstStep = choice.parameter || choice.value === 0 ? 0 : network.makerOf(choice.value) + 1;
    this.name = nameOf(choice, row, entry);
  }

  turnTo(value) {
    this.numbers[this.entry] = value;
    this.model.update(this.firstStep);
  }

  putBack() {
    this.numbers[this.entry] = this.start;
    this.model.update();
  }

  predicted(value) {
    return this.loss + this.slope * (value - this.start);
  }

  // How far a slider reaches to both sides: twice the array's largest number, to one digit.
  get span() {
    const largest = this.numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return Number((2 * largest).toPrecision(1)) || 1;
  }

  // The loss where the number is turned to each of several values.
  lossesAt(values) {
    const { network } = this.model;
    const now = this.numbers[this.entry];
    const losses = values.map((value) => {
      this.numbers[this.entry] = value;
      return [value, network.forward(this.firstStep)];
    });
    this.turnTo(now);
    return losses;
  }
}

const nameOf = (choice, row, entry) => `${choice.symbol}[${indexOf(choice, row, entry).join(", ")}]`;

function indexOf({ parameter, shape, names }, row, entry) {
  if (!parameter) return [row, names?.[entry] ?? entry];
  return shape.reduceRight(
    ({ index, rest }, size) => ({ index: [rest % size, ...index], rest: Math.floor(rest / size) }),
    { index: [], rest: entry },
  ).index;
}

// What the numbers are chosen from, with the link that they belong to, and all at which they act.
function choicesOf(data) {
  return data.links.flatMap(({ symbol, size, value }, link) => [
    ...(data.codes && link === 0 ? [] : [{ symbol, size, value, link, places: [link], shape: [size], names: link === 0 ? data.columns : null }]),
    ...data.paths
      .filter((path) => path.link === link && path.name !== "x")
      .map(({ symbol, name, shape, places }) => ({ symbol, parameter: name, link, places, shape })),
  ]);
}

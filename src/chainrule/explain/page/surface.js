// A network of two inputs as a map: what it gives over both, and the batch's points in it.

const SURFACE = { cells: 48, size: 336, margin: 0.15 };

class Surface {
  constructor(model) {
    this.model = model;
    const { network } = model;
    const { heads, values } = network.description;
    this.fits = values[0] === 2 && heads.length === 1 && !model.data.codes;
    byId("surface").hidden = !this.fits;
    if (!this.fits) return;
    const inputs = [0, 1].map((axis) => network.values[0].filter((_, i) => i % 2 === axis));
    this.ranges = inputs.map(rangeOf);
    this.head = heads[0];
    this.map = network.at(this.grid());
    byId("surface-about").textContent = this.about();
  }

  grid() {
    const { cells } = SURFACE;
    const at = ([low, high], i) => low + ((high - low) * (i + 0.5)) / cells;
    // From the top row down: the second input's largest values first.
    return Array.from({ length: cells * cells }, (_, i) => [
      at(this.ranges[0], i % cells),
      at(this.ranges[1], cells - 1 - Math.floor(i / cells)),
    ]).flat();
  }

  about() {
    const [across, up] = this.ranges.map((range) => range.map((value) => number(value, 3)).join(" to "));
    const [first, second] = this.model.data.columns ?? ["the first input", "the second"];
    const shown = this.head.columns === 1 ? "the output: blue below 0, orange above" : "the class with the largest output";
    return `Across: ${first}, ${across}. Up: ${second}, ${up}. The colour is ${shown}; the points are the batch, in the colours of their targets.`;
  }

  draw() {
    if (!this.fits) return;
    const { network } = this.model;
    this.map.parameters.all.set(network.parameters.all);
    this.map.forward();
    const context = byId("surface-map").getContext("2d");
    const size = SURFACE.size / SURFACE.cells;
    context.clearRect(0, 0, SURFACE.size, SURFACE.size);
    const outputs = this.map.values[this.head.output];
    const largest = outputs.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    for (let i = 0; i < SURFACE.cells ** 2; i += 1) {
      const { colour, share } = this.colourOf(outputs, i, largest);
      context.fillStyle = colour;
      context.globalAlpha = share;
      context.fillRect((i % SURFACE.cells) * size, Math.floor(i / SURFACE.cells) * size, size, size);
    }
    context.globalAlpha = 1;
    this.drawPoints(context);
  }

  colourOf(outputs, row, largest) {
    const { columns } = this.head;
    if (columns === 1) return { colour: signColour(outputs[row]), share: Math.min(1, 0.15 + 0.7 * Math.abs(outputs[row]) / largest) };
    const own = [...outputs.subarray(row * columns, (row + 1) * columns)];
    return { colour: classColour(own.indexOf(Math.max(...own)), columns), share: 0.5 };
  }

  drawPoints(context) {
    const { network } = this.model;
    const place = (value, [low, high]) => (SURFACE.size * (value - low)) / (high - low);
    for (let row = 0; row < network.rows; row += 1) {
      const [a, b] = network.values[0].subarray(2 * row, 2 * row + 2);
      context.beginPath();
      context.arc(place(a, this.ranges[0]), SURFACE.size - place(b, this.ranges[1]), 4, 0, 2 * Math.PI);
      context.fillStyle = this.targetColour(row);
      context.fill();
      context.strokeStyle = colourNamed("--ink");
      context.stroke();
    }
  }

  // A target's colour: that of its class, or of which side of the middle of all targets it is on.
  targetColour(row) {
    const { columns } = this.head;
    const { label, target } = this.model.network.heads[0].bound;
    if (label) return classColour(label[row], columns);
    if (columns > 1) {
      const own = [...target.subarray(row * columns, (row + 1) * columns)];
      return classColour(own.indexOf(Math.max(...own)), columns);
    }
    const [low, high] = [Math.min(...target), Math.max(...target)];
    return signColour(target[row] - (low + high) / 2);
  }
}

function rangeOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = SURFACE.margin * (high - low) || 1;
  return [low - margin, high + margin];
}

const signColour = (value) => colourNamed(value < 0 ? "--negative" : "--positive");

const classColour = (own, classes) => {
  if (classes === 2) return signColour(own ? 1 : -1);
  return `hsl(${Math.round((360 * own) / classes)} 65% 50%)`;
};

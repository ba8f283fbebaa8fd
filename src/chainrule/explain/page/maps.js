// The values of a row's links as pictures, channel by channel, the loss's gradients by them, and the
// kernels of convolutions.

const MOST_MAPS = { channels: 32, kernels: 128 };

class FeatureMaps {
  constructor({ data, network }) {
    Object.assign(this, { network, row: 0 });
    this.links = network ? data.links.filter(({ shape }) => shape.length === 3 && shape[0] * shape[1] > 1) : [];
    this.kernels = network ? data.paths.filter(({ name, shape }) => name !== "x" && shape.length === 4) : [];
    byId("maps").hidden = !this.links.length;
    byId("maps-kernels").hidden = !this.kernels.length;
  }

  chooseRow(row) {
    this.row = row;
    this.update();
  }

  update() {
    if (!this.links.length) return;
    byId("maps-row").textContent = this.row;
    byId("maps-shown").replaceChildren(...this.links.map((link) => this.mapsOf(link)), ...this.kernels.map((path) => this.kernelsOf(path)));
  }

  mapsOf({ symbol, value, shape: [height, width, channels] }) {
    const { network } = this;
    const [values, gradients] = [network.values, network.gradients].map((all) => rowOf(all[value], this.row, network.rows));
    const shown = Math.min(channels, MOST_MAPS.channels);
    const pictures = (numbers, name) => {
      const channel = (c) => Array.from({ length: height * width }, (_, i) => numbers[i * channels + c]);
      return pictureRow(Array.from({ length: shown }, (_, c) => channel(c)), [height, width], name, norm(numbers));
    };
    return panel(
      symbol,
      `${plural(channels, "channel")} of ${sizes([height, width])}${shown < channels ? `; the first ${shown} are shown` : ""}.`,
      pictures(values, symbol),
      pictures(gradients, derivative("L", symbol)),
    );
  }

  // A kernel for each pair of channels: all that an output reads, from the first output on.
  kernelsOf({ symbol, name, shape: [height, width, inputs, outputs] }) {
    const { network } = this;
    const shown = Math.min(inputs * outputs, MOST_MAPS.kernels);
    const pictures = (numbers, called) => {
      const kernel = (k) => {
        const [input, output] = [k % inputs, Math.floor(k / inputs)];
        return Array.from({ length: height * width }, (_, i) => numbers[(i * inputs + input) * outputs + output]);
      };
      return pictureRow(Array.from({ length: shown }, (_, k) => kernel(k)), [height, width], called, norm(numbers));
    };
    return panel(
      symbol,
      `Kernels of ${sizes([height, width])}: ${plural(outputs, "output channel")}, one kernel for each of ${plural(inputs, "input channel")}${shown < inputs * outputs ? `; the first ${shown} kernels are shown` : ""}.`,
      pictures(network.parameters.views[name], symbol),
      pictures(network.parameterGradients.views[name], derivative("L", symbol)),
    );
  }
}

// Pictures side by side, whose colours have one scale.
function pictureRow(pictures, [height, width], name, length) {
  const largest = pictures.flat().reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const colours = { true: colourNamed("--negative"), false: colourNamed("--positive") };
  const canvases = pictures.map((numbers, i) => {
    const label = `${name}, ${i}: ${inWords({ shape: [height, width], cells: [numbers] })}`;
    const canvas = element("canvas", { height, width, role: "img", "aria-label": label, title: label });
    drawPixels(canvas, numbers, (value) => [colours[value < 0], Math.abs(value) / largest]);
    return canvas;
  });
  return element("figure", { class: "maps" }, element("figcaption", {}, `${name}; norm ${number(length)}`), ...canvases);
}

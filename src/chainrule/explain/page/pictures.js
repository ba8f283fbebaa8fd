// A row of the input as a picture, and the loss's derivative by each pixel.

class Pictures {
  constructor(model, chosen) {
    Object.assign(this, { model, data: model.data, row: 0 });
    this.fits = Boolean(this.data.picture && (model.network || this.data.inputs));
    byId("pictures").hidden = !this.fits;
    if (!this.fits) return;
    const [height, width] = this.data.picture;
    byId("picture-size").textContent = sizes([height, width]);
    byId("picture-turn").hidden = !model.network;
    for (const canvas of [byId("picture"), byId("picture-slopes")]) {
      Object.assign(canvas, { height, width });
      canvas.style.setProperty("--columns", width);
      canvas.style.setProperty("--rows", height);
      if (!model.network) continue;
      canvas.classList.add("chosen-from");
      canvas.addEventListener("click", ({ offsetX, offsetY }) => {
        const at = (offset, whole, pixels) => Math.min(pixels - 1, Math.floor((pixels * offset) / whole));
        chosen(this.row, at(offsetY, canvas.clientHeight, height) * width + at(offsetX, canvas.clientWidth, width));
      });
    }
  }

  chooseRow(row) {
    this.row = row;
    this.update();
  }

  // The row's numbers, and the derivatives by them.
  get numbers() {
    const { network } = this.model;
    if (!network) return this.data.inputs.map((rows) => rows[this.row]);
    return [network.values[0], network.gradients[0]].map((all) => rowOf(all, this.row, network.rows));
  }

  update() {
    if (!this.fits) return;
    const { picture } = this.data;
    const [pixels, slopes] = this.numbers;
    const lowest = Math.min(0, ...pixels);
    const highest = Math.max(...pixels, lowest + Number.MIN_VALUE);
    const steepest = Math.max(...[...slopes].map(Math.abs)) || 1;
    byId("picture-row").textContent = this.row;
    const ink = colourNamed("--ink");
    const colours = { true: colourNamed("--negative"), false: colourNamed("--positive") };
    drawPixels(byId("picture"), pixels, (value) => [ink, (value - lowest) / (highest - lowest)]);
    drawPixels(byId("picture-slopes"), slopes, (value) => [colours[value < 0], Math.abs(value) / steepest]);
    byId("picture").setAttribute("aria-label", `Row ${this.row} of X: ${inWords({ shape: picture, cells: [[...pixels]] })}`);
    byId("picture-slopes").setAttribute("aria-label", `∂L/∂X in row ${this.row}: ${inWords({ shape: picture, cells: [[...slopes]] })}`);
  }
}

// A pixel for each number, row by row: its colour, and how much of it.
function drawPixels(canvas, numbers, colourOf) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  numbers.forEach((value, i) => {
    [context.fillStyle, context.globalAlpha] = colourOf(value);
    context.fillRect(i % canvas.width, Math.floor(i / canvas.width), 1, 1);
  });
}

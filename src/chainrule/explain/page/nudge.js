// One weight is changed a little: what the gradient says the loss will do, and what it does.

class Nudge {
  constructor(data) {
    this.data = data;
    this.entry = 0;
    byId("entries").addEventListener("change", (event) => this.choose(Number(event.target.value)));
    byId("delta").addEventListener("input", () => {
      this.draw();
      byId("nudge-status").textContent = this.sentence();
    });
  }

  show(path) {
    this.path = path;
    const { nudge, symbol } = path;
    byId("nudge-title").textContent = `What if one entry of ${symbol} were another?`;
    byId("nudge").hidden = !nudge;
    byId("nudge-about").textContent = nudge
      ? `The entries of ${symbol} with the largest derivatives. A slope holds near where it was taken: the further the change, the wider the gap between the loss it predicts and the real one.`
      : this.data.codes && path.name === "x"
      ? `Not here: ${symbol} holds codes, and between two of them, there is no loss.`
      : `Not here: for a network of this size, or with so many parameters, the page would take too long to compute. cr.nudge does it for a single entry.`;
    byId("nudge-status").textContent = "";
    if (nudge) this.listEntries();
  }

  listEntries() {
    const labels = this.path.nudge.entries.map((entry, i) => entryChoice(this.path, entry, i));
    byId("entries").replaceChildren(...labels);
    this.choose(0);
  }

  choose(entry) {
    this.entry = entry;
    byId("delta").value = 12;
    this.plot = this.curve(this.points());
    byId("curve").replaceChildren(this.plot.svg);
    this.draw();
  }

  // The loss over the change, and its tangent.
  curve(points) {
    const before = this.data.loss.value;
    const lineOf = (name) => ({ name, points: points.map((point) => [point.delta, before + point[name]]) });
    const real = lineOf("real");
    return new Plot({
      lines: [{ name: "axis zero", points: [[0, 0], [0, before]] }, lineOf("predicted"), real],
      scaled: [real],
      labels: { x: "the change", y: "L" },
      title: curveInWords(points),
    });
  }

  // For each place of the slider: the change, and how the loss moves.
  points() {
    const { span, entries } = this.path.nudge;
    const { moves, slope } = entries[this.entry];
    const half = (moves.length - 1) / 2;
    return moves.map((real, i) => {
      const delta = (span * (i - half)) / half;
      return { delta, real, predicted: slope * delta };
    });
  }

  point() {
    return this.points()[Number(byId("delta").value)];
  }

  draw() {
    const { delta, real, predicted } = this.point();
    const before = this.data.loss.value;
    byId("delta").setAttribute("aria-valuetext", signed(delta));
    byId("delta-text").textContent = signed(delta);
    byId("predicted").textContent = signed(predicted);
    byId("real").textContent = signed(real);
    byId("gap").textContent = signed(real - predicted);
    byId("loss-before").textContent = number(before);
    byId("loss-after").textContent = number(before + real);
    this.plot.mark("predicted", delta, before + predicted);
    this.plot.mark("real", delta, before + real);
  }

  sentence() {
    const { real, predicted } = this.point();
    return `The gradient predicts ${signed(predicted)}, really ${signed(real)}.`;
  }
}

const entryName = (path, entry) => `${path.symbol}[${entry.index.join(", ")}]`;

function entryChoice(path, entry, i) {
  return element(
    "label",
    {},
    element("input", { type: "radio", name: "entry", value: i, ...(i === 0 && { checked: true }) }),
    element(
      "span",
      {},
      `${entryName(path, entry)} = ${number(entry.value)} `,
      element("span", { class: "size" }, `slope ${signed(entry.slope)}`),
    ),
  );
}

function curveInWords(points) {
  const [first, last] = [points[0], points.at(-1)];
  const end = ({ delta, real, predicted }) =>
    `at ${signed(delta)} predicted ${signed(predicted)}, really ${signed(real)}`;
  return `The move of the loss over the change: ${end(first)}; ${end(last)}. The two lines touch at 0.`;
}

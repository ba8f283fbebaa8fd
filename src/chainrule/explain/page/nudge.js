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
    byId("curve-before").textContent = number(this.data.loss.value);
    byId("curve").replaceChildren(curve(this.points()));
    this.draw();
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
    markCurve(Number(byId("delta").value));
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

const CURVE = { width: 420, height: 240, left: 14, right: 76, top: 14, bottom: 34 };

// The loss as a line, and its tangent dashed.
function curve(points) {
  const scale = scales(points);
  const last = points.at(-1);
  const svg = drawn(
    "svg",
    { viewBox: `0 0 ${CURVE.width} ${CURVE.height}`, class: "curve", role: "img", "aria-label": curveInWords(points) },
    ...curveAxes(points, scale),
    drawn("path", { class: "real", d: line(points, scale, "real") }),
    drawn("path", { class: "predicted", d: line(points, scale, "predicted") }),
    drawn("circle", { class: "predicted", r: 4.5 }),
    drawn("circle", { class: "real", r: 4.5 }),
  );
  const [real, predicted] = apart(scale.y(last.real), scale.y(last.predicted));
  const x = scale.x(last.delta) + 8;
  svg.append(
    drawn("text", { class: "real", x, y: real + 4 }, "really"),
    drawn("text", { class: "predicted", x, y: predicted + 4 }, "predicted"),
  );
  svg.marks = points.map((point) => ({
    x: scale.x(point.delta),
    real: scale.y(point.real),
    predicted: scale.y(point.predicted),
  }));
  return svg;
}

function scales(points) {
  const values = points.flatMap((point) => [point.real, point.predicted]).filter(Number.isFinite);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = points.at(-1).delta;
  const [width, height] = [CURVE.width - CURVE.left - CURVE.right, CURVE.height - CURVE.top - CURVE.bottom];
  return {
    x: (delta) => CURVE.left + (width * (delta + span)) / (2 * span),
    y: (move) => CURVE.top + height * (1 - (move - low) / (high - low || 1)),
  };
}

function line(points, scale, kind) {
  const finite = points.filter((point) => Number.isFinite(point[kind]));
  return finite.map((point, i) => `${i ? "L" : "M"}${scale.x(point.delta).toFixed(1)} ${scale.y(point[kind]).toFixed(1)}`).join("");
}

function curveAxes(points, scale) {
  const bottom = CURVE.height - CURVE.bottom + 6;
  const [first, last] = [points[0].delta, points.at(-1).delta];
  const label = (x, text, anchor) =>
    drawn("text", { x, y: bottom + 16, "text-anchor": anchor }, text);
  return [
    drawn("path", { class: "axis", d: `M${CURVE.left} ${bottom}H${CURVE.width - CURVE.right}` }),
    drawn("path", { class: "axis zero", d: `M${scale.x(0)} ${CURVE.top - 6}V${bottom}` }),
    label(scale.x(first), signed(first), "start"),
    label(scale.x(0), "as it is", "middle"),
    label(scale.x(last), signed(last), "end"),
  ];
}

// Two labels' heights, at least a line apart.
function apart(a, b) {
  const shift = Math.max(0, 16 - Math.abs(a - b)) / 2;
  return a <= b ? [a - shift, b + shift] : [a + shift, b - shift];
}

function curveInWords(points) {
  const [first, last] = [points[0], points.at(-1)];
  const end = ({ delta, real, predicted }) =>
    `at ${signed(delta)} predicted ${signed(predicted)}, really ${signed(real)}`;
  return `The move of the loss over the change: ${end(first)}; ${end(last)}. The two lines touch at 0.`;
}

function markCurve(position) {
  const svg = byId("curve").firstElementChild;
  const { x, ...heights } = svg.marks[position];
  for (const [kind, y] of Object.entries(heights)) {
    const circle = svg.querySelector(`circle.${kind}`);
    circle.setAttribute("cx", x);
    circle.setAttribute("cy", Number.isFinite(y) ? y : -99);
  }
}

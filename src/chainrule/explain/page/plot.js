// A plot of a few lines over one quantity, with axes. The vertical axis begins at 0 unless there are
// values below, so that a small change looks small.

const PLOT = { width: 460, height: 260, left: 56, right: 16, top: 12, bottom: 40 };

// Lines: [{ name, points: [[x, y], ...] }]; only those of `scaled` decide what the axes show.
class Plot {
  constructor({ lines, scaled, labels, title }) {
    const points = scaled.flatMap((line) => line.points).filter(([, y]) => Number.isFinite(y));
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    this.x = scaleOf(Math.min(...xs), Math.max(...xs), PLOT.left, PLOT.width - PLOT.right);
    const ticks = ticksOf(Math.min(0, ...ys), Math.max(0, ...ys));
    this.y = scaleOf(ticks[0], ticks.at(-1), PLOT.height - PLOT.bottom, PLOT.top);
    this.svg = drawn(
      "svg",
      { viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, class: "curve", role: "img", "aria-label": title },
      ...this.axes(ticks, ticksOf(Math.min(...xs), Math.max(...xs)), labels),
      ...lines.map((line) => drawn("path", { class: line.name, d: this.path(line.points) })),
    );
  }

  axes(yTicks, xTicks, labels) {
    const [bottom, right] = [PLOT.height - PLOT.bottom, PLOT.width - PLOT.right];
    const inside = xTicks.filter((x) => this.x(x) >= PLOT.left - 1 && this.x(x) <= right + 1);
    const text = (x, y, anchor, content) => drawn("text", { x, y, "text-anchor": anchor }, content);
    return [
      ...yTicks.map((y) => drawn("path", { class: "grid", d: `M${PLOT.left} ${this.y(y)}H${right}` })),
      ...yTicks.map((y) => text(PLOT.left - 6, this.y(y) + 4, "end", number(y, 3))),
      drawn("path", { class: "axis", d: `M${PLOT.left} ${PLOT.top}V${bottom}H${right}` }),
      ...inside.map((x) => drawn("path", { class: "axis", d: `M${this.x(x)} ${bottom}v5` })),
      ...inside.map((x) => text(this.x(x), bottom + 18, "middle", number(x, 3))),
      text((PLOT.left + right) / 2, PLOT.height - 4, "middle", labels.x),
      text(PLOT.left + 6, PLOT.top + 6, "start", labels.y),
    ];
  }

  path(points) {
    const ends = [PLOT.top, PLOT.height - PLOT.bottom];
    const shown = points.map(([x, y]) => [this.x(x), this.y(y)]).filter(([, y]) => y >= ends[0] - 0.5 && y <= ends[1] + 0.5);
    return shown.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  }

  // Put a named dot at a point; out of sight where the plot does not reach.
  mark(name, x, y) {
    const dot = this.svg.querySelector(`circle.${name}`) ?? this.svg.appendChild(drawn("circle", { class: name, r: 4.5 }));
    const at = this.y(y);
    dot.setAttribute("cx", this.x(x));
    dot.setAttribute("cy", at >= PLOT.top - 1 && at <= PLOT.height - PLOT.bottom + 1 ? at : -99);
  }
}

function scaleOf(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from);
}

// Some four to eight round numbers around all from low to high.
function ticksOf(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => span / size <= 6);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

// A plot of a few lines over one quantity, with axes. The vertical axis begins at 0 unless there are
// values below, so that a small change looks small.

const PLOT = { width: 460, height: 260, left: 56, right: 16, top: 12, bottom: 40 };

// So that differences of two do not overflow.
const drawable = (value) => Math.abs(value) < 1e300;

// Lines: [{ name, points: [[x, y], ...] }]; only those of `scaled` decide what the axes show.
class Plot {
  constructor({ lines, scaled, labels, title }) {
    // Of a network whose numbers have overflowed, nothing is left to draw but the axes.
    const points = scaled.flatMap((line) => line.points).filter((point) => point.every(drawable));
    const [xs, ys] = points.length ? [points.map(([x]) => x), points.map(([, y]) => y)] : [[0], [0]];
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

  // Where a point is drawn; null outside the axes.
  place([x, y]) {
    const [across, down] = [this.x(x), this.y(y)];
    const within = (value, low, high) => value > low - 1 && value < high + 1;
    const inside = within(across, PLOT.left, PLOT.width - PLOT.right) && within(down, PLOT.top, PLOT.height - PLOT.bottom);
    return inside ? [across, down] : null;
  }

  path(points) {
    const places = points.map((point) => this.place(point)).filter(Boolean);
    return places.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  }

  // Put a named dot at a point; out of sight where the plot does not reach.
  mark(name, x, y) {
    const dot = this.svg.querySelector(`circle.${name}`) ?? this.svg.appendChild(drawn("circle", { class: name, r: 4.5 }));
    const [across, down] = this.place([x, y]) ?? [-99, -99];
    dot.setAttribute("cx", across);
    dot.setAttribute("cy", down);
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

// A small network as nodes and edges, for one row of the batch, and the ways of one number through it. A
// click on a node chooses its value, on an edge its weight.

const MOST_NODES = 12; // of a link
const MOST_PATHS = 5; // that are written out

const NEURONS = { between: 150, closest: 44, label: 34, step: 44, radius: 13, side: 44, named: 110 };

class Neurons {
  constructor(model, turn) {
    Object.assign(this, { model, turn, data: model.data });
    byId("colour").addEventListener("change", () => this.update());
    byId("neurons-plot").addEventListener("click", ({ target }) => {
      const { symbol, entry } = target.dataset;
      if (symbol) turn.chooseNumber(symbol, Number(entry));
    });
    this.fits = this.data.links.every(({ size }) => size <= MOST_NODES) && this.data.factors.every(({ built }) => built);
    byId("neurons").hidden = !this.fits;
  }

  // The links stand in columns, by their distance from the input; several of one column below each other.
  // On a narrow screen they are closer, so that the text stays legible.
  place() {
    const { links } = this.data;
    const levels = levelsOf(links);
    const heights = new Array(Math.max(...levels) + 1).fill(0);
    const tops = links.map(({ size }, link) => {
      const top = heights[levels[link]];
      heights[levels[link]] += NEURONS.label + NEURONS.step * size;
      return top;
    });
    const most = Math.max(...heights);
    const side = this.data.columns ? NEURONS.named : NEURONS.side;
    const fitting = (byId("neurons-plot").clientWidth - side - NEURONS.side) / levels.at(-1);
    const between = Math.min(NEURONS.between, Math.max(NEURONS.closest, fitting));
    this.left = (link) => side + between * levels[link];
    this.top = (link) => tops[link] + (most - heights[levels[link]]) / 2;
    this.at = (link, i) => [this.left(link), this.top(link) + NEURONS.label + NEURONS.step * (i + 0.4)];
    this.loss = [side + between * levels.at(-1), most / 2];
    this.skips = ({ from, to }) => levels[to] - levels[from] > 1;
    this.size = [this.loss[0] + NEURONS.side, most + 10];
  }

  update() {
    if (!this.fits) return;
    this.place();
    const { row, choice, entry } = this.turn;
    const ways = new Ways(this.model, row, choice, entry);
    byId("neurons-plot").replaceChildren(this.draw(ways));
    this.tell(ways);
  }

  draw(ways) {
    const { links } = this.data;
    const [width, height] = this.size;
    const text = (x, y, content, options) => drawn("text", { x, y, "text-anchor": "middle", ...options }, content);
    const ends = [...ways.ends.keys()].flatMap((link) => this.edgesToLoss(ways, link));
    const names = (this.data.columns ?? []).map((name, i) => {
      const [x, y] = this.at(0, i);
      return text(x - NEURONS.radius - 6, y + 4, shortened([name], 13), { "text-anchor": "end", class: "node-number" });
    });
    return drawn(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, style: `max-width: ${width}px`, class: "neurons", role: "img", "aria-labelledby": "neurons-told" },
      ...ways.edges.flatMap((edge) => this.edges(ways, edge)),
      ...ends,
      ...links.flatMap((link, i) => [text(this.left(i), this.top(i) + 20, link.symbol.slice(0, 12)), ...this.nodes(ways.row, i)]),
      ...names,
      text(this.loss[0], this.loss[1] + 5, "L", { class: "loss" }),
    );
  }

  edges(ways, edge) {
    const weight = this.weightOf(edge);
    const parts = edge.jacobian.flatMap((line, j) =>
      [...line].map((slope, i) => ({
        ends: [this.at(edge.from, i), this.at(edge.to, j)],
        slope,
        part: ways.passed(edge, i, j),
        number: weight ? { "data-symbol": weight.symbol, "data-entry": i * edge.jacobian.length + j } : {},
      })),
    );
    return drawEdges(parts, this.skips(edge));
  }

  // The matrix with a number for each edge between two links, if there is one.
  weightOf({ from, to }) {
    const [rows, columns] = [from, to].map((link) => this.data.links[link].size);
    const fits = ({ parameter, link, shape }) => parameter && link === to && shape.length === 2 && shape[0] === rows && shape[1] === columns;
    return this.turn.choices.find(fits) ?? null;
  }

  edgesToLoss(ways, link) {
    const parts = [...ways.ends.get(link)].map((slope, i) => ({ ends: [this.at(link, i), this.loss], slope, part: ways.passedToLoss(link, i) }));
    return drawEdges(parts, false);
  }

  nodes(row, position) {
    const { values, gradients } = this.model.network;
    const { symbol, value, size } = this.data.links[position];
    const ofRow = (numbers) => numbers[value].subarray(row * size, (row + 1) * size);
    const influence = () => ofRow(values).map((number, i) => number * ofRow(gradients)[i]);
    const coloured = { value: () => ofRow(values), gradient: () => ofRow(gradients), influence };
    const numbers = coloured[byId("colour").value]();
    const largest = numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
    return [...numbers].flatMap((shown, i) => {
      const [x, y] = this.at(position, i);
      const circle = drawn("circle", { class: "cell node", cx: x, cy: y, r: NEURONS.radius, "data-symbol": symbol, "data-entry": i });
      paint(circle, shown, largest);
      return [circle, drawn("text", { class: "node-number", x, y: y + 24, "text-anchor": "middle" }, number(shown, 2))];
    });
  }

  tell(ways) {
    const { choice, entry, name } = this.turn;
    const { rows } = this.data.loss;
    const whole = choice.parameter && rows > 1 ? ` in row ${ways.row}; all rows add up to ${number(this.turn.slopeOf(entry))}` : "";
    byId("neurons-told").textContent = `Lit: the paths from ${name} to the loss, as thick as what they contribute. Together: ${signed(ways.total)}${whole}.`;
    const paths = ways.list;
    const shown = paths?.slice(0, MOST_PATHS) ?? [];
    const lines = shown.map(({ nodes, part }) => `${[name, ...nodes, "L"].join(" → ")}: ${signed(part)}`);
    const others = paths?.slice(MOST_PATHS) ?? [];
    if (others.length) lines.push(`${plural(others.length, "other path")}: ${signed(others.reduce((sum, { part }) => sum + part, 0))}`);
    if (!paths) lines.push("There are too many paths to list.");
    byId("neurons-paths").replaceChildren(...lines.map((line) => element("li", {}, line)));
  }
}

// Lines between nodes: as thick as what passes, relative to the most; bent where they pass a column.
function drawEdges(parts, bent) {
  const largest = Math.max(...parts.map(({ part }) => Math.abs(part)));
  return parts.map(({ ends: [[x1, y1], [x2, y2]], slope, part, number: own = {} }) => {
    const middle = bent ? `Q${(x1 + x2) / 2} ${Math.min(y1, y2) - NEURONS.step} ` : "L";
    const kind = part === 0 ? "" : part < 0 ? "negative" : "positive";
    const line = drawn("path", { class: `edge ${kind}`, d: `M${x1} ${y1}${middle}${x2} ${y2}`, ...own });
    line.style.setProperty("--share", (largest > 0 ? Math.abs(part) / largest : 0).toFixed(3));
    line.append(drawn("title", {}, `slope ${number(slope, 3)}, passes ${number(part, 3)}`));
    return line;
  });
}

// A small network as nodes and edges, for one row of the batch; and the paths of one number through
// them to the loss, whose contributions add up to its gradient.

const MOST_NODES = 12; // of a link
const MOST_PATHS = 5; // that are written out
const MOST_WALKED = 20000;

const NEURONS = { between: 150, top: 30, step: 44, radius: 13, side: 44 };

class Neurons {
  constructor(model, turn) {
    Object.assign(this, { model, turn, data: model.data });
    byId("colour").addEventListener("change", () => this.update());
    this.fits = this.data.links.every(({ size }) => size <= MOST_NODES) && this.data.factors.every(({ built }) => built);
    byId("neurons").hidden = !this.fits;
  }

  // The Jacobians from each link to the next one, in the row.
  jacobians(row) {
    return this.model.remember(`jacobians ${row}`, () =>
      [...this.data.factors].reverse().slice(0, -1).map((factor) => factor.matrix(row)),
    );
  }

  update() {
    if (!this.fits) return;
    const { row, choice, entry } = this.turn;
    const jacobians = this.jacobians(row);
    const flow = this.flowOf(jacobians, row, choice, entry);
    byId("neurons-plot").replaceChildren(this.draw(jacobians, flow, row));
    this.tell(jacobians, flow, row, choice);
  }

  ofRow({ value, size }, arrays, row) {
    return arrays[value].subarray(row * size, (row + 1) * size);
  }

  // How each node moves with the number: by the explicit Jacobians, from its own link on.
  flowOf(jacobians, row, choice, entry) {
    const first = choice.link;
    const start = new Float64Array(this.data.links[first].size);
    if (choice.parameter) {
      const path = this.data.paths.find(({ name }) => name === choice.parameter);
      path.factor.matrix(row).forEach((line, i) => { start[i] = line[entry]; });
    } else {
      start[entry] = 1;
    }
    const moves = [start];
    for (const jacobian of jacobians.slice(first)) {
      const before = moves.at(-1);
      moves.push(Float64Array.from(jacobian, (line) => line.reduce((sum, slope, i) => sum + slope * before[i], 0)));
    }
    return { first, moves };
  }

  // The part of the gradient that goes from node i of a link to node j of the next one.
  through(jacobians, { first, moves }, link, i, j, row) {
    if (link < first) return 0;
    const back = this.ofRow(this.data.links[link + 1], this.model.network.gradients, row);
    return moves[link - first][i] * jacobians[link][j][i] * back[j];
  }

  draw(jacobians, flow, row) {
    const { links } = this.data;
    const { network } = this.model;
    const most = Math.max(...links.map(({ size }) => size));
    const height = NEURONS.top + NEURONS.step * most + 10;
    const width = 2 * NEURONS.side + NEURONS.between * links.length;
    const x = (link) => NEURONS.side + NEURONS.between * link;
    const y = (size, i) => NEURONS.top + NEURONS.step * (i + 0.5 + (most - size) / 2);
    const coloured = byId("colour").value === "value" ? network.values : network.gradients;
    const svg = drawn("svg", {
      viewBox: `0 0 ${width} ${height}`, style: `max-width: ${width}px`, class: "neurons", role: "img", "aria-labelledby": "neurons-told",
    });
    jacobians.forEach((jacobian, link) => {
      const [from, to] = [links[link], links[link + 1]];
      svg.append(...this.edges(jacobians, flow, row, link, (i) => y(from.size, i), (j) => y(to.size, j), x(link), x(link + 1)));
    });
    const last = links.at(-1);
    for (let i = 0; i < last.size; i += 1) {
      svg.append(drawn("path", { class: "edge", d: `M${x(links.length - 1)} ${y(last.size, i)}L${x(links.length)} ${y(1, 0)}` }));
    }
    links.forEach((link, position) => {
      const numbers = this.ofRow(link, coloured, row);
      const largest = numbers.reduce((size, value) => Math.max(size, Math.abs(value)), 0);
      svg.append(drawn("text", { x: x(position), y: 16, "text-anchor": "middle" }, link.symbol.slice(0, 12)));
      numbers.forEach((value, i) => svg.append(...this.node(x(position), y(link.size, i), value, largest)));
    });
    svg.append(drawn("text", { x: x(links.length), y: y(1, 0) + 5, "text-anchor": "middle", class: "loss" }, "L"));
    return svg;
  }

  edges(jacobians, flow, row, link, yFrom, yTo, xFrom, xTo) {
    const parts = jacobians[link].flatMap((line, j) =>
      [...line].map((slope, i) => ({ i, j, slope, part: this.through(jacobians, flow, link, i, j, row) })),
    );
    const largest = Math.max(...parts.map(({ part }) => Math.abs(part)));
    return parts.map(({ i, j, slope, part }) => {
      const share = largest > 0 ? Math.abs(part) / largest : 0;
      const kind = part === 0 ? "" : part < 0 ? "negative" : "positive";
      const edge = drawn("path", { class: `edge ${kind}`, d: `M${xFrom} ${yFrom(i)}L${xTo} ${yTo(j)}` });
      edge.style.setProperty("--share", share.toFixed(3));
      edge.append(drawn("title", {}, `slope ${number(slope, 3)}, passes ${number(part, 3)}`));
      return edge;
    });
  }

  node(x, y, value, largest) {
    const circle = drawn("circle", { class: "cell node", cx: x, cy: y, r: NEURONS.radius });
    paint(circle, value, largest);
    return [circle, drawn("text", { class: "node-number", x, y: y + 24, "text-anchor": "middle" }, number(value, 2))];
  }

  tell(jacobians, flow, row, choice) {
    const { links, loss } = this.data;
    const back = this.ofRow(links[flow.first], this.model.network.gradients, row);
    const total = flow.moves[0].reduce((sum, move, i) => sum + move * back[i], 0);
    const name = this.turn.name;
    const whole = choice.parameter && loss.rows > 1 ? ` in row ${row}; all rows add up to ${number(this.turn.slopeOf(this.turn.entry))}` : "";
    byId("neurons-told").textContent = `Lit: the paths from ${name} to the loss, as thick as what they contribute. Together: ${signed(total)}${whole}.`;
    const paths = this.paths(jacobians, flow, row);
    const shown = paths.slice(0, MOST_PATHS);
    const others = paths.slice(MOST_PATHS).reduce((sum, { part }) => sum + part, 0);
    byId("neurons-paths").replaceChildren(
      ...shown.map(({ nodes, part }) => element("li", {}, `${[name, ...nodes, "L"].join(" → ")}: ${signed(part)}`)),
      ...(paths.length > MOST_PATHS ? [element("li", {}, `${plural(paths.length - MOST_PATHS, "other path")}: ${signed(others)}`)] : []),
    );
  }

  // All paths on which something passes, with what they contribute, the largest first.
  paths(jacobians, { first, moves }, row) {
    const { links } = this.data;
    const last = links.length - 1;
    const atEnd = this.ofRow(links[last], this.model.network.gradients, row);
    const node = (link, i) => `${links[link].symbol}[${i}]`;
    const begins = [...moves[0]].map((part, i) => ({ i, part, nodes: first === this.turn.choice.link && !this.turn.choice.parameter ? [] : [node(first, i)] }));
    let paths = begins.filter(({ part }) => part !== 0);
    for (let link = first; link < last; link += 1) {
      paths = paths.flatMap(({ i, part, nodes }) =>
        jacobians[link].map((line, j) => ({ i: j, part: part * line[i], nodes: [...nodes, node(link + 1, j)] })),
      ).filter(({ part }) => part !== 0);
      if (paths.length > MOST_WALKED) return [];
    }
    return paths
      .map(({ i, part, nodes }) => ({ nodes, part: part * atEnd[i] }))
      .sort((a, b) => Math.abs(b.part) - Math.abs(a.part));
  }
}

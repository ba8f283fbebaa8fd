// A network with branches as a graph, from the top down: boxes, and lines from each to those that take
// its value, as thick as the gradient that comes back to the upper one.

const GRAPH = { width: 170, narrowest: 108, height: 76, gap: 30, down: 124, margin: 60, letter: 6.5 };

// The distance of each link from the input, in links; the loss's is last.
function levelsOf(links) {
  const levels = [];
  links.forEach(({ inputs }) => levels.push(inputs.length ? 1 + Math.max(...inputs.map((i) => levels[i])) : 0));
  return [...levels, 1 + Math.max(...levels)];
}

function placesOf(data) {
  const levels = levelsOf(data.links);
  const wide = Math.max(...levels.map((level) => levels.filter((other) => other === level).length));
  // Boxes are narrower where the screen is, so that their text stays legible.
  const available = byId("graph").clientWidth;
  const fitting = (available - GRAPH.margin) / wide - GRAPH.gap / 3;
  const isNarrow = fitting < GRAPH.width + GRAPH.gap;
  const [margin, gap] = isNarrow ? [GRAPH.margin / 2, GRAPH.gap / 3] : [GRAPH.margin, GRAPH.gap];
  const box = Math.max(GRAPH.narrowest, Math.min(GRAPH.width, fitting));
  const across = box + gap;
  const seen = new Map();
  const places = levels.map((level) => {
    const [position, size] = [seen.get(level) ?? 0, levels.filter((other) => other === level).length];
    seen.set(level, position + 1);
    return { x: margin + across * (position + (wide - size) / 2), y: GRAPH.down * level, level, box };
  });
  const width = 2 * margin + across * wide;
  return { places, width, height: GRAPH.down * Math.max(...levels) + GRAPH.height + 4 };
}

function drawGraph(data, choose) {
  byId("chain").classList.add("as-list");
  const chosen = data.links.map((_, position) => choices(data, position)).filter((own) => own.children.length);
  byId("chain").append(...chosen.map((own) => element("li", {}, own)));
  byId("chain").setAttribute("aria-label", "The input and the parameters");
  byId("chain").addEventListener("change", (event) => choose(Number(event.target.value)));
  updateGraph(data);
}

// These links, and all that depend on one of them.
function reachedFrom(data, places) {
  const reached = new Set(places);
  data.links.forEach(({ inputs }, i) => {
    if (inputs.some((input) => reached.has(input))) reached.add(i);
  });
  return reached;
}

function updateGraph(data, path = null) {
  const { places, width, height } = placesOf(data);
  const { shares } = sharesOf(data.links.map((link) => link.gradient));
  const lit = path ? reachedFrom(data, path.places) : new Set();
  const edges = data.links.flatMap(({ inputs }, to) => inputs.map((from) => [from, to]));
  edges.push(...data.outputs.map((from) => [from, data.links.length]));
  const svg = drawn(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, style: `max-width: ${width}px`, class: "graph", role: "img", "aria-label": graphInWords(data) },
    ...edges.map(([from, to]) => graphEdge(places, from, to, shares[from], lit.has(from))),
    ...data.links.map((link, i) => graphBox(places[i], lit.has(i), link.symbol, shortened(link.layers, places[i].box / GRAPH.letter), `‖${link.symbol}‖ ${number(link.norm, 3)}`, `‖∂L/∂${link.symbol}‖ ${number(link.gradient, 3)}`)),
    graphBox(places.at(-1), lit.size > 0, "L", data.loss.name, number(data.loss.value), ""),
  );
  byId("graph").replaceChildren(svg);
}

const shortened = (texts, most) => {
  const text = texts.join(", ");
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
};

function graphEdge(places, from, to, share, lit) {
  const [start, end] = [places[from], places[to]];
  const [x1, y1, x2, y2] = [start.x + start.box / 2, start.y + GRAPH.height, end.x + end.box / 2, end.y];
  // A line that passes other boxes keeps to the side.
  const passes = end.level - start.level > 1;
  const side = passes ? start.x - GRAPH.margin / 2 : 0;
  const d = passes
    ? `M${start.x} ${y1 - 20}C${side} ${y1},${side} ${y2},${end.x} ${y2 + 20}`
    : `M${x1} ${y1}C${x1} ${(y1 + y2) / 2},${x2} ${(y1 + y2) / 2},${x2} ${y2}`;
  const line = drawn("path", { class: lit ? "lit" : "", d });
  line.style.setProperty("--share", share.toFixed(3));
  return line;
}

function graphBox({ x, y, box }, lit, symbol, layers, ...figures) {
  const text = (dy, content, kind) => drawn("text", { x: x + box / 2, y: y + dy, "text-anchor": "middle", class: kind }, content);
  return drawn(
    "g",
    { class: lit ? "lit" : "" },
    drawn("rect", { x, y, width: box, height: GRAPH.height, rx: 4 }),
    text(20, symbol.length > 16 ? `${symbol.slice(0, 15)}…` : symbol, "symbol"),
    text(36, layers, "layers"),
    text(53, figures[0], "value"),
    text(69, figures[1], "derivative"),
  );
}

function graphInWords(data) {
  const taken = data.links
    .filter(({ inputs }) => inputs.length)
    .map(({ symbol, inputs }) => `${symbol} of ${inputs.map((i) => data.links[i].symbol).join(" and ")}`);
  return `The links: ${taken.join("; ")}; the loss of ${data.outputs.map((i) => data.links[i].symbol).join(" and ")}.`;
}

// The chain rule for a path: a product, and the sums over paths that its factors are.
function showEquations(data, path) {
  byId("equations-title").textContent = `The chain rule for ${path.symbol}`;
  byId("equations").replaceChildren(...path.equations.map((line) => element("p", { class: "equation" }, line)));
  byId("equations-proof").textContent = path.proof;
  const passed = passedBy(data, path).map((i) => data.links[i].symbol);
  byId("route").textContent = `All paths go through: ${["L", ...passed].join(" ← ")} ← ${path.factor ? path.symbol : ""}`.replace(/ ← $/, "");
}

// The product of one path: its equation, whose factors can be opened, and its table.

// The links that all ways of a path to the loss go through, from the loss on.
function passedBy(data, path) {
  const passed = [];
  for (let i = path.start; i !== null; i = data.links[i].next) passed.unshift(i);
  return passed;
}

// The path's factors: one by each of these links, which other paths share, and its own.
function factorsOf(data, path) {
  const shared = passedBy(data, path).map((i) => data.factors[i]);
  return path.factor ? [...shared, path.factor] : shared;
}

// After each factor: what the product is the derivative by, and its norm.
function productsOf(data, path) {
  const factors = factorsOf(data, path);
  const norms = passedBy(data, path).map((i) => data.links[i].gradient);
  return factors.map((factor, i) => ({
    by: factor.by,
    norm: i === factors.length - 1 ? path.norm : norms[i],
  }));
}

function showProduct(data, path, opened) {
  const result = { of: "L", by: path.symbol };
  const factors = factorsOf(data, path);
  const buttons = factors.map((factor, i) => factorButton(factor, i + 1, opened));
  byId("product-title").textContent = `The product for ${path.symbol}`;
  byId("product").replaceChildren(
    factorButton(result, 0, opened),
    sign("="),
    ...buttons.flatMap((button, i) => (i ? [sign("·"), button] : [button])),
  );
  updateProduct(data, path);
  byId("unbuilt").hidden = factors.every((factor) => factor.built);
}

function updateProduct(data, path) {
  byId("factors").replaceChildren(...tableRows(factorsOf(data, path), productsOf(data, path)));
}

function factorButton(factor, place, opened) {
  const button = element(
    "button",
    {
      type: "button",
      class: "factor",
      "aria-expanded": "false",
      "aria-controls": "opened",
      "aria-label": `${derivative(factor.of, factor.by)}, its numbers`,
    },
    fraction(factor.of, factor.by),
  );
  button.addEventListener("click", () => {
    const open = opened.toggle(place);
    button.setAttribute("aria-expanded", String(open));
  });
  return button;
}

function tableRows(factors, products) {
  return factors.map((factor, i) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, derivative(factor.of, factor.by)),
      element("td", {}, sizes(factor.shape)),
      element("td", {}, number(factor.norm)),
      element("td", {}, derivative("L", products[i].by)),
      element("td", {}, number(products[i].norm)),
    ),
  );
}

// The factors that are open, as panels in the order of the equation: 0 is the product, 1 the first
// factor. Panels that stay are left alone, so that what was opened in them stays open.
class Opened {
  // A number that is clicked at is given to `chosen`: the symbol of its array, row and entry.
  constructor(data, chosen) {
    this.data = data;
    this.chosen = data.network ? chosen : null;
    this.panels = new Map();
    this.row = 0;
  }

  show(path) {
    this.path = path;
    this.panels.clear();
    byId("opened").replaceChildren();
  }

  toggle(place) {
    const { panels } = this;
    if (panels.has(place)) {
      panels.get(place).remove();
      panels.delete(place);
      return false;
    }
    const following = Math.min(...[...panels.keys()].filter((other) => other > place));
    panels.set(place, this.panel(place));
    byId("opened").insertBefore(panels.get(place), panels.get(following) ?? null);
    return true;
  }

  chooseRow(row) {
    this.row = row;
    this.update();
  }

  update() {
    for (const [place, old] of this.panels) {
      const panel = this.panel(place);
      if (old.querySelector("details")?.open) panel.querySelector("details").open = true;
      old.replaceWith(panel);
      this.panels.set(place, panel);
    }
  }

  panel(place) {
    const { data, path, row, chosen } = this;
    if (place === 0) return resultPanel(data, path, chosen);
    const factor = factorsOf(data, path)[place - 1];
    return factorPanel(data, factor, row, chosen && ((_, entry) => chosen(factor.by, row, entry)));
  }
}

function panel(title, text, ...content) {
  return element(
    "section",
    { class: "panel" },
    element("h3", {}, title),
    element("p", {}, text),
    ...content,
  );
}

function factorPanel(data, factor, row, chosen) {
  const title = derivative(factor.of, factor.by);
  const size = sizesInEachRow(factor.shape, data.loss.rows);
  if (!factor.built) {
    const limit = count(data.limits.elements);
    return panel(title, `${size}: too large to show. Over all rows it has more than ${limit} elements (max_elements), and was not built.`);
  }
  const labels = { columns: `the entries of ${factor.by}`, names: namesOf(data, factor.by), chosen };
  if (factor.shape[0] > 1) labels.rows = `the entries of ${factor.of}`;
  const where = data.loss.rows === 1 ? "" : ` in row ${row}; ${number(factor.norm)} over all rows`;
  const text = `${size}; norm ${number(factor.normIn(row))}${where}.`;
  return panel(title, text, heatMap(factor.map(row), labels));
}

// The names of the input's columns.
const namesOf = (data, symbol) => (symbol === data.links[0].symbol ? data.columns : null);

function resultLabels(data, { symbol, shape, factor }) {
  if (!factor) return { rows: "the rows of the batch", columns: `the entries of ${symbol}`, names: data.columns };
  if (shape.length < 2) return { columns: `the entries of ${symbol}` };
  return { rows: `the rows of ${symbol}`, columns: "its columns" };
}

function resultPanel(data, path, chosen) {
  const title = derivative("L", path.symbol);
  const columns = path.shape.at(-1) ?? 1;
  const labels = {
    ...resultLabels(data, path),
    chosen: chosen && ((i, j) => (path.factor ? chosen(path.symbol, null, i * columns + j) : chosen(path.symbol, i, j))),
  };
  const sum = path.factor && data.loss.rows > 1 ? ", all rows of the batch added up" : "";
  const text = `${sizes(path.shape)}${sum}; norm ${number(path.norm)}.`;
  return panel(title, text, heatMap(path.map, labels));
}

// The product in numbers: the factors as matrices in one row, and under each the product so far. A
// number of a product is a sum: the row before it, times a column of its factor.

const MOST_IN_ROW = { rows: 16, columns: 24 };
const MOST_TERMS = 8; // of a sum that are written out

class Matrices {
  constructor(data) {
    Object.assign(this, { data, row: 0 });
    const place = byId("matrices");
    const explain = ({ target }) => {
      if (target.dataset.column) this.explain(Number(target.dataset.factor), Number(target.dataset.column));
    };
    for (const event of ["pointerover", "focusin", "click"]) place.addEventListener(event, explain);
    place.addEventListener("keydown", (event) => this.move(event));
  }

  show(path) {
    this.path = path;
    this.factors = factorsOf(this.data, path);
    this.update();
  }

  chooseRow(row) {
    this.row = row;
    this.update();
  }

  update() {
    const fits = ({ built, shape: [rows, columns] }) =>
      built && rows <= MOST_IN_ROW.rows && columns <= MOST_IN_ROW.columns;
    const shown = this.factors.every(fits);
    byId("in-numbers").hidden = !shown;
    byId("sum").textContent = "";
    if (!shown) return;
    this.matrices = this.factors.map((factor) => factor.matrix(this.row));
    this.products = [];
    for (const matrix of this.matrices) {
      const before = this.products.at(-1);
      this.products.push(before ? vectorTimesMatrix(before, matrix) : matrix[0]);
    }
    byId("matrices").replaceChildren(...this.factors.map((factor, k) => this.term(factor, k)));
    byId("matrices-about").textContent = this.about();
    byId("matrices").querySelector("button").tabIndex = 0;
  }

  about() {
    const sum = this.path.factor ? "; the gradient adds up all rows" : "";
    return this.data.loss.rows === 1 ? "" : `In row ${this.row} of the batch${sum}.`;
  }

  term(factor, k) {
    const columns = { style: `--width: ${factor.shape[1]}` };
    const largest = (numbers) => numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const entries = this.matrices[k].flatMap((row) => [...row]);
    const cells = entries.map((value, i) => {
      const cell = element("span", { class: "cell-number", "data-in-column": i % factor.shape[1] }, number(value, 2));
      paint(cell, value, largest(entries));
      return cell;
    });
    const product = [...this.products[k]].map((value, j) => {
      const label = `Entry ${namesOf(this.data, factor.by)?.[j] ?? j} of ${derivative("L", factor.by)}: ${number(value, 3)}`;
      const button = element(
        "button",
        { type: "button", class: "cell-number", "data-factor": k, "data-column": j, tabindex: -1, "aria-label": label },
        number(value, 2),
      );
      paint(button, value, largest(this.products[k]));
      return button;
    });
    return element(
      "div",
      { class: "term" },
      element("p", { class: "equation" }, k ? sign("·") : "", fraction(factor.of, factor.by)),
      element("div", { class: "grid factor-grid", role: "img", "aria-label": this.inWords(factor), ...columns }, ...cells),
      element("p", { class: "note" }, k ? `so far ${derivative("L", factor.by)}` : "the first factor"),
      element("div", { class: "grid product-grid", ...columns }, ...product),
    );
  }

  // A matrix that is too wide for the screen is scrolled, and so gets the focus.
  inWords({ of, by, shape }) {
    return `${derivative(of, by)}, ${sizes(shape)}; its numbers are in a table where it is opened`;
  }

  // Write a number of a product out as the sum that it is, and light up what it is made of.
  explain(k, column) {
    const terms = [...byId("matrices").children];
    byId("matrices").querySelectorAll(".lit-cell").forEach((cell) => cell.classList.remove("lit-cell"));
    const light = (cells) => cells.forEach((cell) => cell.classList.add("lit-cell"));
    light([terms[k].querySelector(`[data-column="${column}"]`)]);
    light(terms[k].querySelectorAll(`[data-in-column="${column}"]`));
    const { by } = this.factors[k];
    const name = `${derivative("L", by)}[${namesOf(this.data, by)?.[column] ?? column}]`;
    const value = number(this.products[k][column], 3);
    if (k === 0) {
      byId("sum").textContent = `${name} = ${value}: the loss's own derivative.`;
      return;
    }
    light(terms[k - 1].querySelectorAll("button"));
    const parts = this.matrices[k].map((row, i) => [this.products[k - 1][i], row[column]]);
    const written = parts.slice(0, MOST_TERMS).map(([a, b]) => `${inBrackets(a)} · ${inBrackets(b)}`);
    if (parts.length > MOST_TERMS) written.push("…");
    byId("sum").textContent = `${name} = ${written.join(" + ")} = ${value}`;
  }

  move(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const buttons = [...byId("matrices").querySelectorAll("button")];
    const next = buttons[buttons.indexOf(event.target) + by];
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}

const inBrackets = (value) => (value < 0 ? `(${number(value, 3)})` : number(value, 3));

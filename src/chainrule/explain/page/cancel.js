// The fraction, cancelled term by term from the left.

class Cancellation {
  constructor(data) {
    this.data = data;
    byId("cancel").addEventListener("click", () => this.step());
  }

  show(path) {
    this.path = path;
    this.factors = factorsOf(this.data, path);
    byId("cancel-status").textContent = "";
    this.restart();
  }

  // Write the same lines for other numbers.
  update() {
    [...byId("derivation").children].forEach((line, done) => {
      line.querySelector(".note").textContent = this.note(done);
    });
    this.finish();
  }

  restart() {
    this.done = 0;
    byId("derivation").replaceChildren(this.line());
    this.finish();
  }

  // Cancel one more term; after the last one, begin again.
  step() {
    if (this.isDone()) {
      this.restart();
      byId("cancel-status").textContent = `Again: ${this.format()}`;
      return;
    }
    strike(byId("derivation").lastElementChild);
    this.done += 1;
    byId("derivation").append(this.line());
    byId("cancel-status").textContent = `${this.format()}. ${this.note()}`;
    this.finish();
  }

  isDone() {
    return this.done === this.factors.length - 1;
  }

  // What is left: the merged factor, and those to the right of it.
  left() {
    const merged = { of: "L", by: this.factors[this.done].by };
    return [merged, ...this.factors.slice(this.done + 1)];
  }

  format() {
    const product = this.left().map((factor) => derivative(factor.of, factor.by));
    return `${derivative("L", this.path.symbol)} = ${product.join(" · ")}`;
  }

  note(done = this.done) {
    const gone = done ? `∂${this.factors[done - 1].by} cancels. ` : "";
    return gone + this.size(done);
  }

  size(done) {
    const { path, data } = this;
    const { by } = this.factors[done];
    const isLast = done === this.factors.length - 1;
    const norm = isLast && path.factor ? path.merged : data.links[passedBy(data, path)[done]].gradient;
    if (norm === null) {
      return `${derivative("L", by)}: not built for each row; the rows added up are ${sizes(path.shape)}, norm ${number(path.norm)}`;
    }
    const size = sizesInEachRow([1, this.factors[done].shape[1]], data.loss.rows);
    return `${derivative("L", by)}: ${size}, norm ${number(norm)}`;
  }

  line() {
    const product = this.left().flatMap((factor, i) => {
      const term = fraction(factor.of, factor.by);
      return i ? [sign("·"), term] : [term];
    });
    return element(
      "li",
      {},
      element("div", { class: "equation" }, fraction("L", this.path.symbol), sign("="), ...product),
      element("p", { class: "note" }, this.note()),
    );
  }

  finish() {
    const end = this.isDone();
    const next = end ? "Start again" : `Cancel ∂${this.factors[this.done].by}`;
    byId("cancel").textContent = next;
    byId("cancel").hidden = this.factors.length === 1;
    byId("proof").hidden = !end;
    if (end) this.prove();
  }

  prove() {
    const { path, data } = this;
    byId("proof-text").textContent = path.proof;
    const sum = path.factor && data.loss.rows > 1 ? ", its rows added up" : "";
    byId("proof-figures").replaceChildren(
      ...pair(`norm of the product${sum}`, number(path.norm)),
      ...pair("largest difference from the engine's gradient, of the network as it came", number(path.difference)),
      ...pair("in units of the last place", number(path.ulp)),
      ...(data.network ? pair("largest difference of the factors, multiplied in this page, from its backward pass", number(path.apart)) : []),
    );
  }
}

const pair = (term, value) => [element("dt", {}, term), element("dd", {}, value)];

// Strike what cancels: the first factor's denominator and the second one's numerator.
function strike(line) {
  const [, first, second] = line.querySelectorAll(".fraction");
  first.querySelector(".denominator").classList.add("gone");
  second.querySelector(".numerator").classList.add("gone");
}

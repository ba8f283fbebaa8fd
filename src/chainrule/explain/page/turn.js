// One number is turned, and what follows from it: link by link, and in the loss.

const TURNS = 40; // places of the slider to each side
const MOST_CHANGES = 3; // entries of a link that are named
const MOST_ENTRIES = 192; // that are offered as buttons
const MOST_SIDE = 12;

class Turn {
  constructor(model, changed) {
    Object.assign(this, { model, changed, row: 0 });
    this.choices = choicesOf(model.data);
    byId("array").append(...this.choices.map(({ symbol }, i) => element("option", { value: i }, symbol)));
    byId("array").addEventListener("change", () => this.chooseArray(Number(byId("array").value)));
    byId("turned").addEventListener("input", () => this.turn());
    byId("turned").addEventListener("change", () => this.finish());
    byId("turn-back").addEventListener("click", () => {
      byId("turned").value = 0;
      this.turn();
      this.finish();
    });
    byId("numbers").addEventListener("click", ({ target }) => {
      if (target.dataset.entry) this.chooseEntry(Number(target.dataset.entry));
    });
    byId("numbers").addEventListener("keydown", (event) => this.move(event));
    byId("entry").addEventListener("change", () => this.chooseEntry(Number(byId("entry").value)));
  }

  show(path) {
    const own = this.choices.findIndex(({ symbol }) => symbol === path.symbol);
    this.chooseArray(Math.max(0, own));
  }

  chooseRow(row) {
    this.row = row;
    this.chooseArray(this.choices.indexOf(this.choice));
  }

  chooseArray(position) {
    this.putBack();
    this.choice = this.choices[position];
    byId("array").value = position;
    const first = new Ingredient(this.model, this.choice, this.row, 0);
    const size = first.numbers.length;
    byId("entry").max = size - 1;
    byId("entry-choice").hidden = size <= MOST_ENTRIES;
    byId("numbers").hidden = size > MOST_ENTRIES;
    byId("numbers").replaceChildren(...(size > MOST_ENTRIES ? [] : this.entryButtons(size)));
    this.chooseEntry(this.steepest(size));
  }

  // A number of the array with this symbol, if it can be turned.
  chooseNumber(symbol, entry) {
    const position = this.choices.findIndex((choice) => choice.symbol === symbol);
    if (position < 0) return;
    this.chooseArray(position);
    this.chooseEntry(entry);
  }

  // The entry of the array with the largest derivative.
  steepest(size) {
    const slopes = Array.from({ length: size }, (_, i) => Math.abs(this.slopeOf(i)));
    return slopes.indexOf(Math.max(...slopes));
  }

  slopeOf(entry) {
    const { network } = this.model;
    const { parameter, value, size } = this.choice;
    return parameter ? network.parameterGradients.views[parameter][entry] : network.gradients[value][this.row * size + entry];
  }

  entryButtons(size) {
    const width = Math.min(MOST_SIDE, this.choice.shape.at(-1) ?? 1);
    byId("numbers").style.setProperty("--width", width);
    this.width = width;
    return Array.from({ length: size }, (_, i) =>
      element("button", { type: "button", "data-entry": i, tabindex: -1, "aria-pressed": "false" }),
    );
  }

  // Arrow keys go from entry to entry.
  move(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.width, ArrowDown: this.width }[event.key];
    const next = this.entry + by;
    if (!byId("numbers").children[next]) return;
    event.preventDefault();
    this.chooseEntry(next);
    byId("numbers").children[next].focus();
  }

  // The same entry, in a network with other numbers.
  chooseAgain() {
    this.chooseEntry(this.entry);
  }

  putBack() {
    this.ingredient?.putBack();
    this.ingredient = null;
    this.enable(false);
  }

  enable(isOn) {
    byId("turned").disabled = byId("turn-back").disabled = !isOn;
  }

  chooseEntry(entry) {
    this.putBack();
    this.entry = entry;
    this.enable(true);
    this.ingredient = new Ingredient(this.model, this.choice, this.row, entry);
    const { span, start, slope, loss, name } = this.ingredient;
    this.step = span / TURNS;
    byId("turned").value = 0;
    byId("entry").value = entry;
    byId("turn-name").textContent = name;
    byId("turn-slope").textContent = `∂L/∂${name} = ${number(slope)}, where it is as it was`;
    const places = Array.from({ length: 2 * TURNS + 1 }, (_, i) => start + (i - TURNS) * this.step);
    const real = { name: "real", points: this.ingredient.lossesAt(places) };
    const predicted = { name: "predicted", points: places.map((value) => [value, this.ingredient.predicted(value)]) };
    this.plot = new Plot({
      lines: [{ name: "axis zero", points: [[start, 0], [start, loss]] }, predicted, real],
      scaled: [real],
      labels: { x: "the number", y: "L" },
      title: `The loss over ${name}, from ${number(real.points[0][1])} at ${number(places[0])} over ${number(loss)} as it is to ${number(real.points.at(-1)[1])} at ${number(places.at(-1))}; the tangent has the slope ${number(slope)}.`,
    });
    byId("turn-plot").replaceChildren(this.plot.svg);
    this.turn();
    this.finish();
  }

  turn() {
    const { ingredient } = this;
    const value = ingredient.start + Number(byId("turned").value) * this.step;
    if (value !== ingredient.numbers[ingredient.entry]) ingredient.turnTo(value);
    const [before, after] = [ingredient.loss, this.model.network.loss];
    const text = `${number(ingredient.start)} → ${number(value)}`;
    byId("turned").setAttribute("aria-valuetext", number(value));
    byId("turned-text").textContent = text;
    byId("turn-predicted").textContent = signed(ingredient.predicted(value) - before);
    byId("turn-real").textContent = signed(after - before);
    byId("turn-gap").textContent = signed(after - ingredient.predicted(value));
    byId("turn-before").textContent = number(before);
    byId("turn-after").textContent = number(after);
    this.plot.mark("predicted", value, ingredient.predicted(value));
    this.plot.mark("real", value, after);
    byId("ripple").replaceChildren(...this.ripple(value));
    this.paintEntries();
    this.changed(false);
  }

  get name() {
    return this.ingredient.name;
  }

  // What takes longer is shown when the slider rests.
  finish() {
    byId("turn-status").textContent =
      `${this.ingredient.name}: ${byId("turned-text").textContent}. The gradient predicts ${byId("turn-predicted").textContent}, really ${byId("turn-real").textContent}.`;
    this.changed(true);
  }

  paintEntries() {
    const { entry, choice: { names } } = this;
    const { numbers } = this.ingredient;
    const largest = numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    [...byId("numbers").children].forEach((button, i) => {
      button.replaceChildren(...(names ? [element("small", {}, names[i])] : []), number(numbers[i], 3));
      button.setAttribute("aria-pressed", String(i === entry));
      button.tabIndex = i === entry ? 0 : -1;
      button.setAttribute("aria-label", `${nameOf(this.choice, this.row, i)}: ${number(numbers[i], 3)}`);
      button.className = "";
      paint(button, numbers[i], largest);
    });
  }

  // The links that the number acts on, one after the other, then the loss.
  ripple(value) {
    const { ingredient, model, choice } = this;
    const reached = reachedFrom(model.data, choice.places);
    if (!choice.parameter) reached.delete(choice.link);
    const links = model.data.links.filter((_, i) => reached.has(i));
    const first = rippleBox(ingredient.name, [change("", ingredient.start, value)]);
    const boxes = links.map((link) => rippleBox(link.symbol, this.changesOf(link)));
    const loss = rippleBox("L", [change("", ingredient.loss, model.network.loss)]);
    return [first, ...boxes, loss];
  }

  changesOf({ value, size }) {
    const [old, now] = [this.ingredient.before[value], this.model.network.values[value]].map((all) =>
      all.subarray(this.row * size, (this.row + 1) * size),
    );
    const order = [...now.keys()].sort((a, b) => Math.abs(now[b] - old[b]) - Math.abs(now[a] - old[a]));
    const moved = order.filter((i) => now[i] !== old[i]);
    const lines = moved.slice(0, MOST_CHANGES).map((i) => change(`[${i}] `, old[i], now[i]));
    const others = moved.length - lines.length;
    if (others > 0) lines.push(element("span", { class: "size" }, `and ${others} more`));
    return lines.length ? lines : [element("span", { class: "size" }, "as before")];
  }
}

const rippleBox = (symbol, lines) =>
  element("li", { class: "box" }, element("span", { class: "symbol" }, symbol), ...lines);

const change = (place, before, after) =>
  element("span", { class: "layers" }, `${place}${number(before, 3)} → `, element("b", {}, number(after, 3)));

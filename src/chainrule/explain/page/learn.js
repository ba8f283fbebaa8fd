// The network learns in the page: gradient descent on the batch that it came with.

const MOST_POINTS = 1000; // of the loss curve
const RATES = { least: -4, most: 1, steps: 50 }; // powers of ten, over the slider

class Learn {
  // A number that is turned goes back before steps, and is chosen again after them. Choosing one
  // pauses the play.
  constructor(model, turn, changed) {
    Object.assign(this, { model, turn, changed });
    this.start = model.network.parameters.all.slice();
    const rules = Object.entries(OPERATIONS).filter(([, { update }]) => update).reverse();
    byId("optimizer").append(...rules.map(([name, { label }]) => element("option", { value: name }, label)));
    byId("rate").max = RATES.steps;
    byId("rate").addEventListener("input", () => this.showRate());
    byId("optimizer").addEventListener("change", () => {
      this.optimizer = null; // with nothing remembered
      byId("rate").value = this.usualRate();
      this.showRate();
    });
    byId("one-step").addEventListener("click", () => this.take(1));
    byId("ten-steps").addEventListener("click", () => this.take(10));
    byId("play").addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    byId("restart").addEventListener("click", () => this.restart());
    byId("rate").value = this.usualRate();
    this.showRate();
    this.forget();
    this.draw();
  }

  get rate() {
    const { least, most, steps } = RATES;
    const power = least + ((most - least) * Number(byId("rate").value)) / steps;
    return Number((10 ** power).toPrecision(2));
  }

  // The slider's position.
  usualRate() {
    const power = Math.log10(OPERATIONS[byId("optimizer").value].usualRate);
    return Math.round((RATES.steps * (power - RATES.least)) / (RATES.most - RATES.least));
  }

  showRate() {
    byId("rate-text").textContent = number(this.rate);
    byId("rate").setAttribute("aria-valuetext", number(this.rate));
  }

  forget() {
    this.optimizer = null;
    this.steps = 0;
    this.losses = [[0, this.model.network.loss]];
  }

  take(steps) {
    this.turn.putBack();
    for (let i = 0; i < steps && this.canGoOn(); i += 1) this.step();
    this.rest();
  }

  canGoOn() {
    return Number.isFinite(this.model.network.loss);
  }

  step() {
    const { model } = this;
    this.optimizer ??= new Optimizer(byId("optimizer").value, model.network);
    this.optimizer.update(this.rate);
    model.update();
    this.steps += 1;
    this.losses.push([this.steps, model.network.loss]);
    if (this.losses.length > MOST_POINTS) this.losses = this.losses.filter((_, i) => i % 2 === 0);
  }

  play() {
    this.turn.putBack();
    this.playing = true;
    byId("play").textContent = "Pause";
    const frame = () => {
      if (!this.playing) return;
      if (this.turn.ingredient) { // chosen meanwhile, among the present numbers
        this.pause();
        return;
      }
      this.step();
      this.draw();
      this.changed(false);
      if (this.canGoOn()) requestAnimationFrame(frame);
      else this.pause();
    };
    requestAnimationFrame(frame);
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    byId("play").textContent = "Play";
    this.rest();
  }

  restart() {
    this.playing = false;
    byId("play").textContent = "Play";
    this.turn.putBack();
    this.model.network.parameters.all.set(this.start);
    this.model.update();
    this.forget();
    this.rest();
  }

  // Show what takes longer, once no step follows.
  rest() {
    this.draw();
    this.turn.chooseAgain();
    const { loss } = this.model.network;
    byId("learn-status").textContent = this.canGoOn()
      ? `After ${plural(this.steps, "step")}, L = ${number(loss)}.`
      : "The loss is not finite: the learning rate is too large. Go back to the start.";
  }

  draw() {
    const { loss } = this.model.network;
    const first = this.losses[0][1];
    byId("learn-text").textContent = `${plural(this.steps, "step")}: L = ${number(loss)}`;
    const points = this.losses.length > 1 ? this.losses : [...this.losses, [10, first]].slice(0, 2);
    const line = { name: "real", points: this.losses };
    const plot = new Plot({
      lines: [line],
      scaled: [{ points }],
      labels: { x: "steps", y: "L" },
      title: `The loss over the steps: ${number(first)} at the start, ${number(loss)} after ${plural(this.steps, "step")}.`,
    });
    plot.mark("real", this.steps, loss);
    byId("learn-plot").replaceChildren(plot.svg);
  }
}

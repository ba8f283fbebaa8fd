// The page as a story, for a reader who knows no calculus: cause and effect, then the symbols. Each
// step has a place on the page, and may use what stands there.

function storyOf(data) {
  const [first, second] = data.links;
  const last = data.links.at(-1);
  const weight = data.paths[Math.min(1, data.paths.length - 1)];
  const between = data.links.slice(2, -1).length ? ", and so on" : "";
  return [
    {
      at: "story",
      title: "Cause and effect",
      text: () => "A bakery has a dial on its oven. What does one step of the dial do to the sales? The oven knows nothing of customers: the effect goes through a chain of causes.",
    },
    {
      at: "story",
      title: "Each link is simple",
      text: () => "One step of the dial makes the oven 8 degrees hotter. For each degree, the crust gets half a shade darker. For each shade, three more customers take a loaf home.",
    },
    {
      at: "story",
      title: "Multiply",
      text: () => "8 degrees a step, times half a shade a degree, times three loaves a shade: 12 loaves a step. Degrees and shades have cancelled, and nobody had to try it. This is the chain rule.",
    },
    {
      at: "chain",
      title: "A network is such a chain",
      text: () => `It begins with ${first.symbol}, ${plural(first.size, "number")}. These make ${second.symbol}${between}, these make the result, ${last.symbol}, and L says how wrong that is: ${number(data.loss.value)}.`,
    },
    {
      at: "turn",
      title: "The dials",
      text: () => `The dials are the weights: here are those of ${weight.symbol}. One of them is chosen, and the slider turns it.`,
      act: () => byId("chain").querySelector(`input[value="${data.paths.indexOf(weight)}"]`).click(),
    },
    {
      at: "ripple",
      title: "One cause, many effects",
      text: () => `It has been turned: ${byId("turned-text").textContent}. Follow the boxes: each link changes because the one before it has, and in the end L goes from ${byId("turn-before").textContent} to ${byId("turn-after").textContent}.`,
      act: () => slideTo(12),
    },
    {
      at: "turn-plot",
      title: "Loaves a step",
      text: () => `The line shows L for every place of the slider. The dashed one is a prediction: so much of L for each step, as if that never changed. Near the beginning the two agree; further away they part: ${byId("turn-predicted").textContent} was predicted, ${byId("turn-real").textContent} it is.`,
    },
    {
      at: "neurons",
      title: "Paths add up",
      text: () => `${byId("turn-name").textContent} acts on L along several paths, as the heat of the oven acts on the crust and on the crumb. Multiply along each path, add over all of them.`,
      act: () => {
        byId("array").value = 0; // the input, which acts on every unit of the next link
        byId("array").dispatchEvent(new Event("change"));
      },
    },
    {
      at: "product",
      title: "The same in symbols",
      text: () => `∂ is a small change, and ∂L/∂${weight.symbol} says how much L changes for a small change of ${weight.symbol}: loaves a step. It is the product of what each link does. Links are several numbers, so each factor is a table of numbers.`,
    },
    {
      at: "derivation",
      title: "What cancels",
      text: () => "As degrees and shades did: what stands below one bar and above the next one cancels. The button goes on until one fraction is left.",
      act: () => byId("cancel").click(),
    },
    {
      at: "why",
      title: "Why from the end",
      text: () => "There are many dials, and one L. Whoever begins at L computes what each link does once, and has the answer for all dials together.",
    },
    {
      at: "learn",
      title: "Learning",
      text: () => `Turn each dial a little, in the direction in which L falls; then again, as every factor has changed. Ten steps are done: L = ${number(data.loss.value)}. Go on with Play.`,
      act: () => byId("ten-steps").click(),
    },
  ];
}

function slideTo(position) {
  const slider = byId("turned");
  slider.value = position;
  for (const event of ["input", "change"]) slider.dispatchEvent(new Event(event));
}

class Story {
  constructor(data) {
    byId("story").hidden = !(data.chain && data.network && data.links.length > 1 && data.paths.length > 1);
    this.steps = storyOf(data).filter(({ at }) => !byId(at).hidden);
    this.position = -1;
    byId("story-begin").addEventListener("click", () => this.go(0));
    byId("story-back").addEventListener("click", () => this.go(this.position - 1));
    byId("story-next").addEventListener("click", () => this.go(this.position + 1));
    byId("story-end").addEventListener("click", () => this.close());
  }

  go(position) {
    this.position = position;
    const { at, title, text, act } = this.steps[position];
    byId("story-begin").hidden = true;
    byId("told").hidden = false;
    act?.();
    byId("story-title").textContent = title;
    byId("story-text").textContent = text();
    byId("story-count").textContent = `${position + 1} of ${this.steps.length}`;
    byId("story-back").disabled = position === 0;
    byId("story-next").disabled = position === this.steps.length - 1;
    if (position === 0) byId("story-next").focus({ preventScroll: true });
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    byId(at).scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  }

  close() {
    byId("told").hidden = true;
    byId("story-begin").hidden = false;
    byId("story-begin").focus();
  }
}

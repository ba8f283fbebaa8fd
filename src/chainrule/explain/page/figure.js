// The chain as a figure: boxes from left to right, arrows both ways, parameters under their box.

function drawChain(data, choose) {
  const items = data.links.map((link, position) => linkItem(data, link, position));
  items.push(lossItem(data));
  byId("chain").append(...items);
  byId("chain").addEventListener("change", (event) => choose(Number(event.target.value)));
  updateChain(data);
}

function linkItem(data, link, position) {
  const box = element(
    "div",
    { class: "box" },
    element("span", { class: "symbol" }, link.symbol),
    ...link.layers.map((layer) => element("span", { class: "layers" }, ...breakable(layer))),
    element("span", { class: "size" }, plural(link.size, "number")),
  );
  return element(
    "li",
    { class: "link" },
    element("div", { class: "tower" }, box, choices(data, position)),
    arrows(data, link, position),
  );
}

function lossItem(data) {
  const box = element(
    "div",
    { class: "box" },
    element("span", { class: "symbol" }, "L"),
    element("span", { class: "layers" }, ...breakable(data.loss.name)),
    element("span", { class: "size" }, number(data.loss.value)),
  );
  return element("li", { class: "link" }, element("div", { class: "tower" }, box));
}

function choices(data, position) {
  const labels = data.paths.flatMap((path, index) => (path.link === position ? [choice(path, index)] : []));
  return element("div", { class: "choices" }, ...labels);
}

function choice(path, index) {
  return element(
    "label",
    {},
    element("input", { type: "radio", name: "path", value: index }),
    element("span", { class: "symbol" }, path.symbol),
    element("span", { class: "size" }, sizes(path.shape)),
  );
}

// Between a link and the next one: the value goes there, and the derivative comes back.
function arrows(data, link, position) {
  const next = data.links[position + 1]?.symbol ?? "L";
  return element(
    "div",
    { class: "arrows" },
    element(
      "div",
      { class: "forward" },
      element("span", { class: "over" }, `‖${link.symbol}‖ `, element("b", {}, number(link.norm))),
      element("span", { class: "line", "aria-hidden": true }),
    ),
    element(
      "div",
      { class: "back" },
      element("span", { class: "over factor" }, derivative(next, link.symbol)),
      element("span", { class: "line", "aria-hidden": true }),
      element("span", { class: "under" }, `‖${derivative("L", link.symbol)}‖ `, element("b", {}, number(link.gradient))),
    ),
  );
}

// Write the figures anew, after the network's numbers have changed.
function updateChain(data) {
  const forward = sharesOf(data.links.map((link) => link.norm / Math.sqrt(link.size))).shares;
  const back = sharesOf(data.links.map((link) => link.gradient)).shares;
  [...byId("chain").children].forEach((item, position) => {
    const link = data.links[position];
    if (!link) {
      item.querySelector(".size").textContent = number(data.loss.value);
      return;
    }
    item.querySelector(".forward b").textContent = number(link.norm);
    item.querySelector(".back b").textContent = number(link.gradient);
    item.style.setProperty("--forward", forward[position].toFixed(3));
    item.style.setProperty("--back", back[position].toFixed(3));
  });
}

// Highlight the path from the loss to the chosen parameter.
function lightUp(data, path) {
  [...byId("chain").children].forEach((item, position) => {
    item.classList.toggle("lit", position >= path.link);
  });
  const passed = data.links.slice(path.link).map((link) => link.symbol).reverse();
  const end = path.factor ? [path.symbol] : [];
  byId("route").textContent = `The path: ${["L", ...passed, ...end].join(" ← ")}`;
}

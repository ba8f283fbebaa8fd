// The page: reads the data, draws the chain, and shows the chosen path.

function introduce(data) {
  const { loss, dtype } = data;
  const over = loss.rows === 1 ? "for one row of data" : `the mean over ${plural(loss.rows, "row")} of data`;
  byId("about").textContent = `L = ${number(loss.value)}: ${loss.text}, ${over}.`;
  byId("turn").hidden = byId("learn").hidden = byId("in-numbers").hidden = !data.network;
  byId("what-if").hidden = Boolean(data.network);
  byId("small-print").textContent =
    `All numbers are those of one network and one batch, computed in float64 layer by layer; the engine's gradients, which they are compared with, in ${dtype}. ` +
    "‖ ‖ is the Frobenius norm, over all rows of the batch. Rows and entries are counted from 0. Numbers are rounded to four digits, in matrices to three.";
}

function offerRows(data, views) {
  const { rows } = data.limits;
  const select = byId("row");
  for (let row = 0; row < rows; row += 1) select.append(element("option", { value: row }, String(row)));
  select.addEventListener("change", () => views.forEach((view) => view.chooseRow?.(Number(select.value))));
  byId("row-choice").hidden = data.loss.rows === 1;
  const left = data.loss.rows - rows;
  const all = left ? `of ${data.loss.rows}; the page shows the first ${plural(rows, "row")}` : `of ${rows}`;
  byId("row-note").textContent = `${all}. The numbers below are of this row; norms and the loss, of all.`;
  byId("unbuilt").textContent = `A dash: over all rows the factor has more than ${count(data.limits.elements)} elements (max_elements), and was not built. The product is carried on by the factor's action on what is left of it.`;
}

// A chain as boxes from left to right.
function chainFigure(data) {
  return {
    draw: (choose) => drawChain(data, choose),
    show: (path) => lightUp(data, path),
    update: () => updateChain(data),
  };
}

// A network with branches as a graph, and the chain rule as sums over the branches.
function graphFigure(data) {
  return {
    draw: (choose) => drawGraph(data, choose),
    show(path) {
      updateGraph(data, path);
      showEquations(data, path);
    },
    update: (path) => updateGraph(data, path),
  };
}

function start(data) {
  document.documentElement.classList.add("alive");
  document.documentElement.classList.toggle("is-graph", !data.chain);
  const model = modelOf(data);
  const figure = data.chain ? chainFigure(data) : graphFigure(data);
  let turn = null;
  const chosen = (symbol, row, entry) => {
    if (row !== null && row !== turn.row) {
      byId("row").value = row;
      byId("row").dispatchEvent(new Event("change"));
    }
    turn.chooseNumber(symbol, entry);
  };
  const pictures = new Pictures(model, (row, pixel) => chosen(data.links[0].symbol, row, pixel));
  const opened = new Opened(data, chosen);
  const views = [pictures, new FeatureMaps(model), opened, new Cancellation(data), ...(data.network ? [new Matrices(data)] : [])];
  let path;
  let surface = null;

  // After the network's numbers have changed. What takes longer, only once they rest.
  const changed = (rest) => {
    introduce(data);
    figure.update(path);
    updateGlance(data);
    surface?.draw();
    pictures.update();
    if (!rest) return;
    updateProduct(data, path);
    views.forEach((view) => view.update?.());
  };
  if (data.network) {
    turn = new Turn(model, changed);
    views.push(turn, new Neurons(model, turn));
    new Learn(model, turn, changed);
    surface = new Surface(model);
  } else {
    views.push(new Nudge(data));
  }
  const choose = (index) => {
    path = data.paths[index];
    figure.show(path);
    showProduct(data, path, opened);
    views.forEach((view) => view.show?.(path));
  };
  introduce(data);
  offerRows(data, views);
  figure.draw(choose);
  if (data.work) showWork(data);
  showDiagnosis(data);
  updateGlance(data);
  const first = Math.min(1, data.paths.length - 1);
  byId("chain").querySelector(`input[value="${first}"]`).checked = true;
  choose(first);
  if (data.network) new Story(data);
  else byId("story").hidden = true;
}

start(JSON.parse(byId("data").textContent));

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
  byId("row-note").textContent = left ? `of ${data.loss.rows}; the page shows the first ${plural(rows, "row")}` : `of ${rows}`;
  byId("unbuilt").textContent = `A dash: over all rows the factor has more than ${count(data.limits.elements)} elements (max_elements), and was not built. The product is carried on by the factor's action on what is left of it.`;
}

function start(data) {
  document.documentElement.classList.add("alive");
  const model = modelOf(data);
  const opened = new Opened(data);
  const cancellation = new Cancellation(data);
  const matrices = data.network ? [new Matrices(data)] : [];
  let path;

  // After the network's numbers have changed. What takes longer, only once they rest.
  const changed = (rest) => {
    introduce(data);
    updateChain(data);
    updateGlance(data);
    if (!rest) return;
    updateProduct(data, path);
    opened.update();
    matrices.forEach((view) => view.update());
    neurons?.update();
    cancellation.update();
  };
  let neurons = null;
  const views = [opened, ...matrices, cancellation, data.network ? new Turn(model, changed) : new Nudge(data)];
  if (data.network) {
    const turn = views.at(-1);
    neurons = new Neurons(model, turn);
    new Learn(model, turn, changed);
  }
  const choose = (index) => {
    path = data.paths[index];
    lightUp(data, path);
    showProduct(data, path, opened);
    views.forEach((view) => view.show(path));
  };
  introduce(data);
  offerRows(data, views);
  drawChain(data, choose);
  showDiagnosis(data);
  showWork(data);
  updateGlance(data);
  const first = Math.min(1, data.paths.length - 1);
  byId("chain").querySelector(`input[value="${first}"]`).checked = true;
  choose(first);
}

start(JSON.parse(byId("data").textContent));

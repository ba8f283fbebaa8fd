// A matrix as colours: with its numbers if it is small, else with a table that can be opened.

const MOST_PRINTED = { rows: 16, columns: 12 };

// With `labels.chosen`, a click on a cell calls it with the entry's row and column.
function heatMap(map, labels) {
  const { cells } = map;
  const largest = Math.max(...cells.flat().map((value) => (Number.isFinite(value) ? Math.abs(value) : 0)));
  const printed = cells.length <= MOST_PRINTED.rows && cells[0].length <= MOST_PRINTED.columns;
  const named = { ...map, names: map.block[1] === 1 ? labels.names : null };
  const picture = printed ? numberTable(named, largest) : colourMap(named, largest);
  const choosable = labels.chosen && product(map.block) === 1;
  const told = element("p", { class: "note told" }, `Point at a cell to read it${choosable ? "; a click chooses the number, to be turned below" : ""}.`);
  const whole = element("div", { class: "map" }, axes(labels), picture, told, legend(largest), blocks(map));
  const ofCell = (act) => ({ target }) => {
    const place = placeOf(target);
    if (place) act(...place, place.map((i, axis) => range(i, map.block[axis], map.shape[axis])));
  };
  whole.addEventListener("pointerover", ofCell((i, j, [row, column]) => {
    told.textContent = `[${row}, ${named.names?.[j] ?? column}]: ${number(cells[i][j])}`;
  }));
  if (choosable) {
    whole.classList.add("chosen-from");
    whole.addEventListener("click", ofCell((i, j) => labels.chosen(i, j)));
  }
  return whole;
}

// The row and the column of a cell that is pointed at: a rectangle, or a cell of a table.
function placeOf(target) {
  const { cell } = target.dataset ?? {};
  return cell === undefined ? null : cell.split(" ").map(Number);
}

const MOST_COLUMNS = 96; // cells side by side that a screen can show

// The data of a heat map of a matrix, whose rows stand one after the other: it has at most so many
// cells, each with the entry of largest size in its block. A mean would let entries of opposite signs vanish.
function heatMapOf(numbers, columns, mostCells) {
  const rows = numbers.length / columns;
  let [down, across] = [1, 1];
  const cellsOf = () => [Math.ceil(rows / down), Math.ceil(columns / across)];
  for (let [m, n] = cellsOf(); m * n > mostCells || Math.max(m, n) > MOST_COLUMNS; [m, n] = cellsOf()) {
    if (m > n) down += 1;
    else across += 1;
  }
  const [m, n] = cellsOf();
  const cells = Array.from({ length: m }, () => new Array(n).fill(0));
  numbers.forEach((value, i) => {
    const row = cells[Math.floor(Math.floor(i / columns) / down)];
    const cell = Math.floor((i % columns) / across);
    if (!(Math.abs(value) <= Math.abs(row[cell]))) row[cell] = value;
  });
  return { shape: [rows, columns], block: [down, across], cells };
}

function axes({ rows, columns }) {
  const text = `${rows ? `Down: ${rows}. ` : ""}Across: ${columns}.`;
  return element("p", { class: "note" }, text);
}

function blocks({ block: [down, across] }) {
  if (down * across === 1) return "";
  const text = `Made smaller: each cell shows the entry of largest size in a block of ${sizes([down, across])}.`;
  return element("p", { class: "note" }, text);
}

// The cell's colour: the fraction of the largest magnitude, between the colour of 0 and the scale's end.
function paint(cell, value, largest) {
  if (!Number.isFinite(value) || largest === 0) return;
  cell.classList.add(value < 0 ? "negative" : "positive");
  cell.style.setProperty("--share", `${((100 * Math.abs(value)) / largest).toFixed(1)}%`);
}

function numberTable(map, largest) {
  const body = map.cells.map((row, i) => {
    const head = element("th", { scope: "row" }, range(i, map.block[0], map.shape[0]));
    return element("tr", {}, head, ...row.map((value, j) => numberCell(i, j, value, largest)));
  });
  const columns = map.cells[0].map((_, j) =>
    element("th", { scope: "col" }, map.names?.[j] ?? range(j, map.block[1], map.shape[1])),
  );
  const head = element("tr", {}, element("td"), ...columns);
  return scroller(element("table", { class: "numbers" }, head, ...body));
}

function numberCell(i, j, value, largest) {
  const cell = element("td", { "data-cell": `${i} ${j}` }, number(value, 3));
  paint(cell, value, largest);
  return cell;
}

// The panel's heading says whose numbers they are.
const scroller = (content) =>
  element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "The numbers" }, content);

function range(position, block, size) {
  const first = position * block;
  const last = Math.min(first + block, size) - 1;
  return first === last ? String(first) : `${first}–${last}`;
}

function colourMap(map, largest) {
  const rects = map.cells.flatMap((row, y) => row.map((value, x) => colourCell(x, y, value, largest)));
  const [height, width] = [map.cells.length, map.cells[0].length];
  const svg = drawn(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": inWords(map),
    },
    ...rects,
  );
  svg.style.setProperty("--columns", width);
  svg.style.setProperty("--rows", height);
  return element("div", {}, svg, tableOnDemand(map, largest));
}

function colourCell(x, y, value, largest) {
  const cell = drawn("rect", { x, y, width: 1, height: 1, class: "cell", "data-cell": `${y} ${x}` });
  paint(cell, value, largest);
  return cell;
}

// What a picture's reader sees at a glance.
function inWords(map) {
  const flat = map.cells.flat();
  const zeros = Math.round((100 * flat.filter((value) => value === 0).length) / flat.length);
  const finite = flat.filter(Number.isFinite);
  return `${sizes(map.shape)}, from ${number(Math.min(...finite))} to ${number(Math.max(...finite))}; ${zeros} % of the cells are 0.`;
}

function tableOnDemand(map, largest) {
  const details = element("details", {}, element("summary", {}, "The numbers as a table"));
  const build = () => details.append(numberTable(map, largest));
  details.addEventListener("toggle", build, { once: true });
  return details;
}

function legend(largest) {
  return element(
    "p",
    { class: "legend" },
    element("span", {}, number(-largest)),
    element("span", { class: "scale", role: "img", "aria-label": "colours from the most negative number over 0 to the most positive one" }),
    element("span", {}, number(largest)),
  );
}

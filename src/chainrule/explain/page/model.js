// What the views show of a network: figures that came with the page or, where the network runs in
// the page, figures of its present numbers, computed when they are read.

const norm = (numbers) => Math.sqrt(numbers.reduce((sum, value) => sum + value * value, 0));

function modelOf(data) {
  if (data.network) return new LiveModel(data);
  for (const factor of [...data.factors, ...data.paths.map((path) => path.factor)]) {
    if (!factor) continue;
    factor.built = Boolean(factor.maps);
    factor.map = (row) => factor.maps[row];
    factor.normIn = (row) => factor.norms[row];
  }
  return { data };
}

class LiveModel {
  constructor(data) {
    this.data = data;
    this.network = new Network(data.network);
    this.defineFigures();
    this.update();
  }

  // Compute all values and gradients anew, after the network's numbers have changed.
  update(firstStep = 0) {
    this.network.forward(firstStep);
    this.network.backward();
    this.memory = new Map();
  }

  // What is computed once for the present numbers.
  remember(key, compute) {
    if (!this.memory.has(key)) this.memory.set(key, compute());
    return this.memory.get(key);
  }

  defineFigures() {
    const { data, network } = this;
    getters(data.loss, { value: () => network.loss });
    for (const link of data.links) {
      getters(link, {
        norm: () => norm(network.values[link.value]),
        gradient: () => norm(network.gradients[link.value]),
      });
    }
    for (const link of data.links) {
      const units = () => this.remember(link, () => this.unitsOf(link));
      getters(link, { dead: () => units().dead, saturated: () => units().saturated });
    }
    // By each link: of the next one that all ways to the loss go through, or of the loss.
    data.factors = data.links.map((link) => new LiveFactor(this, data.links[link.next] ?? null, link));
    for (const path of data.paths) this.defineFiguresOf(path);
  }

  defineFiguresOf(path) {
    const link = this.data.links[path.start] ?? null;
    path.factor = path.name === "x" ? null : new LiveFactor(this, link, path, path.name);
    getters(path, {
      norm: () => norm(this.gradientOf(path)),
      map: () => heatMapOf(this.gradientOf(path), path.shape.at(-1) ?? 1, GRADIENT_CELLS),
      merged: () => this.remember(path, () => this.mergedNorm(path)),
      apart: () => this.largestDifference(path),
    });
  }

  // The largest fractions of dead units and of saturated values of a link's elementwise steps.
  unitsOf(link) {
    const { network } = this;
    const found = { dead: 0, saturated: 0 };
    for (const i of link.steps) {
      const { maxSlope } = this.data.network.steps[i];
      if (maxSlope === undefined) continue;
      const slopes = network.slopesOf(i);
      if (maxSlope === null) found.dead = Math.max(found.dead, deadFraction(slopes, network.rows));
      else found.saturated = Math.max(found.saturated, fractionOf(slopes, (slope) => slope < SATURATED * maxSlope));
    }
    return found;
  }

  gradientOf(path) {
    if (path.name === "x") return this.network.gradients[0];
    return this.network.parameterGradients.views[path.name];
  }

  rowNetwork(row) {
    return this.remember(row, () => this.network.row(row));
  }

  // The norm of the gradients that the rows give to a parameter, before they are added up.
  mergedNorm(path) {
    if (path.factor && !path.factor.built) return null;
    const { rows } = this.data.loss;
    return norm(Array.from({ length: rows }, (_, row) => norm(this.productInRow(path, row))));
  }

  // The explicit factors, multiplied from the left; null where one is too large to build.
  explicitProduct(path) {
    if (factorsOf(this.data, path).some((factor) => !factor.built)) return null;
    const rows = Array.from({ length: this.data.loss.rows }, (_, row) => this.productInRow(path, row));
    if (!path.factor) return rows.flatMap((row) => [...row]);
    return rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0));
  }

  // Between the explicit factors, multiplied, and the gradient of the one backward pass.
  largestDifference(path) {
    const explicit = this.remember(`${path.name} explicit`, () => this.explicitProduct(path));
    const gradient = this.gradientOf(path);
    return explicit && explicit.reduce((most, entry, i) => Math.max(most, Math.abs(entry - gradient[i])), 0);
  }

  productInRow(path, row) {
    const matrices = factorsOf(this.data, path).map((factor) => factor.matrix(row));
    return matrices.slice(1).reduce(vectorTimesMatrix, matrices[0][0]);
  }
}

const fractionOf = (numbers, condition) => numbers.filter(condition).length / numbers.length;

// Of the units whose slope is 0 in every row.
function deadFraction(slopes, rows) {
  const size = slopes.length / rows;
  const alive = new Set();
  slopes.forEach((slope, i) => {
    if (slope !== 0) alive.add(i % size);
  });
  return 1 - alive.size / size;
}

const SATURATED = 0.05; // of the largest slope
const GRADIENT_CELLS = 16384;
const FACTOR_CELLS = 4096;

function getters(object, functions) {
  for (const [name, get] of Object.entries(functions)) {
    Object.defineProperty(object, name, { get, enumerable: true, configurable: true });
  }
}

function vectorTimesMatrix(vector, matrix) {
  const result = new Float64Array(matrix[0].length);
  matrix.forEach((row, i) => row.forEach((entry, j) => { result[j] += vector[i] * entry; }));
  return result;
}

// A derivative as a matrix for each row of the batch: of a link, or for null of the loss, by the link
// before it, or by one of its parameters.
class LiveFactor {
  constructor(model, of, by, parameter = null) {
    const { loss, limits } = model.data;
    Object.assign(this, { model, link: of, parameter });
    this.value = by.value; // the link's, of which the derivative is
    this.of = of ? of.symbol : "L";
    this.by = by.symbol;
    this.shape = [of ? of.size : 1, parameter ? product(by.shape) : by.size];
    const elements = loss.rows * product(this.shape);
    const passes = parameter ? loss.rows * this.shape[0] : 0;
    this.built = elements <= limits.elements && passes <= limits.passes;
  }

  // Its rows: what the backward pass makes of a gradient of 1 by one entry of the link.
  matrix(row) {
    const { network } = this.model;
    if (this.link) return this.jacobian(this.model.rowNetwork(row));
    if (this.parameter) return [this.model.rowNetwork(row).gradientFrom(network, row).views[this.parameter].slice()];
    return [rowOf(network.gradients[this.value], row, network.rows)];
  }

  jacobian(network) {
    const last = network.makerOf(this.link.value);
    const first = this.parameter ? network.userOf(this.parameter) : network.makerOf(this.value) + 1;
    const by = this.parameter ? network.parameterGradients.views[this.parameter] : network.gradients[this.value];
    return Array.from({ length: this.shape[0] }, (_, i) => {
      network.clearGradients(first, last);
      network.gradients[this.link.value].fill(0)[i] = 1;
      network.pull(last, first);
      return by.slice();
    });
  }

  get norm() {
    if (!this.built) return null;
    const rows = Array.from({ length: this.model.data.loss.rows }, (_, row) => row);
    return this.model.remember(this, () => norm(rows.map((row) => this.normIn(row))));
  }

  normIn(row) {
    return norm(this.matrix(row).map(norm));
  }

  map(row) {
    return heatMapOf(Float64Array.from(this.matrix(row).flatMap((entries) => [...entries])), this.shape[1], FACTOR_CELLS);
  }
}

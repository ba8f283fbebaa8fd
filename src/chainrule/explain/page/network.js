// The network on one batch, in float64: forward from the input to the loss, and backward.

// An array as the page holds it: a list, or the bytes of floats of four or eight bytes.
function decode(array) {
  if (Array.isArray(array)) return array;
  const bytes = Uint8Array.from(atob(array.bytes), (letter) => letter.charCodeAt(0));
  return Float64Array.from(array.size === 4 ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer));
}

// The parameters' values one after the other, and a view of each by its name.
class Vector {
  constructor(arrays) {
    const sizes = Object.values(arrays).map(({ shape }) => product(shape));
    this.all = new Float64Array(sizes.reduce((sum, size) => sum + size, 0));
    this.views = {};
    let start = 0;
    Object.keys(arrays).forEach((name, i) => {
      this.views[name] = this.all.subarray(start, start + sizes[i]);
      start += sizes[i];
    });
  }

  static of(arrays) {
    const vector = new Vector(arrays);
    for (const [name, { values }] of Object.entries(arrays)) vector.views[name].set(decode(values));
    return vector;
  }
}

// A value is known by its number, 0 is the input. Values and gradients have the batch's rows one
// after the other.
class Network {
  // Of the whole batch; or, given the network on it, of one of its rows with the same parameters.
  constructor(description, whole = null, row = 0) {
    this.description = description;
    this.rows = whole ? 1 : description.rows;
    this.parameters = whole ? whole.parameters : Vector.of(description.parameters);
    this.buffers = whole ? whole.buffers : Vector.of(description.buffers);
    this.parameterGradients = new Vector(description.parameters);
    const allocate = (size) => new Float64Array(this.rows * size);
    this.values = description.values.map(allocate);
    this.gradients = description.values.map(allocate);
    this.values[0].set(whole ? [] : decode(description.x));
    whole?.values.forEach((value, i) => this.values[i].set(rowOf(value, row, whole.rows)));
    this.steps = description.steps.map((step) => this.bindStep(step));
    this.heads = description.heads.map((head, i) => this.bindHead(head, whole?.heads[i], row));
  }

  // What a step's functions take, by name: values and their gradients, parameters and numbers.
  bindStep({ operation, operands, y, columns, yColumns, shape, yShape, parameters, buffers, numbers }) {
    const bound = { ...numbers, columns, yColumns, shape, yShape, y: this.values[y], dy: this.gradients[y] };
    for (const [name, value] of Object.entries(operands)) {
      bound[name] = this.values[value];
      bound[name === "x" ? "dx" : `d_${name}`] = this.gradients[value];
    }
    for (const [name, parameter] of Object.entries(parameters)) {
      bound[name] = this.parameters.views[parameter];
      bound[`d_${name}`] = this.parameterGradients.views[parameter];
    }
    for (const [name, buffer] of Object.entries(buffers)) bound[name] = this.buffers.views[buffer];
    return { operation: OPERATIONS[operation], bound };
  }

  bindHead({ loss, output, columns, lossWeight, numbers, label, target }, whole, row) {
    const rows = this.description.rows;
    const given = label ? { label } : { target: whole ? whole.bound.target : decode(target) };
    const [[name, array]] = Object.entries(given);
    const own = whole ? rowOf(array, row, rows) : array;
    const d_output = new Float64Array(this.rows * columns);
    const bound = { ...numbers, columns, output: this.values[output], d_output, [name]: own };
    return { loss: OPERATIONS[loss], bound, lossWeight, gradient: this.gradients[output] };
  }

  // Compute the values of the steps from one on, and the loss.
  forward(first = 0) {
    for (const { operation, bound } of this.steps.slice(first)) operation.forward(bound);
    this.loss = 0;
    for (const { loss, bound, lossWeight } of this.heads) this.loss += lossWeight * loss(bound);
    return this.loss;
  }

  // Compute the loss's gradients by all values and parameters, after a forward pass.
  backward() {
    this.clearGradients();
    for (const { bound, lossWeight, gradient } of this.heads) {
      bound.d_output.forEach((d, i) => { gradient[i] += lossWeight * d; });
    }
    this.pull(this.steps.length - 1, 0);
  }

  // The part of the parameters' gradients that comes from this row of the whole network.
  gradientFrom(whole, row) {
    this.clearGradients();
    this.heads.forEach(({ lossWeight, gradient }, i) => {
      const d_output = rowOf(whole.heads[i].bound.d_output, row, whole.rows);
      d_output.forEach((d, j) => { gradient[j] += lossWeight * d; });
    });
    this.pull(this.steps.length - 1, 0);
    return this.parameterGradients;
  }

  // Run some steps backward, from the last to the first of them: gradients are added to.
  pull(last, first) {
    for (let i = last; i >= first; i -= 1) this.steps[i].operation.backward(this.steps[i].bound);
  }

  // What these steps alone make of a gradient of 1 by one entry of what the last of them makes.
  pullFrom(steps, value, entry) {
    for (const i of steps) this.clearGradients(i, i);
    this.gradients[value].fill(0)[entry] = 1;
    for (const i of [...steps].reverse()) this.pull(i, i);
  }

  // The absolute slopes of an elementwise step.
  slopesOf(position) {
    const { operation, bound } = this.steps[position];
    const dx = new Float64Array(bound.x.length);
    operation.backward({ ...bound, dx, dy: dx.slice().fill(1) });
    return dx.map(Math.abs);
  }

  // Set to 0 what these steps add to, and the gradients by their results.
  clearGradients(first = 0, last = this.steps.length - 1) {
    this.gradients[0].fill(0);
    for (const { bound } of this.steps.slice(first, last + 1)) {
      bound.dy.fill(0);
      for (const [name, array] of Object.entries(bound)) {
        if (name === "dx" || name.startsWith("d_")) array.fill(0);
      }
    }
  }

  // The position of the step that makes a value; -1 for the input.
  makerOf(value) {
    return this.description.steps.findLastIndex((step) => step.y === value);
  }

  // The position of the first step that takes a parameter.
  userOf(parameter) {
    return this.description.steps.findIndex((step) => Object.values(step.parameters).includes(parameter));
  }

  // The same network on other inputs, without a loss.
  at(inputs) {
    const rows = inputs.length / this.description.values[0];
    return new Network({ ...this.description, rows, x: inputs, heads: [] });
  }

  // The network on one row of the batch, with its present values.
  row(row) {
    return new Network(this.description, this, row);
  }
}

function rowOf(array, row, rows) {
  const size = array.length / rows;
  return array.slice(row * size, (row + 1) * size);
}

// What an optimizer remembers, and its step.
class Optimizer {
  constructor(name, network, numbers = {}) {
    this.rule = OPERATIONS[name];
    this.numbers = { ...this.rule.numbers, ...numbers };
    this.vectors = { params: network.parameters.all, grads: network.parameterGradients.all };
    this.step = 0;
    for (const vector of this.rule.state) this.vectors[vector] = new Float64Array(network.parameters.all.length);
  }

  // Update the parameters by their gradients.
  update(lr) {
    this.step += 1;
    this.rule.update({ ...this.numbers, ...this.vectors, lr, step: this.step });
  }
}

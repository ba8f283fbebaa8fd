// What several operations share: elementary functions, and loops over elements, rows and windows.

// What the network's steps, losses and optimizers compute, by name: a file of operations/ or
// optimizers/ for each, with the names of its twin in chainrule.reference. A step's operation has `forward`, which writes
// y, and `backward`, which adds to the gradients dx, d_weight and so on; an array has the rows of
// the batch one after the other. A loss writes d_output and returns the batch's mean.
const OPERATIONS = {};

// The exponential is taken of what cannot overflow, here and below.
function sigmoid(x) {
  const small = Math.exp(-Math.abs(x));
  return (x < 0 ? small : 1) / (1 + small);
}

const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

const normalPdf = (x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

// The normal distribution's cumulative: by its series near 0, by a continued fraction in the tails
// (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.11 and 26.2.14).
function normalCdf(x) {
  const size = Math.abs(x);
  if (!(size < 4)) {
    let fraction = size;
    for (let n = 60; n > 0; n -= 1) fraction = size + n / fraction;
    const tail = size > 40 ? 0 : normalPdf(size) / fraction;
    return x < 0 ? tail : 1 - tail;
  }
  let term = x;
  let sum = x;
  for (let n = 3; Math.abs(term) > 1e-18 * Math.abs(sum); n += 2) {
    term *= (x * x) / n;
    sum += term;
  }
  return 0.5 + normalPdf(x) * sum;
}

// An operation on each element by itself: its function, and its derivative by x, y and its numbers.
const elementwise = (value, slope) => ({
  forward(step) {
    const { x, y } = step;
    for (let i = 0; i < y.length; i += 1) y[i] = value(x[i], step);
  },
  backward(step) {
    const { x, y, dx, dy } = step;
    for (let i = 0; i < dy.length; i += 1) dx[i] += dy[i] * slope(x[i], y[i], step);
  },
});

// An operation on each row of the last axis: functions of where the row of x and that of y begin.
const rowwise = (forward, backward) => ({
  forward: (step) => eachRow(step, forward),
  backward: (step) => eachRow(step, backward),
});

function eachRow(step, compute) {
  const { columns, yColumns } = step;
  for (let row = 0; row * columns < step.x.length; row += 1) compute(step, row * columns, row * yColumns);
}

// The windows of images: visit gets where the channels of a place of y begin, and where in x those
// of each pixel in its window do; then the place's row and column. What is in the padding is left out.
function eachWindow({ y, shape, yShape, window }, visit) {
  const [height, width, channels] = shape;
  const [rows, columns] = yShape;
  const along = (axis, place, length) => {
    const [kernelSize, stride, padding, dilation] = [0, 2, 4, 6].map((i) => window[i + axis]);
    const places = [...Array(kernelSize).keys()].map((i) => place * stride - padding + i * dilation);
    return places.filter((i) => i >= 0 && i < length);
  };
  const ofRows = Array.from({ length: rows }, (_, row) => along(0, row, height));
  const ofColumns = Array.from({ length: columns }, (_, column) => along(1, column, width));
  for (let begin = 0; begin < y.length; begin += channels) {
    const place = begin / channels;
    const [row, column] = [Math.floor(place / columns) % rows, place % columns];
    const image = Math.floor(place / (rows * columns)) * height;
    const pixels = [];
    for (const i of ofRows[row]) for (const j of ofColumns[column]) pixels.push(((image + i) * width + j) * channels);
    visit(begin, pixels, row, column);
  }
}

// The products of a convolution, for each number of the images a run of them, one for each output:
// visit gets where the number is, where the outputs and their weights begin, and how many they are.
// What is in the padding is left out, and what is in an idle place of the outputs.
function eachRun(count, [height, width, channels], [rows, columns, outputs], window, visit, isIdle) {
  const [kernelHeight, kernelWidth, strideY, strideX, top, left, dilationY, dilationX, groups] = window;
  const [own, outs] = [channels / groups, outputs / groups];
  const eachChannel = (pixel, place, inKernel) => {
    for (let c = 0; c < channels; c += 1) {
      const begin = Math.floor(c / own) * outs;
      const weight = (inKernel * own + (c % own)) * outputs;
      visit(pixel * channels + c, place * outputs + begin, weight + begin, outs);
    }
  };
  for (let place = 0; place < count * rows * columns; place += 1) {
    if (isIdle?.(place)) continue;
    const image = Math.floor(place / (rows * columns));
    const [row, column] = [Math.floor(place / columns) % rows, place % columns];
    for (let i = 0; i < kernelHeight * kernelWidth; i += 1) {
      const y = row * strideY - top + Math.floor(i / kernelWidth) * dilationY;
      const x = column * strideX - left + (i % kernelWidth) * dilationX;
      if (y >= 0 && y < height && x >= 0 && x < width) eachChannel((image * height + y) * width + x, place, i);
    }
  }
}

// A convolution from x to y; or a transposed one, whose windows lie in y, one for each pixel of x.
// The runs are of y, or of x.
function convolution(isTransposed) {
  const [inX, inY] = isTransposed ? [1, 0] : [0, 1];
  const runs = ({ x, columns, shape, yShape, window }, visit, isIdle) => {
    const rows = x.length / (shape[0] * shape[1] * columns);
    if (isTransposed) eachRun(rows, yShape, shape, window, (i, j, k, length) => visit(j, i, k, length));
    else eachRun(rows, shape, yShape, window, visit, isIdle);
  };
  return {
    forward(step) {
      const { x, weight, bias, y, yColumns } = step;
      for (let i = 0; i < y.length; i += 1) y[i] = bias ? bias[i % yColumns] : 0;
      runs(step, (i, j, k, length) => {
        for (let n = 0; n < length; n += 1) y[j + n * inY] += x[i + n * inX] * weight[k + n];
      });
    },
    // Each product gives the gradient by one factor, dy times the other one. A row of a Jacobian
    // begins with one number: most places have no gradient to pass on.
    backward(step) {
      const { x, weight, dy, dx, d_weight, d_bias, yColumns } = step;
      const isIdle = (place) => {
        for (let j = place * yColumns; j < (place + 1) * yColumns; j += 1) if (dy[j] !== 0) return false;
        return true;
      };
      const pass = (i, j, k, length) => {
        for (let n = 0; n < length; n += 1) {
          dx[i + n * inX] += dy[j + n * inY] * weight[k + n];
          d_weight[k + n] += dy[j + n * inY] * x[i + n * inX];
        }
      };
      runs(step, pass, isIdle);
      if (d_bias) dy.forEach((d, i) => (d_bias[i % yColumns] += d));
    },
  };
}

// A loss whose entries have terms of their own: the term, and its slope by the output.
const lossOfEntries =
  (term, slope) =>
  (head) => {
    const { output, target, d_output } = head;
    let sum = 0;
    for (let i = 0; i < output.length; i += 1) {
      sum += term(output[i], target[i], head, i);
      d_output[i] = slope(output[i], target[i], head, i) / output.length;
    }
    return sum / output.length;
  };

// The logarithm of softmax of the row of x that begins at an index, into the same row of y.
function logSoftmaxRow(x, y, begin, columns) {
  let largest = -Infinity;
  for (let j = begin; j < begin + columns; j += 1) largest = Math.max(largest, x[j]);
  let sum = 0;
  for (let j = begin; j < begin + columns; j += 1) sum += Math.exp(x[j] - largest);
  for (let j = begin; j < begin + columns; j += 1) y[j] = x[j] - largest - Math.log(sum);
}

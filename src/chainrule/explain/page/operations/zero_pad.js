// An image among zeros, of which so many come before its rows and columns; below 0, they are cut.

// Call visit with the place of each number of x that y holds, and with that in y.
function eachPadded({ x, shape, yShape, before }, visit) {
  const [height, width, channels] = shape;
  const [rows, columns] = yShape;
  for (let i = 0; i < x.length; i += 1) {
    const pixel = Math.floor(i / channels);
    const row = (Math.floor(pixel / width) % height) + before[0];
    const column = (pixel % width) + before[1];
    const image = Math.floor(pixel / (width * height));
    if (row >= 0 && row < rows && column >= 0 && column < columns) {
      visit(i, ((image * rows + row) * columns + column) * channels + (i % channels));
    }
  }
}

OPERATIONS.zero_pad = {
  forward(step) {
    step.y.fill(0);
    eachPadded(step, (i, at) => { step.y[at] = step.x[i]; });
  },
  backward(step) {
    eachPadded(step, (i, at) => { step.dx[i] += step.dy[at]; });
  },
};

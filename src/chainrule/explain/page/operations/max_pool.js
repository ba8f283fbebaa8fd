// Each place of y is the largest number of its window, channel by channel; its gradient goes there.

// Where it is: the first of several; a NaN is larger than all before it.
function largestIn(x, pixels, channel) {
  let found = pixels[0] + channel;
  for (const pixel of pixels) {
    const at = pixel + channel;
    if (x[at] > x[found] || Number.isNaN(x[at])) found = at;
  }
  return found;
}

OPERATIONS.max_pool = {
  forward(step) {
    const { x, y, columns } = step;
    eachWindow(step, (begin, pixels) => {
      for (let c = 0; c < columns; c += 1) y[begin + c] = x[largestIn(x, pixels, c)];
    });
  },
  backward(step) {
    const { x, dx, dy, columns } = step;
    eachWindow(step, (begin, pixels) => {
      for (let c = 0; c < columns; c += 1) dx[largestIn(x, pixels, c)] += dy[begin + c];
    });
  },
};

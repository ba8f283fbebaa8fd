// Each place of y is the mean of its window, channel by channel, with the zeros of the padding or not.

// How many elements that window has; what is behind the padding does not count.
function countOf({ shape, window, count_include_pad }, pixels, row, column) {
  if (!count_include_pad) return pixels.length;
  const lengths = [row, column].map((place, axis) => {
    const [kernelSize, stride, padding] = [0, 2, 4].map((i) => window[i + axis]);
    return Math.min(kernelSize, shape[axis] + 2 * padding - place * stride);
  });
  return lengths[0] * lengths[1];
}

OPERATIONS.avg_pool = {
  forward(step) {
    const { x, y, columns } = step;
    eachWindow(step, (begin, pixels, row, column) => {
      const count = countOf(step, pixels, row, column);
      for (let c = 0; c < columns; c += 1) {
        y[begin + c] = pixels.reduce((sum, pixel) => sum + x[pixel + c], 0) / count;
      }
    });
  },
  backward(step) {
    const { dx, dy, columns } = step;
    eachWindow(step, (begin, pixels, row, column) => {
      const count = countOf(step, pixels, row, column);
      for (const pixel of pixels) {
        for (let c = 0; c < columns; c += 1) dx[pixel + c] += dy[begin + c] / count;
      }
    });
  },
};

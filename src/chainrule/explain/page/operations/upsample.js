// Each pixel of x as a block of pixels of y.

function eachPixelOfBlocks({ x, shape, yShape, window }, visit) {
  const turned = { y: x, shape: yShape, yShape: shape, window };
  eachWindow(turned, (begin, pixels) => {
    for (const pixel of pixels) {
      for (let c = 0; c < shape[2]; c += 1) visit(begin + c, pixel + c);
    }
  });
}

OPERATIONS.upsample = {
  forward(step) {
    eachPixelOfBlocks(step, (i, at) => { step.y[at] = step.x[i]; });
  },
  backward(step) {
    eachPixelOfBlocks(step, (i, at) => { step.dx[i] += step.dy[at]; });
  },
};

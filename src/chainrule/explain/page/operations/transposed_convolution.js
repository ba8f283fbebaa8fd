// Each pixel of x, times the weight, is a window of y, plus the bias.

OPERATIONS.transposed_convolution = convolution(true);

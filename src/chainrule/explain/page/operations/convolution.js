// y is each window of x times the weight, plus the bias.

OPERATIONS.convolution = convolution(false);

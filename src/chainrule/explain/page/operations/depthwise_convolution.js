// A convolution in which each channel is a group of its own.

OPERATIONS.depthwise_convolution = convolution(false);

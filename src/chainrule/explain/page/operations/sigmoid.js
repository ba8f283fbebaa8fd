// 1 / (1 + exp(-x)); its slope is y * (1 - y).

OPERATIONS.sigmoid = elementwise(sigmoid, (x, y) => y * (1 - y));

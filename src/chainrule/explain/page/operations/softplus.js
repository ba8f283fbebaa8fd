// log(1 + exp(x)); its slope is sigmoid(x).

OPERATIONS.softplus = elementwise(softplus, sigmoid);

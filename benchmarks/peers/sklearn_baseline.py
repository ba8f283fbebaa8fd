"""scikit-learn's MLPClassifier and MLPRegressor."""

import warnings

import numpy as np

import chainrule as cr
from chainrule.cli.measurement.implementation import BETAS, EPS, LEARNING_RATE, Implementation


class ScikitLearn(Implementation):
    name = "scikit-learn"

    @staticmethod
    def refusal(workload):
        if not workload.is_perceptron:
            return "it has perceptrons only"
        if workload.from_python:
            return "its partial_fit of one batch does more than a step"
        return "" if workload.updates else "it has no public function that returns a gradient"

    def start(self, parameters):
        parameters = list(parameters.values())
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        warnings.simplefilter("ignore", ConvergenceWarning)
        squares = isinstance(self.workload.loss, cr.MSELoss)
        outputs = self.workload.sizes[-1]
        # Its squared loss is half of the mean, but its gradient that of half of the sum over
        # outputs. Adam does not see such a factor in the gradient if eps has it too.
        self.loss_factor, gradient_factor = (2, outputs / 2) if squares else (1, 1)
        self.y = self.y if outputs > 1 else self.y[:, 0]
        self.model = (MLPRegressor if squares else MLPClassifier)(
            hidden_layer_sizes=self.workload.sizes[1:-1],
            activation="tanh" if isinstance(self.workload.activation, cr.Tanh) else "relu",
            batch_size=self.workload.batch,
            learning_rate_init=LEARNING_RATE,
            beta_1=BETAS[0],
            beta_2=BETAS[1],
            epsilon=EPS * gradient_factor,
            alpha=0.0,
            shuffle=False,  # the orders come from outside
            max_iter=self.workload.epochs,
            n_iter_no_change=np.inf,
            warm_start=True,
        )
        # The first call makes the model's arrays; then training begins again with ours.
        classes = {} if squares else {"classes": np.unique(self.y)}
        self.model.partial_fit(self.X, self.y, **classes)
        for mine, weight in zip(self.model.coefs_, parameters[::2], strict=True):
            mine[...] = weight
        for mine, bias in zip(self.model.intercepts_, parameters[1::2], strict=True):
            mine[...] = bias
        optimizer = self.model._optimizer
        optimizer.t = 0
        for moment in optimizer.ms + optimizer.vs:
            moment[...] = 0

    def train(self, seed, epochs):
        if self.workload.full_batch:  # all epochs in one call
            self.model.fit(self.X, self.y)
        else:
            for batches in self.orders(seed, epochs):
                order = batches.ravel()
                self.model.partial_fit(self.X[order], self.y[order])
        return [self.loss_factor * loss for loss in self.model.loss_curve_[-epochs:]]

"""scikit-learn's MLPClassifier and MLPRegressor."""

import numpy as np

from benchmarks.peers.peer import BETAS, EPS, LEARNING_RATE, Peer
from chainrule import Tanh


class ScikitLearn(Peer):
    name = "scikit-learn"

    def start(self, parameters):
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        labels = self.workload.loss.takes_labels
        self.model = (MLPClassifier if labels else MLPRegressor)(
            hidden_layer_sizes=self.workload.sizes[1:-1],
            activation="tanh" if isinstance(self.workload.activation, Tanh) else "relu",
            batch_size=self.workload.batch,
            learning_rate_init=LEARNING_RATE,
            beta_1=BETAS[0],
            beta_2=BETAS[1],
            epsilon=EPS,
            alpha=0.0,
            shuffle=False,  # the orders come from outside
        )
        self.classes = {"classes": np.arange(self.workload.sizes[-1])} if labels else {}
        # The first call makes the model's arrays; then training begins again with ours.
        self.model.partial_fit(self.X, self.y, **self.classes)
        for mine, weight in zip(self.model.coefs_, parameters[::2], strict=True):
            mine[...] = weight
        for mine, bias in zip(self.model.intercepts_, parameters[1::2], strict=True):
            mine[...] = bias
        optimizer = self.model._optimizer
        optimizer.t = 0
        for moment in optimizer.ms + optimizer.vs:
            moment[...] = 0

    def train(self, seed, epochs):
        # Its squared loss is half of the mean over rows and outputs. For the two outputs of the
        # workload "tiny", the gradients are the same.
        factor = 1 if self.classes else 2
        means = []
        for batches in self.orders(seed, epochs):
            order = batches.ravel()
            self.model.partial_fit(self.X[order], self.y[order])
            means.append(factor * self.model.loss_)
        return means

"""NumPy by hand: the chain rule written out, Adam on one flat vector."""

import numpy as np

import chainrule as cr
from chainrule.cli.measurement.implementation import BETAS, EPS, LEARNING_RATE, Implementation


def mse(z, y):
    e = z - y
    return np.square(e).mean(), e * (2 / e.size)


def cross_entropy(z, y):
    rows = np.arange(len(y))
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[rows, y]).mean()
    p[rows, y] -= 1
    p /= len(y)
    return loss, p


def bce_with_logits(z, y):
    e = np.exp(-np.abs(z))
    loss = (np.maximum(z, 0) - z * y + np.log1p(e)).mean()
    p = np.where(z < 0, e, 1) / (1 + e)
    return loss, (p - y) / z.size


LOSSES = {
    cr.MSELoss: mse,
    cr.CrossEntropyLoss: cross_entropy,
    cr.BCEWithLogitsLoss: bce_with_logits,
}


class NumPy(Implementation):
    name = "NumPy"

    @staticmethod
    def refusal(workload):
        return "" if workload.is_perceptron else "written by hand, for perceptrons only"

    def start(self, parameters):
        parameters = list(parameters.values())
        self.params = np.concatenate([parameter.ravel() for parameter in parameters])
        self.grads, self.m, self.v, self.scratch, self.root = (
            np.zeros_like(self.params) for _ in range(5)
        )
        self.views = self.split(self.params, parameters)
        self.gradient_views = self.split(self.grads, parameters)
        self.loss = LOSSES[type(self.workload.loss)]
        self.is_tanh = isinstance(self.workload.activation, cr.Tanh)
        self.t = 0

    @staticmethod
    def split(vector, parameters):
        ends = np.cumsum([parameter.size for parameter in parameters])
        parts = np.split(vector, ends[:-1])
        return [part.reshape(like.shape) for part, like in zip(parts, parameters, strict=True)]

    def train(self, seed, epochs):
        means = []
        for batches in self.orders(seed, epochs):
            losses = []
            for x, y in zip(self.X[batches], self.y[batches], strict=True):
                losses.append(self.value_and_gradient(x, y))
                self.adam()
            means.append(float(np.mean(losses)))
        return means

    def gradient(self, times):
        for _ in range(times):
            value = self.value_and_gradient(self.X, self.y)
        return [float(value), float(np.linalg.norm(self.grads))]

    def value_and_gradient(self, x, y):
        layers = len(self.views) // 2
        values = [x]
        for i in range(layers):
            z = values[-1] @ self.views[2 * i]
            z += self.views[2 * i + 1]
            if i < layers - 1:
                np.tanh(z, out=z) if self.is_tanh else np.maximum(z, 0, out=z)
            values.append(z)

        loss, d = self.loss(z, y)
        for i in reversed(range(layers)):
            np.matmul(values[i].T, d, out=self.gradient_views[2 * i])
            np.sum(d, axis=0, out=self.gradient_views[2 * i + 1])
            if i > 0:
                d = d @ self.views[2 * i].T
                d *= 1 - values[i] ** 2 if self.is_tanh else values[i] > 0
        return loss

    def adam(self):
        self.t += 1
        beta1, beta2 = BETAS
        step, root = self.scratch, self.root
        self.m *= beta1
        self.m += np.multiply(self.grads, 1 - beta1, out=step)
        self.v *= beta2
        np.square(self.grads, out=step)
        self.v += np.multiply(step, 1 - beta2, out=step)
        np.sqrt(np.divide(self.v, 1 - beta2**self.t, out=root), out=root)
        root += EPS
        np.multiply(self.m, LEARNING_RATE / (1 - beta1**self.t), out=step)
        self.params -= np.divide(step, root, out=step)

"""NumPy by hand: the chain rule written out, Adam on one flat vector."""

import numpy as np

from benchmarks.peers.peer import BETAS, EPS, LEARNING_RATE, Peer
from chainrule import Tanh


class NumPy(Peer):
    name = "NumPy by hand"

    def start(self, parameters):
        self.params = np.concatenate([parameter.ravel() for parameter in parameters])
        self.grads, self.m, self.v = (np.zeros_like(self.params) for _ in range(3))
        self.views = self.split(self.params, parameters)
        self.gradient_views = self.split(self.grads, parameters)
        self.t = 0

    @staticmethod
    def split(vector, parameters):
        ends = np.cumsum([parameter.size for parameter in parameters])
        parts = np.split(vector, ends[:-1])
        return [part.reshape(like.shape) for part, like in zip(parts, parameters, strict=True)]

    def train(self, seed, epochs):
        means = []
        for batches in self.orders(seed, epochs):
            losses = [self.step(self.X[rows], self.y[rows]) for rows in batches]
            means.append(float(np.mean(losses)))
        return means

    def step(self, x, y):
        is_tanh = isinstance(self.workload.activation, Tanh)
        layers = len(self.views) // 2
        values = [x]
        for i in range(layers):
            z = values[-1] @ self.views[2 * i]
            z += self.views[2 * i + 1]
            if i < layers - 1:
                np.tanh(z, out=z) if is_tanh else np.maximum(z, 0, out=z)
            values.append(z)

        loss, d = self.cross_entropy(z, y) if self.workload.loss.takes_labels else self.mse(z, y)
        for i in reversed(range(layers)):
            np.matmul(values[i].T, d, out=self.gradient_views[2 * i])
            np.sum(d, axis=0, out=self.gradient_views[2 * i + 1])
            if i > 0:
                d = d @ self.views[2 * i].T
                d *= 1 - values[i] ** 2 if is_tanh else values[i] > 0
        self.adam()
        return loss

    @staticmethod
    def mse(z, y):
        e = z - y
        return np.square(e).mean(), e * np.float32(2 / e.size)

    @staticmethod
    def cross_entropy(z, y):
        rows = np.arange(len(y))
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, y]).mean()
        p[rows, y] -= 1
        p /= len(y)
        return loss, p

    def adam(self):
        self.t += 1
        beta1, beta2 = BETAS
        self.m *= beta1
        self.m += (1 - beta1) * self.grads
        self.v *= beta2
        self.v += (1 - beta2) * self.grads**2
        root = np.sqrt(self.v / (1 - beta2**self.t))
        root += EPS
        self.params -= LEARNING_RATE / (1 - beta1**self.t) * self.m / root

"""JAX: a jitted step called from Python, and a whole epoch as one jitted scan."""

from functools import partial

from benchmarks.peers.peer import BETAS, EPS, LEARNING_RATE, Peer
from chainrule import Tanh


class JaxScan(Peer):
    name = "JAX scan"

    def start(self, parameters):
        import jax
        from jax import numpy as jnp

        self.jnp = jnp
        X, y = jnp.asarray(self.X), jnp.asarray(self.y)
        is_tanh = isinstance(self.workload.activation, Tanh)
        activation = jnp.tanh if is_tanh else jax.nn.relu
        takes_labels = self.workload.loss.takes_labels

        def loss(layers, x, y):
            *hidden, (weight, bias) = layers
            for w, b in hidden:
                x = activation(x @ w + b)
            output = x @ weight + bias
            if takes_labels:
                chosen = jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], 1)
                return -chosen.mean()
            return ((output - y) ** 2).mean()

        def step(state, rows):
            layers, m, v, t = state
            value, grads = jax.value_and_grad(loss)(layers, X[rows], y[rows])
            t += 1
            beta1, beta2 = BETAS
            m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, grads)
            v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, grads)
            a, c = LEARNING_RATE / (1 - beta1**t), 1 / (1 - beta2**t)
            layers = jax.tree.map(lambda p, m, v: p - a * m / (jnp.sqrt(c * v) + EPS), layers, m, v)
            return (layers, m, v, t), value

        layers = list(
            zip(map(jnp.array, parameters[::2]), map(jnp.array, parameters[1::2]), strict=True)
        )
        m, v = (jax.tree.map(jnp.zeros_like, layers) for _ in range(2))
        self.state = (layers, m, v, jnp.float32(0))
        # The old state is given up, so that the new one may take its memory.
        self.step = jax.jit(step, donate_argnums=0)
        self.epoch = jax.jit(partial(jax.lax.scan, step), donate_argnums=0)

    def train(self, seed, epochs):
        losses = []
        for batches in self.orders(seed, epochs):
            self.state, values = self.epoch(self.state, batches)
            losses.append(values.mean())
        return [float(mean) for mean in losses]


class JaxStep(JaxScan):
    name = "JAX step"

    def train(self, seed, epochs):
        means = []
        for batches in self.orders(seed, epochs):
            values = []
            for rows in batches:
                self.state, value = self.step(self.state, rows)
                values.append(value)
            means.append(self.jnp.stack(values).mean())
        return [float(mean) for mean in means]

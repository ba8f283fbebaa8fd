"""JAX: a jitted step called from Python, and a whole training as one jitted scan."""

from math import log

import numpy as np

import chainrule as cr
from benchmarks.peers.jax_functions import buffers_of, function_of
from chainrule.cli.measurement.implementation import BETAS, EPS, LEARNING_RATE, Implementation

# Up to so many parameters are one vector: a call then passes fewer arrays, and takes half as long
# for "tiny". For "mnist" with two threads, XLA would take ten times as long.
SMALL = 10_000


class Jax(Implementation):
    """What both have in common."""

    def start(self, parameters):
        import jax
        from jax import numpy as jnp
        from jax.flatten_util import ravel_pytree

        self.jax, self.jnp = jax, jnp
        jax.config.update("jax_enable_x64", self.workload.dtype == "float64")
        evaluate = {
            cr.MSELoss: self.mse,
            cr.CrossEntropyLoss: self.cross_entropy,
            cr.BCEWithLogitsLoss: self.bce_with_logits,
        }[type(self.workload.loss)]
        buffers = jax.tree.map(jnp.array, buffers_of(self.workload))
        params, by_name = jax.tree.map(jnp.array, dict(parameters)), dict
        if self.workload.parameters <= SMALL:
            params, by_name = ravel_pytree(params)
            self.as_vector = lambda parameters: ravel_pytree(dict(parameters))[0]
        forward = function_of(jax, self.workload)

        def loss(params, buffers, x, y):
            output, buffers = forward(by_name(params), buffers, x)
            return evaluate(output, y), buffers

        self.value_and_gradient = jax.value_and_grad(loss, has_aux=True)
        self.data = jnp.asarray(self.X), jnp.asarray(self.y)
        self.params, self.buffers = params, buffers
        m, v = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        self.state = params, m, v, jnp.float32(0), buffers
        self.compile()

    def compile(self):
        raise NotImplementedError

    def mse(self, output, y):
        return ((output - y) ** 2).mean()

    def cross_entropy(self, output, y):
        chosen = self.jnp.take_along_axis(self.jax.nn.log_softmax(output), y[:, None], 1)
        return -chosen.mean()

    def bce_with_logits(self, output, y):
        return (self.jax.nn.softplus(output) - output * y).mean()

    def step(self, state, data, rows):
        """Take one step on ``rows`` of the data; None means all of them, as they are."""
        params, m, v, t, buffers = state
        x, y = data if rows is None else (data[0][rows], data[1][rows])
        (value, buffers), grads = self.value_and_gradient(params, buffers, x, y)
        t += 1
        beta1, beta2 = BETAS
        # 1 - beta**t, without the loss of digits in float32.
        of_mean, of_square = (-self.jnp.expm1(t * log(beta)) for beta in BETAS)
        a, c = LEARNING_RATE / of_mean, 1 / of_square
        for_each, sqrt = self.jax.tree.map, self.jnp.sqrt
        m = for_each(lambda m, g: beta1 * m + (1 - beta1) * g, m, grads)
        v = for_each(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, grads)
        params = for_each(lambda p, m, v: p - a * m / (sqrt(c * v) + EPS), params, m, v)
        return (params, m, v, t, buffers), value

    def means(self, losses):
        return np.asarray(losses).reshape(-1, self.workload.steps).mean(axis=1).tolist()

    def result(self, value, grads):
        squares = sum(float((grad**2).sum()) for grad in self.jax.tree.leaves(grads))
        return [float(value), squares**0.5]


class JaxStep(Jax):
    name = "JAX step"

    def compile(self):
        def step(state, losses, i, data, rows):
            state, value = self.step(state, data, rows)
            return state, losses.at[i].set(value), i + 1

        # The old state is given up, so that the new one may take its memory.
        self.compiled_step = self.jax.jit(step, donate_argnums=(0, 1, 2))
        self.compiled_gradient = self.jax.jit(self.value_and_gradient)
        self.step_on_batch = self.jax.jit(
            lambda state, x, y: self.step(state, (x, y), None), donate_argnums=0
        )

    def loop(self, seed, epochs):
        means = []
        for batches in self.orders(seed, epochs):
            losses = []
            for x, y in zip(self.X[batches], self.y[batches], strict=True):
                self.state, value = self.step_on_batch(self.state, x, y)
                losses.append(value)  # nobody waits for it
            means.append(float(self.jnp.stack(losses).mean()))
        return means

    def train(self, seed, epochs):
        if self.workload.from_python:
            return self.loop(seed, epochs)
        losses, i = self.jnp.zeros(epochs * self.workload.steps), self.jnp.int32(0)
        for batches in self.orders(seed, epochs):
            for rows in [None] if batches is None else batches.astype(np.int32):
                self.state, losses, i = self.compiled_step(self.state, losses, i, self.data, rows)
        return self.means(losses)

    def gradient(self, times):
        for _ in range(times):
            (value, _), grads = self.compiled_gradient(self.params, self.buffers, *self.data)
        return self.result(value, grads)


class JaxScan(Jax):
    name = "JAX scan"

    @staticmethod
    def refusal(workload):
        return "a scan needs all batches beforehand" if workload.from_python else ""

    def compile(self):
        scan = self.jax.lax.scan

        def train(state, data, orders, steps):
            return scan(lambda state, rows: self.step(state, data, rows), state, orders, steps)

        def gradients(params, data, times):
            def again(params, _):
                (value, _), grads = self.value_and_gradient(params, self.buffers, *data)
                # Without a change that XLA cannot know to be none, it would compute only once.
                params = self.jax.tree.map(lambda p, g: p - 0 * g, params, grads)
                return params, (value, grads)

            return scan(again, params, length=times)[1]

        self.compiled_training = self.jax.jit(train, donate_argnums=0, static_argnums=3)
        self.compiled_gradients = self.jax.jit(gradients, static_argnums=2)

    def train(self, seed, epochs):
        steps = epochs * self.workload.steps
        orders = None
        if not self.workload.full_batch:
            orders = np.concatenate(list(self.orders(seed, epochs))).astype(np.int32)
        self.state, values = self.compiled_training(self.state, self.data, orders, steps)
        return self.means(values)

    def gradient(self, times):
        last = self.compiled_gradients(self.params, self.data, times)
        return self.result(*self.jax.tree.map(lambda values: values[-1], last))

"""Compare training steps of an MLP with batch and layer normalization, with PyTorch and JAX.

64-128-128-10 with ReLU, BatchNorm behind the first layer and LayerNorm behind the second, batches
of 128 rows: gather, forward, loss, backward, Adam. First the losses are compared; then all work in
turn, with the same number of threads, and the least time of each counts.

    taskset -c 1 python -m benchmarks.peers.normalization --threads 1
"""

import argparse
from functools import partial
from time import perf_counter

import numpy as np

import chainrule as cr
from chainrule.cli.measurement.implementation import BETAS, EPS, LEARNING_RATE

ROWS, BATCH, INPUTS, WIDTH, CLASSES = 128 * 50, 128, 64, 128, 10
NORM_EPS, MOMENTUM = 1e-5, 0.1
SAME = 1e-3  # of losses in float32


def layers():
    first, second = cr.Linear(INPUTS, WIDTH), cr.Linear(WIDTH, WIDTH)
    norms = cr.BatchNorm(WIDTH, NORM_EPS, MOMENTUM), cr.LayerNorm(WIDTH, NORM_EPS)
    return first, norms[0], cr.ReLU(), second, norms[1], cr.ReLU(), cr.Linear(WIDTH, CLASSES)


def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, INPUTS), "float32")
    return X, np.argmax(X @ rng.standard_normal((INPUTS, CLASSES), "float32"), axis=1)


class Chainrule:
    name = "chainrule"

    def __init__(self, X, y):
        self.X, self.y, self.net = X, y, cr.Sequential(*layers(), seed=0)
        self.optimizer = cr.Adam(LEARNING_RATE, BETAS, EPS)

    def train(self, orders):
        """Train an epoch in each order; None for rows as they come."""
        shuffle, epochs = orders[0] is not None, len(orders)
        history = cr.fit(
            self.net, self.X, self.y, loss=cr.CrossEntropyLoss(), optimizer=self.optimizer,
            epochs=epochs, batch_size=BATCH, shuffle=shuffle, progress=False,
        )  # fmt: skip
        return history.loss


class PyTorch:
    name = "PyTorch eager"

    def __init__(self, X, y):
        import torch

        self.torch, self.X, self.y = torch, torch.from_numpy(X), torch.from_numpy(y)
        nn = torch.nn
        self.net = nn.Sequential(
            nn.Linear(INPUTS, WIDTH), nn.BatchNorm1d(WIDTH, NORM_EPS, MOMENTUM), nn.ReLU(),
            nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH, NORM_EPS), nn.ReLU(),
            nn.Linear(WIDTH, CLASSES),
        )  # fmt: skip
        state = cr.interop.torch.to_state_dict(cr.Sequential(*layers(), seed=0))
        self.net.load_state_dict(state)
        self.loss = torch.nn.CrossEntropyLoss()
        parameters = self.net.parameters()
        self.optimizer = torch.optim.Adam(parameters, LEARNING_RATE, BETAS, EPS, fused=True)
        self.forward = self.evaluate

    def evaluate(self, x, y):
        return self.loss(self.net(x), y)

    def train(self, orders):
        return [self.epoch(np.arange(ROWS) if o is None else o) for o in orders]

    def epoch(self, order):
        losses = []
        for rows in self.torch.from_numpy(order).reshape(-1, BATCH):
            self.optimizer.zero_grad()
            loss = self.forward(self.X[rows], self.y[rows])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        return float(self.torch.stack(losses).mean())


class CompiledPyTorch(PyTorch):
    name = "torch.compile"

    def __init__(self, X, y):
        super().__init__(X, y)
        self.forward = self.torch.compile(self.evaluate, dynamic=False)


class Jax:
    """A jitted step that Python calls, or a scan over the steps of an epoch."""

    def __init__(self, X, y, scans):
        import jax
        from jax import numpy as jnp

        self.name = "JAX scan" if scans else "JAX step"
        values = cr.Sequential(*layers(), seed=0).named_values()
        params = {name: jnp.array(v) for name, v in values.items() if "running" not in name}
        del params["1.num_batches_tracked"]
        running = {name: jnp.array(v) for name, v in values.items() if "running" in name}

        def normalized(x, axis):
            mean = x.mean(axis, keepdims=True)
            variance = ((x - mean) ** 2).mean(axis, keepdims=True)
            return (x - mean) / jnp.sqrt(variance + NORM_EPS), mean[0], variance[0]

        def loss(p, x, y):
            h = x @ p["0.weight"] + p["0.bias"]
            h, mean, variance = normalized(h, 0)
            h = jax.nn.relu(h * p["1.weight"] + p["1.bias"])
            h = h @ p["3.weight"] + p["3.bias"]
            h = jax.nn.relu(normalized(h, 1)[0] * p["4.weight"] + p["4.bias"])
            z = jax.nn.log_softmax(h @ p["6.weight"] + p["6.bias"])
            value = -jnp.take_along_axis(z, y[:, None], 1).mean()
            return value, {"1.running_mean": mean, "1.running_var": variance * BATCH / (BATCH - 1)}

        def step(state, rows):
            p, running, m, v, t = state
            (value, found), g = jax.value_and_grad(loss, has_aux=True)(
                p, self.X[rows], self.y[rows]
            )
            follow = partial(jax.tree.map, lambda old, new: old + MOMENTUM * (new - old))
            t, (beta1, beta2) = t + 1, BETAS
            m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, g)
            v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, g)
            a, c = LEARNING_RATE / (1 - beta1**t), 1 / (1 - beta2**t)
            p = jax.tree.map(lambda p, m, v: p - a * m / (jnp.sqrt(c * v) + EPS), p, m, v)
            return (p, follow(running, found), m, v, t), value

        self.X, self.y = jnp.array(X), jnp.array(y)
        m, v = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        self.state = params, running, m, v, jnp.float32(0)
        scan = jax.jit(lambda state, order: jax.lax.scan(step, state, order), donate_argnums=0)
        one = jax.jit(step, donate_argnums=0)
        self.epoch = scan if scans else partial(self.steps, one)
        self.jnp = jnp

    def steps(self, step, state, order):
        values = []
        for rows in order:
            state, value = step(state, rows)
            values.append(value)
        return state, self.jnp.stack(values)

    def train(self, orders):
        losses = []
        for order in orders:
            order = np.arange(ROWS) if order is None else order
            self.state, values = self.epoch(self.state, order.reshape(-1, BATCH))
            losses.append(float(values.mean()))
        return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="of chainrule and PyTorch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=4, help="in a round")
    options = parser.parse_args()
    cr.set_num_threads(options.threads)
    kinds = [
        Chainrule,
        PyTorch,
        CompiledPyTorch,
        partial(Jax, scans=False),
        partial(Jax, scans=True),
    ]
    X, y = data()
    made = []
    for kind in kinds:
        try:
            made.append(kind(X, y))
        except ImportError as error:
            print(error)
    for one in made:
        if one.name.startswith(("PyTorch", "torch")):
            one.torch.set_num_threads(options.threads)
    losses = {one.name: one.train([None, None]) for one in made}  # compiles
    for name, found in losses.items():
        np.testing.assert_allclose(found, losses["chainrule"], rtol=SAME, err_msg=name)
    least = dict.fromkeys(losses, np.inf)
    rng, steps = np.random.default_rng(0), options.epochs * ROWS // BATCH
    for _ in range(options.rounds):
        orders = [rng.permutation(ROWS) for _ in range(options.epochs)]
        for one in made:
            started = perf_counter()
            one.train(orders)
            least[one.name] = min(least[one.name], (perf_counter() - started) / steps)
    print(f"| {options.threads} threads | us a step | times chainrule's |")
    print("|---|---:|---:|")
    for name, seconds in least.items():
        print(f"| {name} | {seconds * 1e6:.0f} | {seconds / least['chainrule']:.2f} |")


if __name__ == "__main__":
    main()

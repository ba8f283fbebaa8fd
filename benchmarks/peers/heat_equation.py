"""Compare the time of training on a differential equation with JAX.

Both train the network of ``examples/heat_equation.py`` from the same parameters, with Adam at a
constant rate. First their losses are compared, then they work in turn, and the least time of each
counts. JAX does it by nested ``jvp`` under ``value_and_grad``, as one jitted step called from
Python, and as one jitted scan over all steps.

    python -m benchmarks.peers.heat_equation
"""

import importlib.util
import os
from pathlib import Path
from time import perf_counter

import numpy as np

import chainrule as cr

EXAMPLE = Path(__file__).parents[2] / "examples" / "heat_equation.py"
STEPS, ROUNDS, LR = 500, 7, 0.01
COMPARED, SAME = 100, 1e-3  # after so many steps; in float32 small differences grow


def load_example():
    specification = importlib.util.spec_from_file_location("heat_equation", EXAMPLE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class Chainrule:
    def __init__(self, example):
        self.example, self.problem = example, example.Problem()

    def train(self, steps):
        net, optimizer = self.example.network(), cr.Adam(lr=LR)
        losses = []
        for _ in range(steps):
            value, net.grads[:] = self.problem.loss(net)
            optimizer.step(net)
            losses.append(value)
        return losses


class Jax:
    def __init__(self, example):
        import jax
        from jax import numpy as jnp

        self.jax, self.jnp = jax, jnp
        problem = example.Problem()
        parameters = list(example.network().parameters().values())
        self.first = [jnp.asarray(p) for p in parameters]
        points = jnp.asarray(problem.points, "float32")
        known = jnp.asarray(problem.known[:, 0], "float32")
        inside = problem.inside

        def u(params, t, x):
            (w1, b1, w2, b2, w3, b3), z = params, jnp.stack([t, x])
            return (jnp.tanh(jnp.tanh(z @ w1 + b1) @ w2 + b2) @ w3 + b3)[0]

        def along(f, argument):
            """The derivative of f by its argument 0 or 1, in forward mode."""

            def derivative(*at):
                seeds = [jnp.float32(i == argument) for i in range(2)]
                return jax.jvp(f, at, tuple(seeds))[1]

            return derivative

        def loss(params):
            def of_place(t, x):
                return u(params, t, x)

            by_time, by_place_twice = along(of_place, 0), along(along(of_place, 1), 1)
            t, x = points[:inside].T
            residual = jax.vmap(by_time)(t, x) - example.DIFFUSIVITY * jax.vmap(by_place_twice)(
                t, x
            )
            error = jax.vmap(of_place)(*points[inside:].T) - known
            return (residual**2).mean() + 10 * (error**2).mean()

        def step(state, _):
            params, m, v, count = state
            value, grads = jax.value_and_grad(loss)(params)
            count += 1
            each = jax.tree.map
            m = each(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
            v = each(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
            a, c = LR / (1 - 0.9**count), 1 / (1 - 0.999**count)
            params = each(lambda p, m, v: p - a * m / (jnp.sqrt(c * v) + 1e-8), params, m, v)
            return (params, m, v, count), value

        self.step = step

    def start(self):
        zeros = [self.jnp.zeros_like(p) for p in self.first]
        return self.first, zeros, zeros, self.jnp.float32(0)


class JaxStep(Jax):
    def __init__(self, example):
        super().__init__(example)
        self.compiled = self.jax.jit(self.step)

    def train(self, steps):
        state, losses = self.start(), []
        for _ in range(steps):
            state, value = self.compiled(state, None)
            losses.append(value)
        return [float(value) for value in losses]


class JaxScan(Jax):
    def __init__(self, example):
        super().__init__(example)
        scan = self.jax.lax.scan
        self.compiled = self.jax.jit(
            lambda state, steps: scan(self.step, state, length=steps), static_argnums=1
        )

    def train(self, steps):
        return np.asarray(self.compiled(self.start(), steps)[1]).tolist()


def main():
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cr.set_num_threads(1)
    example = load_example()
    peers = {"chainrule": Chainrule, "JAX step": JaxStep, "JAX scan": JaxScan}
    working, first, losses = {}, {}, {}
    for name, kind in peers.items():
        started = perf_counter()
        working[name] = kind(example)
        losses[name] = working[name].train(STEPS)[COMPARED]
        first[name] = perf_counter() - started
        if not abs(losses[name] / losses["chainrule"] - 1) < SAME:
            raise AssertionError(f"{name} does another computation: {losses}")
    least = dict.fromkeys(peers, float("inf"))
    for _ in range(ROUNDS):
        for name, peer in working.items():
            started = perf_counter()
            peer.train(STEPS)
            least[name] = min(least[name], perf_counter() - started)
    print("|  | us a step | first 500 steps, s |\n|---|---|---|")
    for name, seconds in least.items():
        print(f"| {name} | {1e6 * seconds / STEPS:.0f} | {first[name]:.2f} |")


if __name__ == "__main__":
    main()

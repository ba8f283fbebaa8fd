"""Compare the time to train many small networks at once: 64 of 4-32-32-2, with JAX and PyTorch.

Each network has its own initial parameters and its own order of the 4,096 rows, and is trained for
20 epochs of 128 batches by Adam. First the losses of all networks are compared, then all
implementations work in turn, and the least time of each counts; so does the least CPU time, which
other programs on the machine disturb less.

    python -m benchmarks.peers.many_networks
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from time import perf_counter, process_time, sleep

import numpy as np

import chainrule as cr
from benchmarks.peers.jax_baseline import Jax
from benchmarks.peers.report import digits, table
from benchmarks.peers.torch_baseline import PyTorch
from chainrule.cli.measurement.implementation import BETAS, EPS, LEARNING_RATE, Implementation
from chainrule.cli.measurement.measure import PAUSE_SECONDS, assert_same
from chainrule.cli.measurement.threads import limit_threads, pin_to_cores
from chainrule.cli.measurement.workloads import WORKLOADS

WORKLOAD = replace(WORKLOADS["tiny"], epochs=20)
NETWORKS = 64
ROUNDS = 5
LONG_SECONDS = 30  # what takes longer is measured once


def initial_network(seed, workload):
    return cr.Sequential(*workload.network().layers, seed=seed)


class Threads:
    """A network after the other in each thread of a pool; the compiled code of `fit` needs no GIL.

    Parameters
    ----------
    workload : Workload
        The training of each network.
    networks, threads : int
    """

    name = "chainrule"

    def __init__(self, workload, networks, threads):
        self.workload, self.networks, self.threads = workload, networks, threads
        self.X, self.y = workload.data()

    def train(self):
        """Train all networks from the start; return their epochs' losses, (epochs, networks)."""
        with ThreadPoolExecutor(self.threads) as pool:
            return np.transpose(list(pool.map(self.train_in_thread, range(self.networks))))

    def train_in_thread(self, seed):
        with cr.threads(1):
            return self.train_one(seed)

    def train_one(self, seed):
        history = cr.fit(
            initial_network(seed, self.workload),
            self.X,
            self.y,
            loss=self.workload.loss,
            optimizer=cr.Adam(LEARNING_RATE, BETAS, EPS),
            epochs=self.workload.epochs,
            batch_size=self.workload.batch,
            seed=seed,
            progress=False,
        )
        return history.loss


class OneByOne(Threads):
    """The same in a loop, in which each `fit` may use all threads."""

    name = "chainrule, a loop"

    def train(self):
        return np.transpose([self.train_one(seed) for seed in range(self.networks)])


class Baseline:
    """Adds to a baseline for one network what it needs for many."""

    def __init__(self, workload, networks, threads):
        self.use_threads(threads)
        self.starts = [initial_network(seed, workload) for seed in range(networks)]
        Implementation.__init__(self, workload)

    def all_batches(self):
        """Return the rows of each batch of each network, of shape (networks, steps, batch)."""
        seeds = range(len(self.starts))
        each = [list(self.orders(seed, self.workload.epochs)) for seed in seeds]
        return np.array(each).reshape(len(each), -1, self.workload.batch)

    def epoch_means(self, losses):
        """Return the mean of each epoch, of losses of shape (steps, networks)."""
        losses = np.asarray(losses, np.float64)
        return losses.reshape(self.workload.epochs, self.workload.steps, -1).mean(axis=1)


class JaxVmap(Baseline, Jax):
    """One jitted scan over all steps, each of them a vmap over the networks."""

    name = "JAX vmap"

    def compile(self):
        jax = self.jax
        step = jax.vmap(self.step, in_axes=(0, None, 0))

        def train(state, data, orders):
            return jax.lax.scan(lambda state, rows: step(state, data, rows), state, orders)

        self.compiled = jax.jit(train, donate_argnums=0)

    def train(self):
        params = self.jnp.stack([self.as_vector(net.parameters()) for net in self.starts])
        m, v = self.jnp.zeros_like(params), self.jnp.zeros_like(params)
        state = params, m, v, self.jnp.zeros(len(self.starts)), self.buffers
        orders = self.all_batches().swapaxes(0, 1).astype(np.int32)
        return self.epoch_means(self.compiled(state, self.data, orders)[1])


class TorchLoop(Baseline, PyTorch):
    """A network after the other, as one alone is trained."""

    name = "PyTorch, a loop"

    def train(self):
        losses = []
        for seed, net in enumerate(self.starts):
            self.build(net.parameters())
            losses.append(PyTorch.train(self, seed, self.workload.epochs))
        return np.transpose(losses)


class TorchVmap(Baseline, PyTorch):
    """Each step a vmap of `torch.func` over the networks, and the fused Adam on all of them."""

    name = "PyTorch vmap"

    def build(self, parameters):
        torch = self.torch

        def loss(params, x, y):
            *hidden, (weight, bias) = zip(params[::2], params[1::2], strict=True)
            for w, b in hidden:
                x = torch.tanh(x @ w + b)
            return self.loss(x @ weight + bias, y)

        self.gradients = torch.func.vmap(torch.func.grad_and_value(loss))

    def train(self):
        torch = self.torch
        of_each = [list(net.parameters().values()) for net in self.starts]
        stacked = [torch.from_numpy(np.array(ps)) for ps in zip(*of_each, strict=True)]
        optimizer = torch.optim.Adam(stacked, LEARNING_RATE, BETAS, EPS, fused=True)
        losses = []
        for rows in torch.from_numpy(self.all_batches()).unbind(1):
            grads, values = self.gradients(stacked, self.inputs[rows], self.targets[rows])
            for parameter, grad in zip(stacked, grads, strict=True):
                parameter.grad = grad
            optimizer.step()
            losses.append(values)
        return self.epoch_means(torch.stack(losses))


KINDS = {kind.name: kind for kind in (Threads, OneByOne, JaxVmap, TorchVmap, TorchLoop)}


def measure(names, networks, threads, rounds):
    """Return by name the least time, the least CPU time, and the time of the first training."""
    pin_to_cores(threads)
    cr.set_num_threads(threads)
    working, first, losses = {}, {}, {}
    for name in names:
        started = perf_counter()
        working[name] = KINDS[name](WORKLOAD, networks, threads)
        losses[name] = working[name].train()
        first[name] = perf_counter() - started
    assert_same(WORKLOAD, losses)
    least = {name: np.full(2, np.inf) for name in names}
    for done in range(rounds):
        for name, implementation in working.items():
            if done > 0 and least[name][0] > LONG_SECONDS:
                continue
            sleep(PAUSE_SECONDS if threads > 1 else 0)
            started = np.array([perf_counter(), process_time()])
            implementation.train()
            seconds = np.array([perf_counter(), process_time()]) - started
            least[name] = np.minimum(least[name], seconds)
    return {name: (*least[name], first[name]) for name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="and cores")
    parser.add_argument("--implementations", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    rows = []
    for threads in options.threads:
        limit_threads(threads)
        with get_context("spawn").Pool(1) as pool:
            arguments = options.implementations, options.networks, threads, options.rounds
            measured = pool.apply(measure, arguments)
        for name, seconds in measured.items():
            rows.append([name, str(threads), *map(digits, seconds)])
    head = ["", "threads", f"{options.networks} networks, s", "CPU, s", "the first time, s"]
    print(table(head, rows))


if __name__ == "__main__":
    main()

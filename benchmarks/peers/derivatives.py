"""Compare the time of derivatives with torch.func and JAX, for the workload mnist, batch 128.

All compute the same (it is checked), with one thread, in float32; they work in turn, and the least
time of each counts. torch.func works eagerly; JAX is jitted. The last columns are multiples of
chainrule's own ``forward`` and of its ``value_and_grad``.

    python -m benchmarks.peers.derivatives
"""

import os
from time import perf_counter

import numpy as np

import chainrule as cr
from chainrule.cli.measurement.workloads import WORKLOADS

SECONDS, ROUNDS, SAME = 0.1, 4, 2e-3


def problem():
    workload = WORKLOADS["mnist"]
    X, y = workload.data()
    net = workload.network()
    rng = np.random.default_rng(1)
    v = rng.standard_normal(net.params.size, np.float32) / 100
    u = rng.standard_normal(X[: workload.batch].shape, np.float32)
    return net, workload.loss, X[: workload.batch], y[: workload.batch], v, u


def chainrule_calls(net, loss, x, y, v, u):
    theta, room = net.params.copy(), np.empty((len(x), net.params.size), np.float32)
    evaluate = cr.value_and_grad(net, loss)
    return {
        "forward": lambda: net.forward(x),
        "value_and_grad": lambda: evaluate(theta, x, y)[1],
        "jvp by x": lambda: cr.jvp(net, x, u, "x")[1],
        "jvp by the parameters": lambda: cr.jvp(net, x, v)[1],
        "hvp": lambda: cr.hvp(net, loss, x, y, v),
        "gauss_newton_vp": lambda: cr.gauss_newton_vp(net, loss, x, y, v),
        "per_sample_grad": lambda: cr.per_sample_grad(net, loss, x, y),
        "per_sample_grad into out": lambda: cr.per_sample_grad(net, loss, x, y, out=room),
        "per_sample_norms": lambda: cr.per_sample_norms(net, loss, x, y),
        "clipped_grad": lambda: cr.clipped_grad(net, loss, x, y, 1.0)[0],
        "jacobian by x": lambda: cr.jacobian(net, x, "x"),
        "jacobian by the parameters, 16 rows": lambda: cr.jacobian(net, x[:16]),
        "filling as much memory as per_sample_grad": lambda: room.fill(1),
    }


def torch_calls(net, loss, x, y, v, u):
    import torch
    from torch.func import grad, jacrev, jvp, vmap

    torch.set_num_threads(1)
    shapes = [p.shape for p in net.parameters().values()]
    sizes = [p.size for p in net.parameters().values()]
    theta, x, v, u = map(torch.from_numpy, (net.params.copy(), x, v, u))
    y = torch.from_numpy(y)

    def output(theta, x):
        parts = [p.reshape(s) for p, s in zip(theta.split(sizes), shapes, strict=True)]
        for w, b in zip(parts[:-2:2], parts[1:-2:2], strict=True):
            x = torch.relu(x @ w + b)
        return x @ parts[-2] + parts[-1]

    def mean_loss(theta, x, y):
        return torch.nn.functional.cross_entropy(output(theta, x), y)

    gradient = grad(mean_loss)
    samples = vmap(lambda t, x, y: gradient(t, x[None], y[None]), (None, 0, 0))

    def of_row(theta, x):
        return output(theta, x[None])[0]

    def gauss_newton():
        out, moved = jvp(lambda t: output(t, x), (theta,), (v,))
        cross_entropy = torch.nn.functional.cross_entropy
        _, curved = jvp(grad(lambda o: cross_entropy(o, y)), (out,), (moved,))
        return torch.func.vjp(lambda t: output(t, x), theta)[1](curved)[0]

    def clipped():
        g = samples(theta, x, y)
        return (g / g.norm(dim=1).clamp(min=1)[:, None]).sum(0)

    calls = {
        "forward": lambda: output(theta, x),
        "value_and_grad": lambda: gradient(theta, x, y),
        "jvp by x": lambda: jvp(lambda x: output(theta, x), (x,), (u,))[1],
        "jvp by the parameters": lambda: jvp(lambda t: output(t, x), (theta,), (v,))[1],
        "hvp": lambda: jvp(lambda t: gradient(t, x, y), (theta,), (v,))[1],
        "gauss_newton_vp": gauss_newton,
        "per_sample_grad": lambda: samples(theta, x, y),
        "per_sample_norms": lambda: samples(theta, x, y).norm(dim=1),
        "clipped_grad": clipped,
        "jacobian by x": lambda: vmap(jacrev(of_row, argnums=1), (None, 0))(theta, x),
        "jacobian by the parameters, 16 rows": lambda: vmap(jacrev(of_row), (None, 0))(
            theta, x[:16]
        ),
    }
    return {name: lambda call=call: call().detach().numpy() for name, call in calls.items()}


def jax_calls(net, loss, x, y, v, u):
    import jax
    from jax import numpy as jnp

    shapes = [p.shape for p in net.parameters().values()]
    ends = np.cumsum([p.size for p in net.parameters().values()])[:-1].tolist()
    theta, x, y, v, u = map(jnp.asarray, (net.params.copy(), x, y, v, u))

    def output(theta, x):
        parts = [p.reshape(s) for p, s in zip(jnp.split(theta, ends), shapes, strict=True)]
        for w, b in zip(parts[:-2:2], parts[1:-2:2], strict=True):
            x = jax.nn.relu(x @ w + b)
        return x @ parts[-2] + parts[-1]

    def loss_of_output(out, y):
        return -jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1).mean()

    def mean_loss(theta, x, y):
        return loss_of_output(output(theta, x), y)

    gradient = jax.grad(mean_loss)
    samples = jax.vmap(lambda t, x, y: gradient(t, x[None], y[None]), (None, 0, 0))

    def of_row(theta, x):
        return output(theta, x[None])[0]

    def gauss_newton(theta, x, y, v):
        out, moved = jax.jvp(lambda t: output(t, x), (theta,), (v,))
        _, curved = jax.jvp(jax.grad(lambda o: loss_of_output(o, y)), (out,), (moved,))
        return jax.vjp(lambda t: output(t, x), theta)[1](curved)[0]

    def clipped(theta, x, y):
        g = samples(theta, x, y)
        return (g / jnp.maximum(1, jnp.linalg.norm(g, axis=1))[:, None]).sum(0)

    functions = {
        "forward": (output, theta, x),
        "value_and_grad": (gradient, theta, x, y),
        "jvp by x": (lambda t, x, u: jax.jvp(lambda x: output(t, x), (x,), (u,))[1], theta, x, u),
        "jvp by the parameters": (
            lambda t, x, v: jax.jvp(lambda t: output(t, x), (t,), (v,))[1],
            *(theta, x, v),
        ),
        "hvp": (
            lambda t, x, y, v: jax.jvp(lambda t: gradient(t, x, y), (t,), (v,))[1],
            *(theta, x, y, v),
        ),
        "gauss_newton_vp": (gauss_newton, theta, x, y, v),
        "per_sample_grad": (samples, theta, x, y),
        "per_sample_norms": (
            lambda t, x, y: jnp.linalg.norm(samples(t, x, y), axis=1),
            *(theta, x, y),
        ),
        "clipped_grad": (clipped, theta, x, y),
        "jacobian by x": (jax.vmap(jax.jacrev(of_row, argnums=1), (None, 0)), theta, x),
        "jacobian by the parameters, 16 rows": (
            jax.vmap(jax.jacrev(of_row), (None, 0)),
            *(theta, x[:16]),
        ),
    }
    calls = {}
    for name, (function, *arguments) in functions.items():
        compiled = jax.jit(function)
        calls[name] = lambda f=compiled, a=arguments: np.asarray(f(*a).block_until_ready())
    return calls


def main():
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cr.set_num_threads(1)
    given = problem()
    peers = {
        "chainrule": chainrule_calls(*given),
        "torch.func": torch_calls(*given),
        "JAX": jax_calls(*given),
    }
    names = list(peers["chainrule"])
    least = {peer: dict.fromkeys(calls, np.inf) for peer, calls in peers.items()}
    for name in names:
        working = {peer: calls[name] for peer, calls in peers.items() if name in calls}
        results = {peer: call() for peer, call in working.items()}
        for peer, result in results.items():
            mine = results["chainrule"]
            if mine is not None and not np.abs(result - mine).max() <= SAME * np.abs(mine).max():
                raise AssertionError(f"{peer} computes another {name}.")
        for _ in range(ROUNDS):
            for peer, call in working.items():
                end = perf_counter() + SECONDS
                while (started := perf_counter()) < end:
                    call()
                    least[peer][name] = min(least[peer][name], perf_counter() - started)
    mine = least["chainrule"]
    print(f"| us | {' | '.join(peers)} | forwards | gradients |\n|---|{'---|' * 5}")
    for name in names:
        cells = [f"{1e6 * least[peer][name]:.0f}" if name in least[peer] else "" for peer in peers]
        for unit in ("forward", "value_and_grad"):
            cells.append(f"{mine[name] / mine[unit]:.2f}")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

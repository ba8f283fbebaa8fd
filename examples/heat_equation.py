"""The heat equation
=================

A network that solves the heat equation, knowing nothing but the equation.

A rod of length 1 begins with the temperature sin(pi x), and its ends are kept at 0. The network
u(t, x) is trained until ``du/dt - 0.1 d2u/dx2`` is near zero at random points, and u is what it
must be at the start and at the ends (Raissi, Perdikaris and Karniadakis, *Physics-informed neural
networks*, Journal of Computational Physics 378, 2019). The solution is known, to compare with.
"""

from time import perf_counter

import numpy as np

import chainrule as cr

DIFFUSIVITY = 0.1
VALUE, BY_TIME, BY_PLACE_TWICE = (), (0,), (1, 1)  # of u(t, x)


def exact(points):
    t, x = points.T
    return np.exp(-DIFFUSIVITY * np.pi**2 * t) * np.sin(np.pi * x)


class Problem:
    """Points inside, where the equation holds, and points at the edge, where u is known."""

    def __init__(self, inside=400, edge=40, seed=0):
        rng = np.random.default_rng(seed)
        t, x = rng.uniform(size=(2, edge))
        edges = [(0 * x, x), (t, 0 * t), (t, 0 * t + 1)]
        known = np.concatenate([np.stack(points, axis=1) for points in edges])
        self.points = np.concatenate([rng.uniform(size=(inside, 2)), known])
        self.inside = inside
        self.known = exact(known)[:, np.newaxis]

    def loss(self, net):
        """Return the mean squares of residual and error, and their gradient by the parameters."""
        derivatives = [VALUE, BY_TIME, BY_PLACE_TWICE]
        (u, u_t, u_xx), pullback = cr.input_derivatives(net, self.points, derivatives)
        residual = u_t - DIFFUSIVITY * u_xx
        residual[self.inside :] = 0
        error = np.zeros_like(u)
        error[self.inside :] = u[self.inside :] - self.known
        weight, weight_of_error = 1 / self.inside, 10 / len(self.known)
        value = weight * (residual**2).sum() + weight_of_error * (error**2).sum()
        d_residual = 2 * weight * residual
        d_params, _ = pullback([2 * weight_of_error * error, d_residual, -DIFFUSIVITY * d_residual])
        return value, d_params


def network():
    hidden = (cr.Linear(2, 20), cr.Tanh(), cr.Linear(20, 20), cr.Tanh())
    return cr.Sequential(*hidden, cr.Linear(20, 1), seed=0)


def train(net, problem, steps=2000, lr=0.01):
    optimizer = cr.Adam(lr=lr)
    for step in range(steps):
        optimizer.lr = lr * (1 - step / steps)
        value, net.grads[:] = problem.loss(net)
        optimizer.step(net)
    return value


def error_of(net):
    """Return the error on a grid, relative to the solution, both as Euclidean norms."""
    line = np.linspace(0, 1, 50)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return np.linalg.norm(net.predict(grid)[:, 0] - exact(grid)) / np.linalg.norm(exact(grid))


def main():
    net, problem = network(), Problem()
    problem.loss(net)  # compiles or loads
    started = perf_counter()
    value = train(net, problem)
    seconds = perf_counter() - started
    error = error_of(net)
    print(f"loss {value:.1e}, error {error:.2%}, {seconds:.1f} s")
    return error


if __name__ == "__main__":
    main()

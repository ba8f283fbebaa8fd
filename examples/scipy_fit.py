"""A fit by SciPy
==============

A small regression, fitted to machine precision by SciPy's optimizers.

Thirty measurements of four quantities, and a network with more parameters than that: an exact fit
exists, and what is left of the error is rounding. In an environment with
``pip install "chainrule[scipy]"``: ``python examples/scipy_fit.py``
"""

from time import perf_counter

import numpy as np
from scipy.optimize import least_squares, minimize

import chainrule as cr

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(30, 4))
y = np.sin(3 * X.sum(axis=1)) + X[:, 0] * X[:, 1]

net = cr.Sequential(cr.Linear(4, 16), cr.Tanh(), cr.Linear(16, 1), seed=0, dtype="float64")
objective = cr.objective(net, cr.MSELoss(), X, y)


def quasi_newton():
    """Gradients only; it learns the curvature from how they change. Its tolerances are off."""
    options = {"ftol": 0, "gtol": 0, "maxcor": 20, "maxiter": 5000}
    return minimize(objective.fun, objective.start, jac=True, method="L-BFGS-B", options=options)


def newton():
    """Newton's steps by conjugate gradients, with exact products by the Hessian."""
    return _with_products("Newton-CG", {"xtol": 1e-12})


def trust_region():
    """Newton's steps as far as the quadratic model is to be trusted."""
    return _with_products("trust-krylov", {"gtol": 1e-7})


def _with_products(method, options):
    given = {"jac": True, "hessp": objective.hessp, "method": method, "options": options}
    return minimize(objective.fun, objective.start, **given)


def gauss_newton():
    """The derivatives of each residual, not only of the sum of their squares."""
    tolerances = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}
    return least_squares(objective.residuals, objective.start, objective.jac, **tolerances)


def main():
    print(f"{'':13} {'mean square':>11} {'largest error':>13} {'calls':>5} {'seconds':>7}")
    errors = {}
    objective.fun(objective.start)  # compiles or loads
    for method in (quasi_newton, newton, trust_region, gauss_newton):
        started = perf_counter()
        result = method()
        seconds = perf_counter() - started
        net.params = result.x
        error = net.predict(X)[:, 0] - y
        errors[method.__name__] = np.abs(error).max()
        print(
            f"{method.__name__:13} {np.mean(error**2):11.1e} {np.abs(error).max():13.1e} "
            f"{result.nfev:5} {seconds:7.2f}"
        )
    return errors


if __name__ == "__main__":
    main()

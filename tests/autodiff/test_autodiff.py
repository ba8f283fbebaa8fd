"""Derivatives of networks are those of torch.func: golden/README.md tells what is compared."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

TESTS = Path(__file__).parents[1]
SHARED = runpy.run_path(str(TESTS / "test_golden.py"))  # how cases are built
CASES, build = SHARED["DATA"]["OF_ONE_INPUT"], SHARED["build"]
of_each_head = SHARED["of_each_head"]
TOLERANCE = 1e-11
FEW = 40  # parameters, of which the whole Hessian is compared

each_backend = pytest.mark.parametrize("backend", ["numba", "numpy"])

with np.load(TESTS / "golden" / "derivatives.npz") as file:
    GOLDEN = SHARED["GOLDEN"] | dict(file)


class Built:
    """A case: its network, which is elsewhere than at the golden parameters, and golden values."""

    def __init__(self, case, backend):
        prefix = f"{case.name}/"
        self.golden = {k.removeprefix(prefix): v for k, v in GOLDEN.items() if k.startswith(prefix)}
        self.net, self.loss, _ = build(case, backend)
        self.params = self.net.params.copy()
        self.net.params = np.zeros_like(self.params)
        self.x, self.y = self.golden["x"], self["y"]
        self.weighted = {"sample_weight": self.golden.get("sample_weight")}
        self.at = {"params": self.params}

    def __getitem__(self, key):
        return of_each_head(self.golden, key)

    def agree(self, actual, name):
        expected = self[name]
        if not isinstance(expected, tuple):
            actual, expected = (actual,), (expected,)
        for mine, exact in zip(actual, expected, strict=True):
            assert mine.shape == exact.shape
            bound = TOLERANCE * max(1.0, abs(exact).max())
            np.testing.assert_allclose(mine, exact, TOLERANCE, bound, err_msg=name)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def built(request, backend):
    result = Built(request.param, backend)
    yield result
    assert not result.net.params.any()
    assert not result.net.grads.any()


@each_backend
def test_first_derivatives(built):
    evaluate = cr.value_and_grad(built.net, built.loss, wrt=("x", "params"))
    value, (d_x, d_params) = evaluate(built.params, built.x, built.y, **built.weighted)
    assert value == pytest.approx(built.golden["losses"][0], rel=TOLERANCE)
    built.agree(d_x, "gradient_x")
    built.agree(d_params, "gradient_params")

    output, pullback = cr.vjp(built.net, built.x, **built.at)
    built.agree(output, "output")
    for _ in range(2):
        d_params, d_x = pullback(built["d_output_of_vjp"])
        built.agree(d_params, "vjp_params")
        built.agree(d_x, "vjp_x")

    v, u = built.golden["v"], built.golden["u"]
    for wrt, tangent, name in (
        ("params", v, "params"),
        ("x", u, "x"),
        (("x", "params"), (u, v), "both"),
    ):
        output, d_output = cr.jvp(built.net, built.x, tangent, wrt, **built.at)
        built.agree(output, "output")
        built.agree(d_output, f"jvp_{name}")

    built.agree(cr.jacobian(built.net, built.x, **built.at), "jacobian_params")
    built.agree(cr.jacobian(built.net, built.x, "x", **built.at), "jacobian_x")


@each_backend
def test_second_derivatives(built):
    v, u = built.golden["v"], built.golden["u"]
    problem = built.net, built.loss, built.x, built.y
    options = built.weighted | built.at
    built.agree(cr.hvp(*problem, v, **options), "hvp_params_0")
    built.agree(cr.hvp(*problem, u, "x", **options), "hvp_x_0")
    both = cr.hvp(*problem, (v, u), ("params", "x"), **options)
    for part, product in enumerate(both):
        built.agree(product, f"hvp_both_{part}")
    by_x = cr.hessian(*problem, "x", **options)
    built.agree(np.tensordot(by_x, u, u.ndim), "hvp_x_0")
    if built.params.size <= FEW:
        built.agree(cr.hessian(*problem, **options) @ v, "hvp_params_0")
    built.agree(cr.gauss_newton_vp(*problem, v, **options), "gauss_newton")

    if "hessian_x" not in built.golden:  # several outputs
        return
    by_x = cr.hessian_x(built.net, built.x, **built.at)
    built.agree(by_x, "hessian_x")
    rows, outputs = built.golden["output"].shape
    width = u[0].size
    traces = by_x.reshape(rows, outputs, width, width).trace(axis1=2, axis2=3)
    np.testing.assert_allclose(cr.laplacian(built.net, built.x, **built.at), traces, 1e-9, 1e-9)


@each_backend
def test_fisher(built):
    product = cr.fisher_vp(
        built.net, built.loss, built.x, built.golden["v"], **built.weighted, **built.at
    )
    np.testing.assert_allclose(product, built.golden["fisher"], 1e-9, 1e-9)


@each_backend
def test_samples(built):
    problem = built.net, built.loss, built.x, built.y
    gradients = cr.per_sample_grad(*problem, **built.at)
    built.agree(gradients, "per_sample")
    norms = np.linalg.norm(gradients, axis=1)
    np.testing.assert_allclose(cr.per_sample_norms(*problem, **built.at), norms, rtol=1e-12)
    bound = np.median(norms)
    clipped, found = cr.clipped_grad(*problem, bound, **built.at)
    np.testing.assert_allclose(found, norms, rtol=1e-12)
    expected = (gradients * np.minimum(1, bound / norms)[:, None]).sum(axis=0)
    np.testing.assert_allclose(clipped, expected, rtol=1e-10, atol=1e-12)

"""Single layers and losses against what PyTorch computes; what an operation's own few files are."""

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

GOLDEN = json.loads((Path(__file__).parent / "golden" / "operations.json").read_text())
LAYER_CASES = [case for case in GOLDEN if "layer" in case]
LOSS_CASES = [case for case in GOLDEN if "loss" in case]
both_backends = pytest.mark.parametrize("backend", ["numba", "numpy"])


def name_of(case):
    return f"{case.get('layer') or case['loss']}-{case['options']}"


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@both_backends
@pytest.mark.parametrize("case", LAYER_CASES, ids=name_of)
def test_layer_is_as_in_pytorch(case, backend):
    layer = getattr(cr, case["layer"])(**case["options"])
    net = cr.Sequential(layer, seed=0, dtype="float64", backend=backend)
    x, y, loss = np.array(case["x"]), np.array(case["y"]), cr.MSELoss()
    close(net.predict(x), case["output"])
    value, (d_x, d_params) = cr.value_and_grad(net, loss, wrt=("x", "params"))(net.params, x, y)
    close(value, case["value"])
    close(d_x, case["gradient"])
    expected = [np.array(array).reshape(-1) for array in case["d_parameters"]]
    close(d_params, np.concatenate([*expected, []]))
    close(cr.hvp(net, loss, x, y, np.array(case["direction"]), wrt="x"), case["hessian_product"])


@both_backends
@pytest.mark.parametrize("case", LOSS_CASES, ids=name_of)
def test_loss_is_as_in_pytorch(case, backend):
    loss, output, y = getattr(cr, case["loss"])(**case["options"]), case["output"], case["y"]
    value, d_output = loss(output, y)
    close(value, case["value"])
    close(d_output, case["gradient"])
    net = cr.Sequential(cr.Identity(), dtype="float64", backend=backend)
    value, d_x = cr.value_and_grad(net, loss, wrt="x")(net.params, output, y)
    close(value, case["value"])
    close(d_x, case["gradient"])
    found = cr.hvp(net, loss, output, y, np.array(case["direction"]), wrt="x")
    close(found, case["hessian_product"])

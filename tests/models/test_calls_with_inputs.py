"""Small batches of several inputs, called again from Python: the same bits, the short way."""

import copy

import numpy as np
import pytest
from several_inputs import COMPUTED, ROWS, Problem, every_network, flat

import chainrule as cr
from chainrule.kernels.jit import JIT_DISABLED

REPEATED = sorted(COMPUTED.keys() - {"fit", "objective"})


def rows_of(p, rows):
    """Return the same problem with the first rows only."""
    part = copy.copy(p)
    part.x, part.u = (tuple(array[:rows] for array in own) for own in (p.x, p.u))
    part.y = tuple(array[:rows] for array in p.y) if isinstance(p.y, tuple) else p.y[:rows]
    return part


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_network
@pytest.mark.parametrize("what", REPEATED)
def test_a_call_again_gives_the_same_bits(kind, dtype, what):
    """Lists are no batches that are prepared for; batches with fewer rows come in between."""
    p = Problem(kind, dtype=dtype)
    net, by_lists = p.net, p.net.copy()
    for rows in (ROWS, ROWS, 4, ROWS, 4, 4):
        part = rows_of(p, rows)
        found = COMPUTED[what](net, part.x, part)
        expected = COMPUTED[what](by_lists, tuple(array.tolist() for array in part.x), part)
        assert flat(found).tobytes() == flat(expected).tobytes()


@pytest.mark.skipif(JIT_DISABLED, reason="Python is called the long way")
@pytest.mark.parametrize("kind", ["image and table", "three", "siamese"])
def test_a_call_again_is_prepared(kind, monkeypatch):
    p = Problem(kind, dtype="float32", rows=1)
    x = tuple(array.astype("float32") for array in p.x)
    step, evaluate = cr.train_step(p.net, p.loss, cr.Adam()), cr.value_and_grad(p.net, p.loss, "x")
    called = {
        "predict": lambda: p.net.predict(x),
        "forward": lambda: p.net.forward(x),
        "train_step": lambda: step(x, p.y),
        "value_and_grad": lambda: evaluate(p.net.params, x, p.y),
        "hvp": lambda: cr.hvp(p.net, p.loss, x, p.y, p.u, "x"),
        "jacobian": lambda: cr.jacobian(p.net, x, "x"),
        "by parameters": lambda: cr.jacobian(p.net, x),
    }
    for call in called.values():
        call()
        call()
    monkeypatch.setattr(cr.Sequential, "check_input", None)  # the long way begins with it
    for call in called.values():
        call()
    with pytest.raises(TypeError, match="not callable"):
        p.net.predict(tuple(array[:, :1] for array in x))


def test_large_batches_are_not_copied():
    net = cr.Sequential(cr.Inputs(cr.Linear(600, 2), cr.Linear(3, 2)), cr.Linear(4, 1), seed=0)
    small, large = (
        (np.ones((rows, 600), "float32"), np.ones((rows, 3), "float32")) for rows in (8, 1000)
    )
    for x in (small, large, small, large):
        expected = net.copy().predict(x)
        for _ in range(2):
            assert (net.forward(x) == expected).all()
            assert (net.predict(x) == expected).all()

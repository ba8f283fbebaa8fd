"""The examples run, and find what they say."""

import runpy
from pathlib import Path

import pytest

from chainrule.kernels.jit import JIT_DISABLED

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.skipif(JIT_DISABLED, reason="takes 8 s, and test_objective.py has it in small")
def test_scipy_fit(capsys):
    pytest.importorskip("scipy")
    errors = runpy.run_path(str(EXAMPLES / "scipy_fit.py"))["main"]()
    assert errors["quasi_newton"] < 1e-12
    assert errors["gauss_newton"] < 1e-12
    assert errors["newton"] < 1e-4
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(errors)

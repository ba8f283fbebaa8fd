"""The examples run, and find what they say."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.kernels.jit import JIT_DISABLED

pytestmark = pytest.mark.once

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.skipif(JIT_DISABLED, reason="takes 8 s, and test_objective.py has it in small")
def test_scipy_fit(capsys):
    pytest.importorskip("scipy")
    errors = runpy.run_path(str(EXAMPLES / "scipy_fit.py"))["main"]()
    assert errors["quasi_newton"] < 1e-12
    assert errors["gauss_newton"] < 1e-12
    assert errors["newton"] < 1e-4
    assert errors["trust_region"] < 1e-4
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(errors)


@pytest.mark.skipif(JIT_DISABLED, reason="takes long, and test_autodiff.py has its derivatives")
def test_heat_equation(capsys):
    assert runpy.run_path(str(EXAMPLES / "heat_equation.py"))["main"]() < 0.01
    assert capsys.readouterr().out.startswith("loss")


@pytest.mark.skipif(JIT_DISABLED, reason="takes long")
def test_policy_gradient(capsys):
    pytest.importorskip("gymnasium")
    example = runpy.run_path(str(EXAMPLES / "policy_gradient.py"))
    lengths = example["main"]()
    assert np.mean(lengths[-40:]) > 400 > 10 * np.mean(lengths[:8])
    assert capsys.readouterr().out.startswith(f"{np.mean(lengths[:8]):.0f} steps at first")


@pytest.mark.skipif(JIT_DISABLED, reason="takes long")
def test_images(capsys):
    errors = runpy.run_path(str(EXAMPLES / "images.py"))["main"]()
    assert sum(errors["convolutions"]) < 0.8 * sum(errors["perceptron"])
    assert len(capsys.readouterr().out.splitlines()) == len(errors)


@pytest.mark.skipif(JIT_DISABLED, reason="takes long")
def test_signals(capsys):
    pytest.importorskip("pyts")
    accuracies = runpy.run_path(str(EXAMPLES / "signals.py"))["main"]()
    assert np.mean(accuracies) > 0.97
    assert "100.0%" in capsys.readouterr().out


def test_the_gradient_of_a_policy_is_that_of_its_loss():
    pytest.importorskip("gymnasium")
    gradient = runpy.run_path(str(EXAMPLES / "policy_gradient.py"))["gradient_by_logits"]
    rng = np.random.default_rng(0)
    logits, actions = rng.normal(size=(6, 2)), rng.integers(0, 2, 6)
    advantages = rng.normal(size=6)

    def loss(logits):
        chosen = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -(advantages * chosen[np.arange(6), actions]).mean()

    cr.gradcheck(loss, lambda logits: gradient(logits, actions, advantages), logits)


@pytest.mark.skipif(JIT_DISABLED, reason="takes long")
def test_mixed_table(capsys):
    pytest.importorskip("plotly")
    pytest.importorskip("pandas")
    errors = runpy.run_path(str(EXAMPLES / "mixed_table.py"))["main"](seeds=1)
    assert errors["embedded"] < 2.5 < 5 < errors["without_country"]
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(errors)


def test_from_numpy(capsys):
    losses, seconds = runpy.run_path(str(EXAMPLES / "from_numpy.py"))["main"]((8, 6, 5, 3), 3, 1)
    assert len(losses) == len(seconds) == 6  # and each agrees with NumPy's, or it had raised
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(seconds)


def test_the_page_about_it_shows_its_code():
    files = EXAMPLES / "from_numpy.py", EXAMPLES.parent / "docs" / "from-numpy.md"
    source, page = (
        re.sub("^ +", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE) for path in files
    )
    shown = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(shown) == 9
    for code in shown:
        assert code in source

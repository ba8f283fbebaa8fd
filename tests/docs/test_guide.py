"""The guides' examples do what they say, and the figures are those that they make."""

import importlib.util
import re
from pathlib import Path

import pytest

from chainrule.kernels.jit import JIT_DISABLED

pytestmark = pytest.mark.once

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def run_guide():
    specification = importlib.util.spec_from_file_location("run_guide", DOCS / "run_guide.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_chain_rule(run_guide, tmp_path):
    pytest.importorskip("matplotlib")
    guide = DOCS / "chain-rule.md"
    result = run_guide.run(guide, tmp_path)
    assert result.attempted > 20
    assert result.failed == 0
    shown = re.findall(r"\(figures/(\S+)\)", guide.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.name for path in tmp_path.iterdir())
    assert all((DOCS / "figures" / name).is_file() for name in shown)


@pytest.mark.parametrize(
    ("guide", "needs"),
    [
        ("arrays.md", "pandas"),
        ("derivatives.md", "numpy"),
        ("from-pytorch.md", "numpy"),
        ("graphs.md", "numpy"),
        ("inside-pytorch.md", "torch"),
        ("many-networks.md", "numpy"),
        ("onnx.md", "onnx"),
        ("ops.md", "numpy"),
        ("own-layers.md", "numpy"),
        ("saving.md", "numpy"),
        ("scipy.md", "scipy"),
        ("tables.md", "sklearn"),
        pytest.param(
            "training.md",
            "pandas",
            marks=pytest.mark.skipif(JIT_DISABLED, reason="some thousand steps"),
        ),
    ],
)
def test_short_guides(run_guide, tmp_path, guide, needs):
    pytest.importorskip(needs)
    result = run_guide.run(DOCS / guide, tmp_path)
    assert result.attempted > 5
    assert result.failed == 0


def test_a_wrong_output_is_noticed(run_guide, tmp_path, capsys):
    guide = tmp_path / "guide.md"
    guide.write_text("```pycon\n>>> print(1 + 1, end='\\n\\n3')\n2\n\n3\n```\n")
    assert run_guide.run(guide, tmp_path).failed == 0
    guide.write_text("```pycon\n>>> 1 + 1\n3\n```\n")
    assert run_guide.run(guide, tmp_path).failed == 1
    assert "Expected:" in capsys.readouterr().out

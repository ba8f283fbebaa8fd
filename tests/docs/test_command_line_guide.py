"""The guide to the command line: its commands do what it shows."""

import doctest
import re
import runpy
import shlex
from pathlib import Path

import pytest

from chainrule import cli

GUIDE = Path(__file__).parents[2] / "docs" / "command-line.md"
BLOCKS = re.findall(r"^```console\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)
COMMANDS = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(BLOCKS), re.M)


def test_commands(tmp_path, monkeypatch, capsys):
    guide = runpy.run_path(str(GUIDE.parent / "run_guide.py"))
    assert guide["run"](GUIDE, tmp_path).failed == 0
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 8
    capsys.readouterr()
    for command, expected in COMMANDS:
        assert cli.main(shlex.split(command)[1:]) == 0
        shown = capsys.readouterr().out
        if not doctest.OutputChecker().check_output(expected, shown, guide["OPTIONS"]):
            pytest.fail(f"$ {command}\n{shown}")

"""Trainings that are killed go on as if they had never stopped: a few moments of the script's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "kill_and_resume.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_killed_trainings_go_on(threads):
    options = "--moments", "3", "--width", "256", "--threads", threads
    done = subprocess.run(
        [sys.executable, SCRIPT, *options], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 kills")

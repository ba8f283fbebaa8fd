"""The command line as a process whose reader goes away."""

import os
import shlex
import subprocess
import sys

import numpy as np
import pytest

from chainrule import cli


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_goes_away(tmp_path):
    model, table = tmp_path / "model.safetensors", tmp_path / "table.csv"
    rows = np.random.default_rng(0).normal(size=(20000, 3))
    np.savetxt(table, rows, "%.5f", ",", header="a,b,c", comments="")
    quick = ["--epochs=1", "--hidden=", "--batch-size=1000"]
    assert cli.main(["train", str(table), "--target=c", f"--out={model}", *quick]) == 0
    with subprocess.Popen(
        [sys.executable, "-m", "chainrule", "predict", model, table],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline().split() == [b"c"]
        process.stdout.close()
        error = process.stderr.read()
        process.wait(60)
    assert process.returncode == 0
    assert error == b""


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
def test_nobody_listens():
    command = f"exec {shlex.quote(sys.executable)} -m chainrule info >&- 2>&-"
    assert subprocess.run(command, shell=True).returncode == 0

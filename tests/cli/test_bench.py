"""chainrule bench: measures itself and installed baselines, and refuses wrong arguments."""

import json
import re
from pathlib import Path

import benchmarks.peers
import pytest

from chainrule.cli import bench, main


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    """Also where the package that is tested is installed elsewhere."""
    monkeypatch.setattr(bench, "ROOT", Path(__file__).parents[2])


def test_it_measures_beside_numpy(capfd):
    arguments = ["bench", "--workloads", "tiny", "--baselines", "numpy", "--rounds", "1", "--json"]
    assert main(arguments) == 0
    out, _ = capfd.readouterr()
    (result,) = json.loads(out)["results"]
    assert result["workload"] == "tiny"
    assert list(result["microseconds"]) == ["chainrule", "NumPy"]
    assert min(result["microseconds"].values()) > 0


def test_without_the_repository_it_measures_itself(capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    assert main(["bench", "--workloads", "tiny", "--rounds", "1", "--json"]) == 0
    (result,) = json.loads(capfd.readouterr().out)["results"]
    assert list(result["microseconds"]) == ["chainrule"]
    assert main(["bench", "--baselines", "numpy"]) == 2
    assert "--baselines needs chainrule's repository" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "0"], "--threads must be at least 1"),
        (["--threads", "100000"], "this machine has"),
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--baselines", "numpy", "caffe"], "--baselines must be of numpy, .*, not caffe"),
        (["--baselines", "torch"], "The package of torch is not installed"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, message, capsys, monkeypatch):
    monkeypatch.setitem(benchmarks.peers.PACKAGES, "torch", "no_such_package")
    assert main(["bench", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)

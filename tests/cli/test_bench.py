"""chainrule bench: measures peers that are there, and refuses what cannot be measured."""

import json

import pytest

import chainrule.bench
from chainrule.cli import main


def test_it_measures_beside_numpy(capfd):
    arguments = ["bench", "--workloads", "tiny", "--peers", "numpy", "--rounds", "1", "--json"]
    assert main(arguments) == 0
    out, _ = capfd.readouterr()
    (result,) = json.loads(out)["results"]
    assert result["workload"] == "tiny"
    assert list(result["microseconds"]) == ["chainrule", "NumPy"]
    assert min(result["microseconds"].values()) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "0"], "--threads must be at least 1"),
        (["--threads", "100000"], "this machine has"),
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--peers", "torch"], "The package of torch is not installed"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, message, capsys, monkeypatch):
    monkeypatch.setitem(chainrule.bench.PACKAGES, "torch", "no_such_package")
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err

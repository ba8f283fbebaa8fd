"""Ctrl-C in a script that trains, by signals from outside, as a terminal sends them."""

import os
import signal
import subprocess
import sys

import pytest

import chainrule as cr

pytestmark = [pytest.mark.once, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]

SCRIPT = """
import sys
import numpy as np
import chainrule as cr
from chainrule.utils import interruption

interruption.SECOND_WITHIN = {SECONDS}

class Say(cr.Callback):
    every = 1
    def on_steps(self, training):
        if training.step == 1:
            print("trains", flush=True)

X = np.ones((64, 4))
options = {"loss": cr.MSELoss(), "epochs": 10**9, "progress": False, "callbacks": [Say()]}
for number in range(3):
    net = cr.Sequential(cr.Linear(4, 4), seed=0)
    try:
        history = cr.fit(net, X, X, checkpoint=sys.argv[1], **options, **{OPTIONS})
        print("interrupted" if history.interrupted else "finished", flush=True)
    finally:
        same = np.array_equal(cr.load(sys.argv[1]).params, net.params)
        print("with the checkpoint's parameters" if same else "with others", flush=True)
"""


def run(path, presses, second_within, **options):
    """Run the script, pressing Ctrl-C each time that it trains; return its output and code."""
    script = SCRIPT.replace("{OPTIONS}", repr(options)).replace("{SECONDS}", str(second_within))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script, path], **pipes) as process:
        seen = []
        for _ in range(presses):
            while (line := process.stdout.readline()) not in ("trains\n", ""):
                seen.append(line)
            process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    return "".join(seen) + output, errors, process.returncode


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "run.safetensors")


SAME = "with the checkpoint's parameters\n"


def test_one_ctrl_c_ends_a_script_of_three_trainings(path):
    output, errors, code = run(path, 1, second_within=0.0)
    assert output == SAME
    assert "KeyboardInterrupt: fit was interrupted in epoch" in errors
    assert code == -signal.SIGINT


def test_one_after_the_other_stops_one_training_after_the_other(path):
    output, errors, code = run(path, 3, second_within=0.0, interrupt="stop")
    assert (output, errors, code) == (f"interrupted\n{SAME}" * 3, "", 0)


def test_a_second_one_soon_ends_a_script_that_goes_on_after_the_first(path):
    output, errors, code = run(path, 2, second_within=1e9, interrupt="stop")
    assert output.startswith(f"interrupted\n{SAME}with")
    assert output.count("with") == 2
    assert "KeyboardInterrupt" in errors
    assert code == -signal.SIGINT


@pytest.mark.parametrize("wrong", ["ignore", None, True])
def test_what_follows_is_one_of_two(wrong):
    net = cr.Sequential(cr.Linear(1, 1))
    with pytest.raises(ValueError, match="interrupt must be 'raise' or 'stop', not"):
        cr.fit(net, [[1.0]], [1.0], loss=cr.MSELoss(), interrupt=wrong)


def test_find_lr_is_ended_too():
    class Data(list):
        def __array__(self, *arguments, **options):
            signal.raise_signal(signal.SIGINT)
            return cr.datasets.load_digits()[0]

    net = cr.Sequential(cr.Linear(64, 10))
    _, y = cr.datasets.load_digits()
    with pytest.raises(KeyboardInterrupt):
        cr.find_lr(net, Data(), y, loss=cr.CrossEntropyLoss())

"""The progress bar: what it shows, and where its output fails, that no training ends for it."""

import io
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import chainrule as cr
from chainrule.training.notebook_bar import NotebookBar

pytestmark = pytest.mark.once

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(200, 4)), rng.normal(size=200)


def train(**options):
    """Train with a bar that is drawn at each step; return the parameters."""
    net = cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, 1), seed=0)
    cr.fit(net, X, Y, loss=cr.MSELoss(), epochs=3, callbacks=[EachStep()], **options)
    return net.params


class EachStep(cr.Callback):
    every = 1


class Output(io.StringIO):
    """A terminal that raises an error when something is written for the nth time, and then."""

    def __init__(self, error=None, first=1):
        super().__init__()
        self.error, self.first, self.times = error, first, 0

    def isatty(self):
        return True

    def write(self, text):
        self.times += 1
        if self.error is not None and self.times >= self.first:
            raise self.error
        return super().write(text)


@pytest.fixture
def use(monkeypatch):
    """Let standard output be a terminal of this test."""
    monkeypatch.setattr("chainrule.training.progress.SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")

    def replace(output):
        monkeypatch.setattr(sys, "stdout", output)
        return output

    return replace


def last_drawn(output):
    """The text of the bar's last drawing."""
    text = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", output.getvalue())
    return text.rstrip().split("\r")[-1]


def test_the_bar_is_seen_on_80_columns(use, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    output = use(Output())
    net = cr.Sequential(cr.Linear(4, 2), seed=0)
    labels = (Y > 0).astype(int)
    held_out = {"validation": (X, labels)}
    history = cr.fit(net, X, labels, loss=cr.CrossEntropyLoss(), epochs=200, **held_out)
    line = last_drawn(output)
    loss, of_validation = history.loss[-1], history.validation_loss[-1]
    accuracy = f"accuracy {history.validation_accuracy[-1]:.1%}"
    assert f"loss {loss:.4g}, validation {of_validation:.4g}, {accuracy} 0:00:00" in line
    assert line.startswith("epoch 200/200 ")
    assert line.count("━") >= 10
    assert len(line) <= 80
    assert "compiling" not in output.getvalue()  # compiling is over, and had a line of its own


def test_a_finished_training_that_is_resumed_shows_a_full_bar(use, tmp_path):
    options = {"validation": (X, Y), "checkpoint": tmp_path / "run", "resume": True}
    shown = []
    for _ in range(2):
        output = use(Output())
        train(**options)
        shown.append(last_drawn(output))
    assert shown[0] == shown[1]
    assert shown[0].startswith("epoch 3/3 ━")
    output = use(Output())
    net = cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, 1), seed=0)
    cr.fit(net, X, Y, loss=cr.MSELoss(), epochs=4, callbacks=[EachStep()], **options)
    began, resumed = [part for part in output.getvalue().split("\r") if "epoch" in part][:2]
    assert "epoch 1/4" in began
    assert "loss" not in began
    assert "epoch 3/4" in resumed
    assert re.search(r"loss .*, validation ", resumed)


@pytest.mark.parametrize(
    ("completed", "total", "text", "value"),
    [
        (0, 360, "", ' value="0" max="360"'),
        (0, None, "", ""),
        (7, None, "", ""),
        (90, 360, ", 0:00:30 remaining", ' value="90" max="360"'),
        (1, 3601, ", 10:00:00 remaining", ' value="1" max="3601"'),
        (360, 360, "", ' value="360" max="360"'),
    ],
)
def test_the_bar_of_a_notebook(completed, total, text, value, monkeypatch):
    bar = NotebookBar(20)
    bar._began = 0.0
    monkeypatch.setattr("chainrule.training.notebook_bar.perf_counter", lambda: 10.0)
    bar.set(3, completed, total, "loss 0.5")
    assert repr(bar) == f"epoch 3/20, loss 0.5{text}"
    expected = f"<div>epoch 3/20 <progress{value}></progress> loss 0.5{text}</div>"
    assert bar._repr_html_() == expected


def closed():
    output = Output()
    output.close()
    return output


FAILURES = {
    "full": OSError(28, "No space left on device"),
    "closed pipe": BrokenPipeError(32, "Broken pipe"),
    "lost terminal": OSError(5, "Input/output error"),
    "another encoding": UnicodeEncodeError("ascii", "━", 0, 1, "not in range"),
}


@pytest.mark.parametrize("first", [1, 2, 3, 12, 10**6])
@pytest.mark.parametrize("kind", FAILURES)
def test_a_training_goes_on_without_its_bar(kind, first, use):
    expected = train(progress=False)
    output = use(Output(FAILURES[kind], first))
    if first > 100:  # it never comes so far
        params = train()
    else:
        with pytest.warns(RuntimeWarning, match="progress bar could not be drawn") as said:
            params = train()
        assert len(said) == 1
        assert str(FAILURES[kind]) in str(said[0].message)
        assert output.times >= first
        assert sys.stdout is output  # rich has put its own in place meanwhile
    assert np.array_equal(params, expected)
    again = use(Output())
    assert np.array_equal(train(), expected)
    assert "epoch 3/3" in again.getvalue()
    assert "\x1b[?25l" in again.getvalue()  # hides the cursor, as the outermost bar does


def test_a_closed_output(use):
    use(closed())
    with pytest.warns(RuntimeWarning, match="I/O operation on closed file"):
        train()


def test_no_output_at_all(use):
    use(None)  # as in a window without a console
    assert np.array_equal(train(), train(progress=False))


@pytest.mark.parametrize("error", [TimeoutError("an alarm"), SystemExit(3), KeyError("mine")])
def test_what_a_signals_handler_raises_while_the_bar_is_drawn_comes_out(error, use):
    use(Output(error, first=5))
    with pytest.raises(type(error)) as raised:
        train()
    assert raised.value is error


@pytest.mark.filterwarnings("ignore:The progress bar could not be drawn")  # by rich before 14.1
def test_a_bar_inside_another_one(use):
    from rich.progress import track

    use(Output())
    for _ in track(range(2)):
        assert np.array_equal(train(), train(progress=False))


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end in another way")
def test_a_script_whose_reader_is_gone_ends_well():
    script = """
        import sys
        import numpy as np
        import chainrule as cr

        net = cr.Sequential(cr.Linear(1, 1), seed=0)
        input()
        cr.fit(net, np.ones((8, 1)), np.ones(8), loss=cr.MSELoss(), epochs=2)
        print("trained", file=sys.stderr)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        _, said = process.communicate("\n", timeout=120)
    assert process.returncode == 0
    assert "trained" in said

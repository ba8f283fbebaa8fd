"""A notebook of Jupyter: progress, pictures and short reprs, as its reader sees them."""

import base64
import re

import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.once

BEGIN = """
import chainrule as cr

X, y = cr.datasets.load_digits()
loss = cr.CrossEntropyLoss()
net = cr.Sequential(cr.Linear(64, 16), cr.ReLU(), cr.Linear(16, 10), seed=0)
"""
FIT = "cr.fit(net, X, y, loss=loss, epochs={epochs}, validation=(X, y), callbacks={callbacks})"
# As if the network were too large to run in its page: that is computed before.
PAGE = """
import tempfile
from chainrule.explain import page_network

page_network.MOST_BYTES = 0
chain.to_html(tempfile.mkdtemp() + "/page.html")
"""
FLOW = "[cr.GradientFlow(every=50)]"
CELLS = {
    "begin": BEGIN,
    "fit": FIT.format(epochs=20, callbacks="[]"),
    "history": "history = " + FIT.format(epochs=3, callbacks=FLOW),
    "no validation": "cr.fit(net, X, y, loss=loss, epochs=2)",
    "batches": "cr.fit(net, [(X, y)], epochs=2, loss=loss);",
    "no progress": "cr.fit(net, X, y, loss=loss, epochs=2, progress=False);",
    "plot of history": "history.plot()",
    "chain": "chain = cr.explain(net, loss, X[:1], y[:1])\nchain",
    "plot of chain": "chain.plot()",
    "plot of path": "chain.plot('W1')",
    "page": PAGE,
    "flow": "history.gradient_flow",
    "plot of flow": "history.gradient_flow.plot()",
    "find_lr": "found = cr.find_lr(net, X, y, loss=loss)\nfound",
    "plot of rates": "found.plot()",
    "network": "net",
    "summary": "net.summary()",
    "gradcheck": "cr.gradcheck(net, loss, X[:8], y[:8])",
    "gradgradcheck": "cr.gradgradcheck(net, loss, X[:8], y[:8])",
    "inline": "%matplotlib inline\nhistory.plot()",
}


@pytest.fixture(scope="module")
def outputs():
    """The outputs of each cell."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    return dict(zip(CELLS, (cell.outputs for cell in notebook.cells), strict=True))


def kinds(outputs):
    return [output.output_type for output in outputs if output.output_type != "stream"]


# Matplotlib says so itself where it has not looked for fonts before.
OF_OTHERS = "findfont: ", "Matplotlib is building the font cache"


def test_nothing_is_printed_but_what_is_compiled(outputs):
    streams = [o for of_cell in outputs.values() for o in of_cell if o.output_type == "stream"]
    for stream in streams:
        lines = stream.text.splitlines()
        assert [line for line in lines if not line.startswith(("chainrule: ", *OF_OTHERS))] == []


@pytest.mark.parametrize(
    ("cell", "begin", "names"),
    [
        ("fit", "epoch 20/20, ", ["loss", "validation", "accuracy"]),
        ("no validation", "epoch 2/2, ", ["loss"]),
    ],
)
def test_a_fit_ends_with_a_full_bar_and_the_history(outputs, cell, begin, names):
    progress, result = (o for o in outputs[cell] if o.output_type != "stream")
    assert kinds(outputs[cell]) == ["display_data", "execute_result"]
    history = result.data["text/plain"]
    assert len(history) < 120
    latest = [float(value) for value in re.findall(r" ([\d.]+)(?=[,)])", history)]
    shown = progress.data["text/plain"]
    assert shown.startswith(begin)
    found = re.findall(r", (\w+) ([\d.]+)", shown)
    assert [name for name, _ in found] == names
    values = [float(value) / (100 if name == "accuracy" else 1) for name, value in found]
    assert values == pytest.approx(latest[: len(names)], rel=0.005)
    value, most = re.search(r'value="(\d+)" max="(\d+)"', progress.data["text/html"]).groups()
    assert value == most


def test_a_page_that_is_computed_before_shows_its_progress(outputs):
    (progress,) = (o for o in outputs["page"] if o.output_type != "stream")
    assert progress.data["text/plain"] == "Computing the page"
    value, most = re.search(r'value="(\d+)" max="(\d+)"', progress.data["text/html"]).groups()
    assert value == most


def test_a_history_is_a_table_of_its_first_and_last_epochs(outputs):
    html = outputs["fit"][-1].data["text/html"]
    rows = [re.findall(r">([^<>]+)</t[hd]>", row) for row in html.split("<tr>")[1:]]
    assert rows[0] == ["epoch", "loss", "validation_loss", "validation_accuracy", "lr"]
    assert [row[0] for row in rows[1:]] == [*"12345", "...", *map(str, range(16, 21))]
    assert "History of 20 epochs" in html


def test_what_is_assigned_shows_its_progress_alone(outputs):
    for cell in ("history", "batches"):
        assert kinds(outputs[cell]) == ["display_data"]
    assert "epoch 2/2" in outputs["batches"][-1].data["text/plain"]
    assert kinds(outputs["no progress"]) == []


@pytest.mark.parametrize("cell", [name for name in CELLS if "plot" in name] + ["inline"])
def test_a_plot_is_one_picture(outputs, cell):
    (kind,) = kinds(outputs[cell])
    assert kind in ("execute_result", "display_data")
    picture = base64.b64decode(outputs[cell][-1].data["image/png"])
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


@pytest.mark.parametrize(
    ("cell", "begin"),
    [
        ("gradcheck", "Gradient check passed: worst relative error"),
        ("gradgradcheck", "Second derivative check passed: worst relative error"),
        ("network", "Sequential(Linear(64, 16), ReLU(), Linear(16, 10))"),
        ("summary", "layer"),
        ("find_lr", "LearningRates(suggestion="),
        ("chain", "L = 0.0"),
        ("flow", "4 records of 3 links"),
    ],
)
def test_results_are_short_texts(outputs, cell, begin):
    text = outputs[cell][-1].data["text/plain"]
    assert text.startswith(begin)
    assert max(map(len, text.splitlines())) <= 120
    assert len(text.splitlines()) < 30

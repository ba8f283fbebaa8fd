"""The page and the fragments for notebooks: what stands there is what the chain says."""

import json
import os
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import gradient_methods, html, page_network, precomputed
from chainrule.explain.heat_map import block_shape, shrink
from chainrule.explain.step import LayerStep

pytestmark = pytest.mark.once

DIGITS_6 = 1e-5  # relative: the page's data have six digits
DIGITS_3 = 1e-2  # ... and of matrices three


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def explain_classifier(*sizes, rows, **options):
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [cr.Linear(inputs, outputs), cr.ReLU()]
    # The page is made alike for both backends, and without compilation this one is quick.
    net = cr.Sequential(*layers[:-1], seed=0, backend="numpy")
    labels = np.arange(rows) % sizes[-1]
    return cr.explain(net, cr.CrossEntropyLoss(), batch((rows, sizes[0])), labels, **options)


def named_chain(first="H", rows=2):
    net = cr.Sequential(cr.Linear(4, 5, name=first), cr.Tanh(), cr.Linear(5, 3), seed=0)
    return cr.explain(net, cr.CrossEntropyLoss(), batch((rows, 4)), np.arange(rows) % 3)


@pytest.fixture(scope="module", name="chain")
def chain_fixture():
    return named_chain()


@pytest.fixture(scope="module", name="data")
def data_fixture(chain):
    return data_of(precomputed_page(chain))


def precomputed_page(chain):
    """Return the page as it is for a network that is too large to run in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_network, "MOST_BYTES", 0)
        return html.page(chain)


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def paths_of(data):
    return {path["name"]: path for path in data["paths"]}


# The data


def test_links_and_loss(chain, data):
    assert data["loss"]["value"] == pytest.approx(chain.loss, rel=DIGITS_6)
    assert data["loss"]["rows"] == 2
    assert [link["symbol"] for link in data["links"]] == ["X", "H", "O"]
    for shown, link in zip(data["links"], chain.links, strict=True):
        assert shown["size"] == link.value.shape[1]
        assert shown["norm"] == pytest.approx(np.linalg.norm(link.value), rel=DIGITS_6)
        assert shown["gradient"] == pytest.approx(np.linalg.norm(link.gradient), rel=DIGITS_6)


def test_factors_are_those_of_the_path(chain, data):
    for name, path in paths_of(data).items():
        # One by each link, from the loss on, and the parameter's own.
        factors = data["factors"][path["start"] :][::-1]
        if name != "x":
            factors.append(path["factor"])
        for shown, factor in zip(factors, chain.path(name).factors, strict=True):
            assert tuple(shown["shape"]) == factor.shape[1:]
            assert shown["norm"] == pytest.approx(factor.norm, rel=DIGITS_6)
            for row, (norm, heat_map) in enumerate(zip(shown["norms"], shown["maps"], strict=True)):
                matrix = factor.value[row]
                assert norm == pytest.approx(np.linalg.norm(matrix), rel=DIGITS_6)
                np.testing.assert_allclose(heat_map["cells"], matrix, rtol=DIGITS_3)


def test_gradients_proofs_and_merged_factors(chain, data):
    assert list(paths_of(data)) == ["x", *chain.symbols]
    for name, path in paths_of(data).items():
        compression = chain.compress(name)
        gradient = compression.paths[0].gradient
        assert path["norm"] == pytest.approx(np.linalg.norm(gradient), rel=DIGITS_6)
        assert path["proof"] == compression.proof
        assert path["difference"] == pytest.approx(compression.difference, rel=DIGITS_6)
        assert path["ulp"] == pytest.approx(compression.ulp, rel=DIGITS_6)
        np.testing.assert_allclose(
            np.ravel(path["map"]["cells"]), gradient.reshape(-1), rtol=DIGITS_3
        )
        merged = [cut.factors[0].norm for cut in compression.paths]
        shown = [link["gradient"] for link in data["links"][path["start"] :]][::-1]
        if name != "x":
            shown.append(path["merged"])
        assert shown == pytest.approx(merged, rel=DIGITS_6)


def test_nudges_are_those_of_nudge(chain, data):
    for name, path in paths_of(data).items():
        span, entries = path["nudge"]["span"], path["nudge"]["entries"]
        gradient = np.abs(chain.path(name).gradient).reshape(path["shape"])
        assert len({tuple(entry["index"]) for entry in entries}) == min(4, gradient.size)
        largest = np.sort(gradient, axis=None)[::-1][: len(entries)]
        slopes = [abs(entry["slope"]) for entry in entries]
        assert slopes == pytest.approx(list(largest), rel=DIGITS_6)
        entry = entries[-1]
        assert len(entry["moves"]) == 21
        assert entry["moves"][10] == 0
        for step in (0, 13, 20):
            delta = span * (step - 10) / 10
            labels = chain.target
            result = cr.nudge(
                chain.network, chain.loss_function, chain.x, labels, name, entry["index"], delta
            )
            assert entry["moves"][step] == pytest.approx(result.actual, rel=DIGITS_6)
            assert entry["slope"] == pytest.approx(result.slope, rel=DIGITS_6)


def test_rows_with_more_axes_and_targets_of_that_shape():
    net = cr.Sequential(cr.Linear(3, 2), cr.Tanh(), seed=0)
    chain = cr.explain(net, cr.MSELoss(), batch((2, 4, 3)), batch((2, 4, 2)))
    path = paths_of(data_of(precomputed_page(chain)))["x"]
    assert path["shape"] == [2, 4, 3]
    assert len(path["nudge"]["entries"][0]["index"]) == 3
    assert np.shape(path["map"]["cells"]) == (8, 3)


def test_a_network_without_parameters():
    net = cr.Sequential(cr.Tanh(), seed=0)
    data = html.page_data(cr.explain(net, cr.MSELoss(), batch((1, 3)), batch((1, 3))))
    assert [path["name"] for path in data["paths"]] == ["x"]


def test_numbers_that_json_cannot_hold_are_texts():
    assert html.figure(float("nan")) == "nan"
    assert html.figure(-np.inf) == "-inf"
    assert html.figure(np.float64(-0.0)) == 0
    assert html.figure(1e300) == 1e300


# Limits


def test_factors_above_the_limit_are_missing():
    chain = explain_classifier(4, 5, 3, rows=2, max_elements=2 * 5 * 20 - 1)
    data = data_of(precomputed_page(chain))
    path = paths_of(data)["0.weight"]
    assert "maps" not in path["factor"]
    assert path["factor"]["norm"] is None
    assert path["merged"] is None
    assert path["proof"].startswith("The factors' actions")
    assert "maps" in paths_of(data)["0.bias"]["factor"]


@pytest.mark.parametrize("write", [html.page, precomputed_page])
@pytest.mark.parametrize("sizes", [(64, 64, 32, 10), (784, 128, 10), (784, 512, 10)])
def test_pages_stay_below_a_megabyte(sizes, write, monkeypatch):
    # Nudges take most of the time, and little space.
    monkeypatch.setattr(precomputed, "NUDGED_EACH", 1)
    page = write(explain_classifier(*sizes, rows=8))
    assert len(page.encode()) < 800_000
    runs = write is html.page and sizes != (784, 512, 10)
    assert ("network" in data_of(page)) == runs


def test_a_deep_network_stays_below_a_megabyte(monkeypatch):
    monkeypatch.setattr(precomputed, "MOST_NUDGED", 50)
    page = precomputed_page(explain_classifier(*[8] * 41, rows=8))
    assert len(page.encode()) < 600_000
    data = data_of(page)
    assert (
        data["title"]
        == "8 \u2192 8 \u2192 8 \u2192 \u2026 \u2192 8 \u2192 8 \u2192 8, CrossEntropyLoss"
    )
    assert paths_of(data)["x"]["nudge"] is None
    assert data["limits"]["rows"] < 8


def test_a_page_that_computes_builds_no_jacobian(monkeypatch):
    """So that one of many rows and layers is made at once: each Jacobian takes many passes."""
    chain = explain_classifier(*[8] * 11, rows=64)
    monkeypatch.setattr(LayerStep, "jacobian", fail)
    monkeypatch.setattr(LayerStep, "parameter_jacobian", fail)
    assert "network" in html.page_data(chain)


def test_a_network_too_large_to_nudge(monkeypatch):
    monkeypatch.setattr(precomputed, "NUDGE_WORK", 1)
    data = data_of(precomputed_page(named_chain()))
    assert {path["nudge"] for path in data["paths"]} == {None}


def test_an_input_of_codes_is_not_nudged():
    layers = cr.Embedding(5, 3), cr.Flatten(), cr.Linear(6, 2)
    net = cr.Sequential(*layers, seed=0, backend="numpy")
    chain = cr.explain(net, cr.CrossEntropyLoss(), [[4, 0], [0, 3]], [0, 1])
    data = data_of(precomputed_page(chain))
    assert data["codes"]
    assert [name for name, path in paths_of(data).items() if path["nudge"] is None] == ["x"]


@pytest.mark.parametrize("shape", [(1, 4096), (64, 64), (3, 2), (1000, 1), (70, 300)])
@pytest.mark.parametrize("most", [16, 900])
def test_shrunk_matrices_keep_the_largest_entry_of_each_block(shape, most):
    matrix = batch(shape)
    down, across = block = block_shape(*shape, most)
    cells = shrink(matrix, block)
    assert cells.size <= most
    for i, j in np.ndindex(cells.shape):
        part = matrix[i * down : (i + 1) * down, j * across : (j + 1) * across].reshape(-1)
        assert cells[i, j] == part[np.abs(part).argmax()]


def test_shrinking_shows_what_is_not_finite():
    assert np.isnan(shrink(np.array([[1.0, np.nan, 2.0]]), (1, 3)))


# The page


def test_the_page_is_self_contained(chain):
    page = html.page(chain)
    assert set(re.findall(r"https?://[^\s\"']+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(src|href|action)\s*=|@import|url\(|\bimport\b.*\bfrom\b", page)
    assert "default-src 'none'" in page
    assert not re.search(r"\son[a-z]+=", page)
    assert "<title>4 \u2192 5 \u2192 3, CrossEntropyLoss: the chain rule</title>" in page


def test_signs_can_be_told_apart_in_grey(chain):
    """The ends of the scale differ in luminance as WCAG asks of graphics, in light and in dark."""
    page = html.page(chain)
    ends = [re.findall(rf"--{sign}: #(\w+);", page) for sign in ("negative", "positive")]
    assert [len(colours) for colours in ends] == [2, 2]
    for darker, lighter in zip(*ends, strict=True):
        assert (luminance(lighter) + 0.05) / (luminance(darker) + 0.05) > 3


def luminance(colour):
    channels = np.array(list(bytes.fromhex(colour))) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("name", ["</script><b>", "<!--<script>", "&lt;\u2028'\"", "$title", "Ünï"])
def test_no_name_breaks_out(name):
    page = html.page(named_chain(name))
    assert data_of(page)["links"][1]["symbol"] == name
    plain = html.page(named_chain())
    for tag in ("<script", "</script", "<b>", "<!--"):
        assert page.count(tag) == plain.count(tag)


def test_writing_replaces_the_file_as_a_whole(chain, tmp_path, monkeypatch):
    path = tmp_path / "chain.html"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            chain.to_html(path)
    assert path.read_text() == "old"
    chain.to_html(str(path))
    assert path.read_text("utf-8") == html.page(chain)
    assert [file.name for file in tmp_path.iterdir()] == ["chain.html"]


def fail(*_):
    raise OSError("disk full")


def test_a_path_that_cannot_be_written(chain, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.*chain\.html"):
        chain.to_html(tmp_path / "none" / "chain.html")
    with pytest.raises(IsADirectoryError):
        chain.to_html(tmp_path)
    with pytest.raises(TypeError):
        chain.to_html(None)


# Notebooks


class Cells(HTMLParser):
    """The texts of an HTML fragment, one for each element; and that its tags are balanced."""

    def __init__(self, fragment):
        super().__init__()
        self.open, self.texts = [], []
        self.feed(fragment)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def results(chain):
    """All that is shown in notebooks."""
    net, loss, batch = chain.network.copy(), chain.loss_function, (chain.x, chain.target)
    training = cr.fit(
        net, *batch, loss=loss, epochs=2, batch_size=2, callbacks=[cr.GradientFlow(every=1)],
        progress=False,
    )  # fmt: skip
    nudges = (cr.nudge(chain.network, loss, *batch, "W1", index, 0.1) for index in ((0, 0), None))
    traces = chain.trace("W1", (0, 0)), chain.trace("x", (0, 1), top=1)
    return (
        chain, chain.path("W1"), chain.path("x"), chain.compress("W1"), *traces, chain.order(),
        chain.influence(), *nudges, training.gradient_flow,
    )  # fmt: skip


def test_fragments_say_what_the_text_says(chain, monkeypatch):
    monkeypatch.setattr(gradient_methods, "LIMIT", 0.02)
    for shown in results(chain):
        text = " ".join(str(shown).split())
        for cell in Cells(shown._repr_html_()).texts:
            assert " ".join(cell.split()) in text


def test_fragments_without_parameters_and_paths():
    net = cr.Sequential(cr.ReLU(), seed=0)
    chain = cr.explain(net, cr.MSELoss(), [[-1.0]], [[0.0]])
    for shown, tables in ((chain.influence(), 1), (chain.trace("x", (0, 0)), 1)):
        assert shown._repr_html_().count("<table>") == tables


def test_fragments_are_escaped():
    chain = named_chain("<b>&")
    for shown in (chain, chain.path("W1"), chain.compress("W1"), chain.trace("W1", (0, 0))):
        assert "<b>" not in shown._repr_html_()
        assert "<b>&" in " ".join(Cells(shown._repr_html_()).texts)

"""A chain, and its page in a browser."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import page_network


@pytest.fixture(scope="session", name="chain")
def chain_fixture():
    net = cr.Sequential(
        cr.Linear(4, 5, name="H"), cr.Tanh(), cr.Linear(5, 3), cr.SiLU(), cr.Linear(3, 3), seed=0
    )
    x = np.random.default_rng(0).normal(size=(2, 4))
    return cr.explain(net, cr.CrossEntropyLoss(), x, [0, 2])


@pytest.fixture(name="show")
def show_fixture(browser, tmp_path):
    """Open a chain's page; afterwards nothing may have gone wrong, and nothing been loaded."""
    contexts, requests, wrong = [], [], []

    def show(chain, **options):
        file = tmp_path / "chain.html"
        chain.to_html(file)
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert wrong == []
    assert set(requests) == {(tmp_path / "chain.html").as_uri()}


@pytest.fixture(name="precomputed")
def precomputed_fixture(monkeypatch):
    monkeypatch.setattr(page_network, "MOST_BYTES", 0)

"""Write the page of a small network, which the first page leads to, beside the site's pages."""

from pathlib import Path

import numpy as np
from sphinx.application import Sphinx

import chainrule as cr
from chainrule.explain.chain import Chain


def small_chain() -> Chain:
    """Return the chain of a network that learns which points lie inside a circle."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    inside = (x**2).sum(axis=1, keepdims=True) < 1
    net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 1), seed=0, backend="numpy")
    return cr.explain(net, cr.BCEWithLogitsLoss(), x, inside.astype(float))


def write_page(app: Sphinx, error: Exception | None) -> None:
    """Write it once the site is there."""
    if error is None and app.builder.format == "html":
        small_chain().to_html(Path(app.outdir) / "chain.html")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it."""
    app.connect("build-finished", write_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

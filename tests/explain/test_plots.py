"""Figures: what they draw, without a display, and what is said where Matplotlib is missing."""

import sys
from io import BytesIO

import numpy as np
import pytest

import chainrule as cr
from chainrule.training.find_lr import LearningRates

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.integers(0, 4, 40)
    layers = cr.Linear(3, 5), cr.Tanh(), cr.Linear(5, 6), cr.ReLU(), cr.Linear(6, 4)
    net = cr.Sequential(*layers, seed=0)
    history = cr.fit(
        net, X, y, loss=cr.CrossEntropyLoss(), epochs=5, batch_size=10, validation=(X, y),
        callbacks=[cr.GradientFlow(every=2)], progress=False,
    )  # fmt: skip
    return history, cr.explain(net, cr.CrossEntropyLoss(), X[:8], y[:8])


def drawn(figure):
    """Draw it, and return its axes but for colour bars."""
    file = BytesIO()
    figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def heights(ax):
    return [line.get_ydata() for line in ax.get_lines()]


def test_chain(trained):
    _, chain = trained
    signal, gradient = drawn(chain.plot())
    links = chain.influence().links
    assert [label.get_text() for label in signal.get_xticklabels()] == ["X", "H₁", "H₂", "O"]
    np.testing.assert_array_equal(heights(signal)[0], [link.forward for link in links])
    np.testing.assert_array_equal(heights(gradient)[0], [link.backward for link in links])


@pytest.mark.parametrize("name", ["W1", "b1", "2.weight", "W3", "x"])
def test_path(trained, name):
    _, chain = trained
    path = chain.path(name)
    panels = drawn(chain.plot(name))
    assert len(panels) == len(path.factors) + 1
    for ax, factor in zip(panels, path.factors, strict=False):
        np.testing.assert_array_equal(ax.get_images()[0].get_array(), factor.value.mean(axis=0))
    np.testing.assert_array_equal(
        panels[-1].get_images()[0].get_array(), np.atleast_2d(path.gradient)
    )
    with pytest.raises(ValueError, match="no parameter"):
        chain.plot("W9")


def test_factors_that_are_not_built_say_so():
    net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2), seed=0)
    chain = cr.explain(net, cr.MSELoss(), np.ones((1, 3)), np.zeros((1, 2)), max_elements=10)
    panels = drawn(chain.plot("W1"))
    texts = [[text.get_text() for text in ax.texts] for ax in panels]
    assert texts == [[], [], ["too large\nto build"], []]


def test_history(trained):
    history, _ = trained
    loss, accuracy = drawn(history.plot())
    assert [text.get_text() for text in loss.get_legend().get_texts()] == [
        "step", "training", "validation",
    ]  # fmt: skip
    for line, values in zip(
        heights(loss),
        (history.batch_loss, history.loss, history.validation_loss),
        strict=True,
    ):
        np.testing.assert_array_equal(line, values)
    np.testing.assert_array_equal(heights(accuracy)[0], history.validation_accuracy)


@pytest.mark.parametrize(
    "history",
    [
        cr.History(),
        cr.History(loss=[1.0, 0.5], batch_loss=[1.0, 0.5]),
        cr.History(batch_loss=[1.0, 0.0, 0.1], interrupted=True),
        cr.History(loss=[0.0], batch_loss=[0.0, 0.0], validation_loss=[float("inf")]),
    ],
    ids=["nothing", "one step an epoch", "no epoch", "zero and infinite"],
)
def test_histories_of_all_kinds(history):
    assert len(drawn(history.plot())) == 1


def test_gradient_flow(trained):
    flow = trained[0].gradient_flow
    signal, gradient, updates = drawn(flow.plot())
    for ax, values in ((signal, flow.forward), (gradient, flow.backward)):
        np.testing.assert_array_equal(np.transpose(heights(ax)), values)
    np.testing.assert_array_equal(np.transpose(heights(updates)[:3]), flow.update_ratio[:, ::2])
    labels = [text.get_text() for text in updates.get_legend().get_texts()]
    assert labels == ["W₃", "W₂", "W₁"]


def test_names_are_shown_as_they_are():
    X, names = np.ones((4, 3)), [r"$\wrong{$", "_H", "a$b$"]
    layers = (cr.Linear(3, 3, name=name) for name in names)
    net = cr.Sequential(*layers, seed=0)
    history = cr.fit(
        net, X, X, loss=cr.MSELoss(), batch_size=4, callbacks=[cr.GradientFlow(every=1)],
        progress=False,
    )  # fmt: skip
    chain = cr.explain(net, cr.MSELoss(), X, X)
    drawn(chain.plot())
    drawn(chain.plot("W1"))
    for ax in drawn(history.gradient_flow.plot())[:2]:
        labels = [text.get_text().replace(r"\$", "$") for text in ax.get_legend().get_texts()]
        assert labels == [*names[::-1], "X"]


def test_a_flow_of_zeros_and_one_without_parameters():
    net = cr.Sequential(cr.Tanh())
    X = np.zeros((4, 3))
    history = cr.fit(
        net, X, X, loss=cr.MSELoss(), batch_size=4, callbacks=[cr.GradientFlow(every=2)],
        progress=False,
    )  # fmt: skip
    assert len(drawn(history.gradient_flow.plot())) == 3


def test_without_matplotlib_it_says_what_to_install(trained, monkeypatch):
    history, chain = trained
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "chainrule.utils.figure", raising=False)
    found = LearningRates(np.array([0.1, 0.2]), np.array([2.0, 1.0]))
    for plot in (chain.plot, history.plot, history.gradient_flow.plot, found.plot):
        with pytest.raises(ImportError, match=r"pip install 'chainrule\[plot\]'"):
            plot()

"""History as a line in a shell, and as a table in a notebook."""

import re

import pytest

import chainrule as cr


@pytest.mark.parametrize(
    ("history", "text"),
    [
        (cr.History(), "History(0 epochs)"),
        (cr.History(batch_loss=[1.0], interrupted=True), "History(0 epochs, interrupted)"),
        (cr.History(loss=[0.12345]), "History(1 epoch, loss 0.1235)"),
        (
            cr.History(
                loss=[2.0] * 100,
                validation_loss=[1.0] * 100,
                validation_accuracy=[0.5] * 100,
                metrics={"f1": [0.25] * 100},
                lr=[1e-5] * 100,
            ),
            "History(100 epochs, loss 2, validation_loss 1, validation_accuracy 0.5, "
            "validation_f1 0.25, lr 1e-05)",
        ),
    ],
)
def test_a_history_is_a_line_with_the_latest_values(history, text):
    assert repr(history) == str(history) == text


def rows(history):
    return [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in table(history)[1:]]


def table(history):
    return history._repr_html_().split("<tr>")[1:]


def test_a_notebook_shows_few_epochs_of_many():
    history = cr.History(loss=[float(epoch) for epoch in range(1, 13)])
    assert [row[0] for row in rows(history)] == [*"12345", "...", "8", "9", "10", "11", "12"]
    assert all(row[0] == row[1] for row in rows(history))
    few = cr.History(loss=[float(epoch) for epoch in range(1, 11)])
    assert [row[0] for row in rows(few)] == [*map(str, range(1, 11))]


def test_a_notebook_shows_epochs_that_were_not_validated():
    """As after an error in a metric."""
    history = cr.History(loss=[3.0, 2.0], validation_loss=[2.5], interrupted=True)
    assert rows(history) == [["1", "3", "2.5"], ["2", "2", ""]]
    assert "History of 2 epochs, interrupted" in history._repr_html_()


def test_a_notebook_shows_that_there_was_no_epoch():
    assert table(cr.History()) == []
    assert "History of 0 epochs" in cr.History()._repr_html_()

"""The user's own table: encoded, trained on, predicted for; and what is refused."""

import csv
import json

import numpy as np
import pytest

from chainrule import cli, tables


@pytest.fixture
def write(tmp_path):
    def write(rows, name="table.csv"):
        path = tmp_path / name
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return path

    return write


def rows(target):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2)).tolist()
    return [["u", "colour", "v", "goal"]] + [
        [f"{u:.4f}", "red" if v > 0 else "blue", f"{v:.4f}", target(u, v)] for u, v in x
    ]


def test_any_order_of_columns_through_json(write):
    path = write(rows(lambda u, v: f"{10 * u:.3f}"))
    table = tables.read_table(path)
    encoding = tables.fit_encoding(table, "goal", np.arange(80))
    same = tables.Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert same == encoding
    turned = write([row[::-1] for row in rows(lambda u, v: "0")], "turned.csv")
    X = encoding.encode(table)
    np.testing.assert_array_equal(same.encode(tables.read_table(turned)), X)
    assert X.shape == (120, 4)
    np.testing.assert_allclose(X[:80, [0, 3]].mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_train_and_predict(write, tmp_path, capsys, kind):
    classes = kind == "classification"
    path = write(rows(lambda u, v: ("no", "yes")[u > 0] if classes else f"{100 + u:.4f}"))
    model = str(tmp_path / "model.safetensors")
    arguments = ["--target", "goal", "--out", model, "--epochs", "3", "--hidden", "8"]
    assert cli.main(["train", str(path), *arguments]) == 0
    assert ("Test accuracy" if classes else "mean absolute error") in capsys.readouterr().out
    assert cli.main(["predict", model, str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 121
    assert lines[0] == "goal"
    assert cli.main(["predict", model, str(path), "--probabilities"]) == (0 if classes else 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[5].__setitem__(0, ""), "line 6, column 'u': the cell is empty; --impute"),
        (lambda t: t[5].__setitem__(3, ""), "line 6, column 'goal': the target is missing"),
        (lambda t: t[5].pop(), "line 6: expected 4 cells as in the header"),
        (lambda t: t[0].__setitem__(0, "v"), "each column needs a name of its own"),
        (
            lambda t: [row.__setitem__(1, f"day {i}") for i, row in enumerate(t[1:])],
            "leave it out: --drop colour",
        ),
    ],
)
def test_what_is_refused(write, capsys, change, message):
    table = rows(lambda u, v: ("no", "yes")[u > 0])
    table[0][1] = "colour"
    change(table)
    assert cli.main(["train", str(write(table)), "--target", "goal"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("value", [None, {}, {"task": "regression", "columns": [3], "target": 1}])
def test_metadata_is_checked(value):
    with pytest.raises(ValueError, match="does not describe"):
        tables.Encoding.from_json(value)

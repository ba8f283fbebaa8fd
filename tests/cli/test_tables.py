"""The user's own table: encoded, trained on, predicted for; and what is refused."""

import csv
import json
import re
import signal
from copy import deepcopy
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import cli
from chainrule.cli import saved_model, tables
from chainrule.training.callbacks import EarlyStopping

pytestmark = pytest.mark.once


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


def fit_encoding(table, name, rows, task=None, impute=True):
    target, without = tables.choose_target(table, name, task)
    assert not without
    target = tables.fit_target(table, target, rows)
    readings = tables.choose_columns(table, target, rows, impute=impute)
    return tables.Encoding(tuple(each.column for each in readings if each.column), target)


def test_any_order_of_columns_through_json(write):
    path = write(rows(lambda u, v: f"{10 * u:.3f}"))
    table = tables.read_table(path)
    encoding = fit_encoding(table, "goal", np.arange(80))
    same = tables.Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert same == encoding
    turned = write([row[::-1] for row in rows(lambda u, v: "0")], "turned.csv")
    X = encoding.encode(table)
    np.testing.assert_array_equal(same.encode(tables.read_table(turned)), X)
    assert X.shape == (120, 4)
    np.testing.assert_allclose(X[:80, [0, 3]].mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_train_predict_and_explain(write, tmp_path, capsys, kind):
    classes = kind == "classification"
    path = str(write(rows(lambda u, v: ("no", "yes")[u > 0] if classes else f"{100 + u:.4f}")))
    model = str(tmp_path / "model.safetensors")
    quick = ["--epochs", "3", "--hidden", "8"]
    assert cli.main(["train", path, "--target", "goal", "--out", model, *quick]) == 0
    assert ("Test accuracy" if classes else "mean absolute error") in capsys.readouterr().out
    assert cli.main(["predict", model, path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 121
    assert lines[0] == "goal"
    assert cli.main(["predict", model, path, "--probabilities"]) == (0 if classes else 2)
    capsys.readouterr()
    assert cli.main(["predict", model, path, "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    assert [str(prediction) for prediction in predictions] == lines[1:]

    assert cli.main(["explain", model, path, "--parameter", "x"]) == 0
    shown = capsys.readouterr().out
    assert "colour=red" in shown
    assert f"Line 2: goal is {'yes' if classes else '100.1257'}, predicted {lines[1][:5]}" in shown
    page = tmp_path / "page.html"
    assert cli.main(["explain", model, path, "--rows", "2", "--json", "--html", str(page)]) == 0
    assert '"columns":["u","colour=blue","colour=red","v"]' in page.read_text(encoding="utf-8")
    report = json.loads(capsys.readouterr().out)
    gradients = report["input_gradients"]
    assert list(gradients) == ["u", "colour", "v"]
    assert list(gradients["colour"]) == ["blue", "red"]
    net, encoding = saved_model.load(model)
    table = tables.read_table(path)
    X, y = encoding.encode(table)[:2], encoding.encode_target(table)[:2]
    _, d_output = (cr.CrossEntropyLoss() if classes else cr.MSELoss())(net.forward(X), y)
    expected = net.backward(d_output)
    of_inputs = [gradients["u"], *gradients["colour"].values(), gradients["v"]]
    np.testing.assert_allclose(np.transpose(of_inputs), expected, rtol=1e-5)
    assert cli.main(["explain", model]) == 2
    assert "is a model of a table" in capsys.readouterr().err


def test_train_writes_one_json_object(write, capsys):
    path = str(write(rows(lambda u, v: f"{u:.4f}")))
    assert cli.main(["train", path, "--target", "goal", "--epochs", "2", "--json"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["rows"] == {"training": 84, "validation": 12, "test": 24}
    assert report["test"].keys() == {"r2", "mean_absolute_error", "always_mean"}
    assert report["interrupted"] is False
    assert "mean absolute error" in captured.err


def test_ctrl_c(write, tmp_path, capsys, monkeypatch):
    class Interrupting(EarlyStopping):
        def on_epoch_end(self, training):
            super().on_epoch_end(training)
            signal.raise_signal(signal.SIGINT)

    path, model = str(write(rows(lambda u, v: f"{u:.4f}"))), tmp_path / "model.safetensors"
    arguments = ["train", path, "--target", "goal", "--json", "--out", str(model)]
    with monkeypatch.context() as patched:
        patched.setattr(cli.train, "EarlyStopping", Interrupting)
        assert cli.main(arguments) == 130
    report = json.loads(capsys.readouterr().out)
    assert report["interrupted"] is True
    assert report["epochs"] < 60
    saved_model.load(model)

    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(tables, "read_table", interrupted)
    assert cli.main(arguments) == 130
    assert capsys.readouterr() == ("", "chainrule: interrupted\n")


def test_missing_cells_are_filled_from_the_rows_to_train_on(write):
    cells = [["1", "a", "a"], ["3", "a", "b"]] * 2 + [["", "", "b"]] + [["9", "b", ""]] * 20
    path = write([["n", "c", "d", "goal"], *([*row, str(i)] for i, row in enumerate(cells))])
    table = tables.read_table(path)
    encoding = fit_encoding(table, "goal", np.arange(6), task="regression")
    # Categories get one for missing cells, unless all of these are in other rows.
    assert [column.fill for column in encoding.columns] == [3.0, "missing", "missing"]
    assert encoding.encode(table)[4].tolist() == pytest.approx(
        [(3 - 3.4) / encoding.columns[0].scale, 0, 0, 1, 0, 1, 0]
    )
    encoding = fit_encoding(table, "goal", np.arange(4), task="regression")
    assert [column.fill for column in encoding.columns] == [2.0, "a"]  # c is constant there
    encoding = fit_encoding(table, "goal", np.arange(6), task="regression", impute=False)
    with pytest.raises(ValueError, match="line 6, column 'n': the cell is empty; train without"):
        encoding.encode(table)


@given(st.floats(-1e12, 1e12), st.floats(1e-30, 1e30), st.floats(-9, 9, width=32), st.booleans())
@settings(max_examples=200, derandomize=True)
def test_predicted_numbers_have_the_digits_of_their_dtype(mean, scale, z, single):
    """As far as the dtype tells apart, in units of the training rows' deviation; and no more."""
    output = np.array([[z]], np.float32 if single else np.float64)
    encoding = tables.Encoding((), tables.Number("goal", mean=mean, scale=scale))
    (value,) = encoding.decode(output)
    exact, resolution = mean + scale * z, np.finfo(output.dtype).eps * scale
    assert abs(value - exact) <= resolution / 2 + np.spacing(abs(exact))
    last_digit = Decimal(repr(value)).normalize().as_tuple().exponent
    assert value == 0 or last_digit >= np.log10(resolution) - 2


def test_a_network_that_does_not_fit_its_columns(write, tmp_path, capsys):
    path = write(rows(lambda u, v: f"{u}"))
    encoding = fit_encoding(tables.read_table(path), "goal", np.arange(80))
    model = tmp_path / "model.safetensors"
    for sizes, message in (((3, 1), "do not fit its network"), ((4, 2), "output has shape (n, 2)")):
        saved_model.save(model, cr.Sequential(cr.Linear(*sizes), seed=0), encoding)
        assert cli.main(["predict", str(model), str(path)]) == 2
        assert message in capsys.readouterr().err
        with pytest.raises(cr.ModelFileError):
            saved_model.load(model)


def test_names_that_python_takes_for_numbers_are_categories(write):
    table = tables.read_table(write([["a", "b"], *([f"1_{i % 3}", f"{i}.5"] for i in range(20))]))
    encoding = fit_encoding(table, "b", np.arange(20))
    assert encoding.inputs == ["a=1_0", "a=1_1", "a=1_2"]


def test_numbers_beyond_what_was_learned_from(write):
    table = tables.read_table(write([["a", "b"], *([f"{i}e-30", f"{i}"] for i in range(20))]))
    encoding = fit_encoding(table, "b", np.arange(20), task="regression")
    far = tables.read_table(write([["a"], ["1e-30"], ["1e20"]]))
    with pytest.raises(ValueError, match="line 3, column 'a': 1e20 is too far"):
        encoding.encode(far)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[5].__setitem__(3, ""), "line 6, column 'goal': the target is missing"),
        (
            lambda t: [row.__setitem__(3, f"2024-0{1 + i % 3}-01") for i, row in enumerate(t[1:])],
            "the target 'goal' holds dates (such as '2024-01-01')",
        ),
        (
            lambda t: [row.__setitem__(3, "5.5") for row in t[1:]],
            "the target 'goal' is 5.5 in all training rows",
        ),
        (lambda t: t[5].pop(), "line 6: expected 4 cells as in the header"),
        (lambda t: t[0].__setitem__(0, "v"), "each column needs a unique name"),
    ],
)
def test_what_is_refused(write, capsys, change, message):
    table = rows(lambda u, v: ("no", "yes")[u > 0])
    table[0][1] = "colour"
    change(table)
    arguments = ["train", str(write(table)), "--target", "goal", "--no-impute"]
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err


OLD = {  # before columns had a kind
    "task": "classification",
    "columns": [
        {"name": "u", "mean": 0.5, "scale": 2.0, "categories": [], "fill": 0.0},
        {"name": "c", "mean": 0.0, "scale": 1.0, "categories": ["a", "b"], "fill": None},
    ],
    "target": {"name": "t", "mean": 0.0, "scale": 1.0, "categories": ["no", "yes"], "fill": None},
}
COLUMNS = (
    tables.Number("u", False, 0.5, 2.0, 0.0, "%", ","),
    tables.Category("c", True, ("a", "b"), "b"),
    tables.Date("d", False, ("time", "year", "month"), "dmy", 1.0, 2.0, 3.0),
)
GOOD = json.loads(
    json.dumps(tables.Encoding(COLUMNS, tables.Category("t", categories=("no", "yes"))).to_json())
)
PLACES = [
    (),
    *((key,) for key in GOOD),
    *(("columns", i) for i in range(len(COLUMNS))),
    *(("columns", i, key) for i in range(len(COLUMNS)) for key in GOOD["columns"][i]),
    *(("target", key) for key in GOOD["target"]),
    ("columns", 1, "categories", 0),
    ("columns", 2, "units", 0),
]
FIELDS = [*GOOD, *(key for column in GOOD["columns"] for key in column), ""]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["number", "category", "date", "month", "mdy"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=8,
)


def test_metadata_from_before_columns_had_a_kind():
    encoding = tables.Encoding.from_json(deepcopy(OLD))
    assert encoding.columns == (
        tables.Number("u", mean=0.5, scale=2.0, fill=0.0),
        tables.Category("c", categories=("a", "b")),
    )
    assert encoding.classes == ("no", "yes")
    assert encoding.task == "classification"


@given(st.sampled_from(PLACES), VALUES | st.just(...))
@settings(max_examples=150, derandomize=True)
def test_metadata_is_checked(place, value):
    """Whatever stands in the place of one part, or its absence: refused, or it works."""
    holder = {"all": deepcopy(GOOD)}
    inside = holder
    *way, last = ("all", *place)
    for step in way:
        inside = inside[step]
    if value is ...:
        del inside[last]
    else:
        inside[last] = value
    try:
        encoding = tables.Encoding.from_json(holder.get("all"))
    except ValueError:
        return
    assert tables.Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding
    of_kind = {"number": f"1{getattr(encoding.columns[0], 'unit', '')}", "date": "2000-01-02"}
    cells = {
        column.name: [of_kind.get(column.kind) or column.categories[0]]
        for column in encoding.columns
    }
    X = encoding.encode(tables.RawTable("a.csv", cells, [2]))
    assert X.shape == (1, len(encoding.inputs))
    assert np.isfinite(X).all()
    assert len(encoding.decode(np.zeros((1, len(encoding.outputs))))) == 1


def test_a_table_of_twenty_thousand_named_columns_is_saved(tmp_path):
    columns = tuple(
        tables.Number(f"ENSG{i:011d}.{i % 20}", mean=i / 7, scale=1 + i / 11, fill=i / 3)
        for i in range(20_000)
    )
    encoding = tables.Encoding(columns, tables.Number("age", mean=1 / 3, scale=2 / 3))
    net, path = cr.Sequential(cr.Linear(20_000, 1), seed=0), tmp_path / "model.safetensors"
    saved_model.check_saving(encoding)
    saved_model.save(path, net, encoding)
    assert saved_model.load(path)[1] == encoding


def test_what_a_file_has_no_room_for_is_refused_before_training(
    write, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("chainrule.models.model_file.MOST_METADATA", 200)
    monkeypatch.setattr(cli.train, "fit_network", None)  # nothing is trained
    path = str(write(rows(lambda u, v: f"{u:.4f}")))
    model = tmp_path / "model.safetensors"
    assert cli.main(["train", path, "--target", "goal", "--out", str(model)]) == 2
    error = capsys.readouterr().err
    assert "cannot hold all names of columns and categories (--drop leaves columns out)" in error
    assert "at most 200 characters" in error
    assert not model.exists()


CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


@pytest.mark.parametrize("bad", ["\x1b]0;title\x07", "\x9b31m\b\x7f\u202e"])
def test_what_controls_a_terminal_is_shown_not_obeyed(write, tmp_path, capsys, monkeypatch, bad):
    goal, red = f"goal{bad}", f"red{bad}"
    cells = [[f"u{bad}", f"colour{bad}", goal]]
    cells += [[str(i % 7), red if i % 2 else "blue", red if i % 3 else "no"] for i in range(60)]
    path, model = str(write(cells)), str(tmp_path / f"model{bad}.safetensors")
    few = str(write([["other", f"more{bad}"], ["1", "2"]], "few.csv"))
    commands = [
        (0, "train", path, "--target", goal, "--epochs", "1", "--hidden", "", "--out", model),
        (0, "predict", model, path),
        (0, "predict", model, path, "--probabilities"),
        (0, "explain", model, path, "--rows", "2"),
        (2, "train", path, "--target", "none"),
        (2, "train", path, "--target", "none", f"--data={bad}"),
        (2, "predict", model, few),
        (2, "predict", few, few),
        (2, "train", few, "--target", f"more{bad}"),
        (2, "predict", model, str(tmp_path / bad)),
    ]
    seen = ""
    for code, *arguments in commands:
        with monkeypatch.context() as patched:
            if arguments[0] == "predict":  # others would show colours on a terminal
                patched.setattr("sys.stdout.isatty", lambda: True, raising=False)
            assert cli.main(arguments) == code, arguments
        captured = capsys.readouterr()
        seen += captured.out + captured.err
    with pytest.raises(SystemExit):
        cli.main(["predict", model, path, bad])
    seen += capsys.readouterr().err
    assert not CONTROLS.search(seen)
    assert repr(bad)[1:-1] in seen
    assert cli.main(["predict", model, path]) == 0
    assert goal in capsys.readouterr().out  # into a file, it is data

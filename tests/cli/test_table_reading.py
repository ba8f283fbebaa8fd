"""Tables as they are in the world: how they are read, and what is said of it."""

import json

import numpy as np
import pytest

from chainrule import cli
from chainrule.cli import tables

pytestmark = pytest.mark.once

ROWS = 60
QUICK = ("--epochs", "2", "--hidden", "4")
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(ROWS, 2)).round(3) + 2
GOALS = (10 * NUMBERS[:, 0]).round(2)


@pytest.fixture
def write(tmp_path):
    def write(columns, name="table.csv", separator=","):
        """Write a file from the cells of each column, by name."""
        rows = [columns, *zip(*columns.values(), strict=True)]
        path = tmp_path / name
        path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))
        return str(path)

    return write


def columns(**others):
    return {"u": NUMBERS[:, 0].tolist(), **others, "goal": GOALS.tolist()}


@pytest.fixture
def train(tmp_path, capsys):
    def train(path, *options, target="goal"):
        """Train; return the code, and the report or the error."""
        model = str(tmp_path / "model.safetensors")
        arguments = ["train", path, "--target", target, "--out", model, "--json", *QUICK]
        code = cli.main([*arguments, *options])
        captured = capsys.readouterr()
        return (code, captured.err) if code else (code, json.loads(captured.out))

    return train


@pytest.fixture
def predict(tmp_path, capsys):
    def predict(path):
        """Return the predictions, and what is said of the table."""
        assert cli.main(["predict", str(tmp_path / "model.safetensors"), path, "--json"]) == 0
        captured = capsys.readouterr()
        report = json.loads(captured.out)
        assert "".join(note + "\n" for note in report["notes"]) == captured.err
        return report["predictions"], report["notes"]

    return predict


def read_as(report):
    return {column["name"]: column["read_as"] for column in report["columns"]}


def note_of(report, name):
    return next(column["note"] for column in report["columns"] if column["name"] == name)


# Files


CALLED = "Column 1 has no name: it is called 'column 1'."


@pytest.mark.parametrize("cells", [range(ROWS), [f"name {i}" for i in range(ROWS)]])
def test_a_first_column_without_a_name_holds_row_numbers_or_names(write, train, predict, cells):
    path = write({"": cells, **columns()}, "numbers.csv")
    code, report = train(path)
    assert code == 0
    assert report["notes"] == [CALLED]
    assert read_as(report) == {"column 1": "left out", "u": "number"}
    kind = "number" if cells == range(ROWS) else "category"
    assert note_of(report, "column 1") == (
        f"no name, and another value in each row (such as '{cells[0]}'): taken for row numbers or "
        f'names; --columns "column 1={kind}" keeps it'
    )
    predicted, notes = predict(path)
    assert notes == [CALLED]
    assert (predicted, []) == predict(write(columns()))
    _, report = train(path, "--columns", f"column 1={kind}")
    assert read_as(report)["column 1"].partition(" of ")[0] == kind
    assert predict(path)[0] != predicted


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["cat", "dog"] * (ROWS // 2), "category of 2"),
        (NUMBERS[:, 1].round(1), "number"),
        (np.arange(ROWS) + np.datetime64("2020-01-01"), "date"),
    ],
)
def test_a_first_column_without_a_name_may_be_an_input(write, train, predict, cells, kind):
    path = write({"": cells, **columns()})
    _, report = train(path)
    assert report["notes"] == [CALLED]
    assert read_as(report) == {"column 1": kind, "u": "number"}
    assert len(predict(path)[0]) == ROWS


def test_rows_without_names_may_have_a_first_column_of_different_numbers(tmp_path, train):
    path = tmp_path / "table.csv"
    path.write_text("".join(f"{i * 0.5},{i % 7}\n" for i in range(ROWS)))
    _, report = train(str(path), target="column 2")
    assert read_as(report) == {"column 1": "number"}


@pytest.mark.parametrize("name", ["rownames", "Unnamed: 0", "row.names"])
def test_names_of_row_numbers(write, train, name):
    _, report = train(write({name: range(ROWS), **columns()}))
    assert read_as(report) == {name: "left out", "u": "number"}
    _, report = train(write({name: range(ROWS), **columns()}), "--columns", f"{name}=number")
    assert read_as(report) == {name: "number", "u": "number"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2,3\n4,5,6\n", ["column 1", "a", "b"]),  # as R's write.table
        ("a,b\n1,2,\n4,5,\n", ["a", "b"]),
        ("a,b,\n1,2,\n4,5,\n", ["a", "b"]),
        ("a,,c\n1,2,3\n", ["a", "column 2", "c"]),
        ("1.5,2\n3,4\n", ["column 1", "column 2"]),
        ("0,1\n3,4\n", ["0", "1"]),  # pandas' names
        (",1990,1995\nx,3,4\n", ["column 1", "1990", "1995"]),
        (",column 1\n5,6\n", ["column 1 without a name", "column 1"]),
        (",a,b\n,1,2\n", ["a", "b"]),
        ("a  b   c\n1  2 3\n", ["a", "b", "c"]),
        ("first a;b, c\n1;2\n", ["first a", "b, c"]),
        ('a, b\n1, "x, y"\n', ["a", "b"]),
        ("a|b\n1|2\n", ["a", "b"]),
        ("Sales\n\nSource: a report\na,b\n1,2\n3,4\n5,6\n", ["a", "b"]),
    ],
)
def test_headers(tmp_path, text, names):
    path = tmp_path / "table.csv"
    path.write_text(text)
    table = tables.read_table(path)
    assert list(table.columns) == names
    assert table.lines[0] == text[: text.index(table.column(names[0])[0])].count("\n") + 1


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("space", ["", "\n"])
def test_lines_of_text_below_the_table_are_left_out_with_a_word(tmp_path, separator, space):
    path = tmp_path / "data.csv"
    rows = ["a,b,c", "1,2,3", "4,5,6"]
    path.write_text("\n".join(rows).replace(",", separator) + f"\n{space}Source: me\nAll rights\n")
    table = tables.read_table(path)
    assert table.columns == {"a": ["1", "4"], "b": ["2", "5"], "c": ["3", "6"]}
    line = 4 + len(space)
    said = f"ends at line 3; what comes after is left out (line {line}: 'Source: me')."
    assert table.notes[-1] == f"The table {said}"
    path.write_text("\n".join(rows) + "\n7\n")  # a row that is cut off
    with pytest.raises(ValueError, match="line 4: expected 3 cells as in the header, but it has 1"):
        tables.read_table(path)


@pytest.mark.parametrize("separator", tables.reading.SEPARATORS)
@pytest.mark.parametrize("first", ["sep={}\n", '"sep={}"\r\n', "SEP={}\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_first_line_may_declare_the_separator(tmp_path, separator, first, encoding):
    path = tmp_path / "table.csv"
    rows = [["a", "b"], ["1", "2"], ["3", "4"]]
    text = first.format(separator) + "".join(separator.join(row) + "\n" for row in rows)
    path.write_bytes(text.encode(encoding))
    table = tables.read_table(path)
    assert (table.columns, table.lines) == ({"a": ["1", "3"], "b": ["2", "4"]}, [3, 4])


def test_a_quote_within_a_cell(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("height,note\n" + '5,a screen of 15 "\n6,none\n' * 20_000)
    assert len(tables.read_table(path).lines) == 40_000


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("grouped", [False, True], ids=["", "thousands"])
@pytest.mark.parametrize(("separator", "name"), [(",", ""), (";", "semicolons"), ("\t", "tabs")])
def test_separators_and_decimals(tmp_path, separator, name, grouped, decimal):
    values = NUMBERS * [1, 1e6]

    def cell(value):
        text = f"{value:,.2f}" if grouped else f"{value:.2f}"
        if decimal == ",":
            text = text.translate(str.maketrans(".,", ",."))
        return f'"{text}"' if separator in text else text

    path = tmp_path / "table.csv"
    rows = [["a", "b"], *([cell(value) for value in row] for row in values)]
    path.write_text("\n".join(separator.join(row) for row in rows))
    table = tables.read_table(path)
    target, _ = tables.choose_target(table, "b")
    readings = tables.choose_columns(table, target, np.arange(ROWS))
    encoding = tables.Encoding((readings[0].column,), tables.fit_target(table, target, range(ROWS)))
    for found, expected in ((encoding.encode(table), 0), (encoding.encode_target(table), 1)):
        rounded = np.array([float(f"{value:.2f}") for value in values[:, expected]])
        expected = (rounded - rounded.mean()) / rounded.std()
        np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5, atol=1e-6)
    assert [f"Cells are separated by {name}."] * bool(name) == table.notes[: bool(name)]
    assert ("Numbers have decimal commas." in table.notes) == (decimal == ",")
    # Another file may have points, where the numbers tell.
    other = tables.RawTable("b.csv", {"a": ["2.5"]}, [2])
    assert encoding.columns[0].encode(other) == pytest.approx(
        (2.5 - encoding.columns[0].mean) / encoding.columns[0].scale
    )


def test_digits_in_groups_are_named(write, train, predict):
    cells = [f'"{1000 * i:,}"' for i in range(ROWS)]
    path = write(columns(n=cells) | {"goal": cells})
    _, report = train(path, "--task", "regression")
    assert read_as(report)["n"] == "number"
    assert note_of(report, "n") == "with thousands separators"
    places = "(line 3: '1,000', line 4: '2,000', line 5: '3,000' and 56 more)"
    assert report["notes"] == [f"Column 'goal': thousands separators are removed {places}."]
    assert predict(path)[1] == [f"Column 'n': thousands separators are removed {places}."]


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8-sig", None),
        ("utf-16", "The file is in UTF-16."),
        ("cp1252", "The file is not in UTF-8; it is read as Windows-1252."),
    ],
)
def test_encodings(tmp_path, encoding, note):
    path = tmp_path / "table.csv"
    path.write_text("größe,€\n1,2\n", encoding=encoding)
    table = tables.read_table(path)
    assert list(table.columns) == ["größe", "€"]
    assert table.notes == ([note] if note else [])


# Cells


@pytest.mark.parametrize("odd", ["6.2\x1a", "1.2%", "$3", "unknown", "1_000", "inf", "1e999"])
def test_an_odd_cell_is_named_and_the_column_stays_one_of_numbers(write, train, predict, odd):
    cells = NUMBERS[:, 1].tolist()
    cells[5] = odd
    path = write(columns(v=cells))
    code, report = train(path)
    assert code == 0
    assert read_as(report)["v"] == "number"
    median = note_of(report, "v").rpartition(" ")[2]
    assert note_of(report, "v") == f"1 odd cell (line 7: {odd!r}): the median {median}"
    _, notes = predict(path)
    expected = f"Column 'v': 1 cell that is no number (line 7: {odd!r}), replaced by {median}."
    assert notes == [expected.encode().decode()]
    # Where it is not one of many, or nothing may be replaced, it is an error.
    with pytest.raises(AssertionError):
        predict(write({"u": [1], "v": [odd]}, "few.csv"))
    code, error = train(path, "--no-impute")
    assert code == 2
    assert "line 7, column 'v': expected a number, but it is " in error


@pytest.mark.parametrize("kind", ["float", "class"])
def test_rows_without_a_target(write, train, kind):
    goals = GOALS.tolist() if kind == "float" else ["no", "yes"] * (ROWS // 2)
    goals[3] = "n/a"
    path = write({"u": NUMBERS[:, 0], "goal": goals})
    code, error = train(path)
    assert code == 2
    assert "line 5, column 'goal': the target is missing: 'n/a'; --drop-missing-target" in error
    assert ("=category" in error) == (kind == "class")
    code, report = train(path, "--drop-missing-target")
    assert code == 0
    assert sum(report["rows"].values()) == ROWS - 1
    assert report["notes"] == ["1 row without a target left out (line 5: 'n/a')."]
    goals[8] = "o\x1a"
    code, error = train(write({"u": NUMBERS[:, 0], "goal": goals}), "--columns", "goal=number")
    assert code == 2
    assert ("as in 1 other row" if kind == "float" else "but it is 'no'") in error


def test_a_word_for_missing_may_be_a_class(write, train, predict):
    path = write({"u": NUMBERS[:, 0], "goal": ["none", "some"] * (ROWS // 2)})
    code, error = train(path)
    assert code == 2
    assert "--columns goal=category makes 'none' a class" in error
    assert train(path, "--columns", "goal=category")[0] == 0
    assert set(predict(path)[0]) <= {"none", "some"}


def test_numeric_classes_are_told_apart_by_value(write, train, predict):
    goals = ["0", "1", "0", "1.0"] * (ROWS // 4)
    goals[1], goals[2] = "01", "0.0"
    path = write({"u": NUMBERS[:, 0], "goal": goals})
    code, report = train(path)
    assert code == 0
    assert report["task"] == "classification"
    assert set(predict(path)[0]) <= {"0", "1.0"}  # as most rows have it


# Dates


def some_dates(style):
    days = np.arange(ROWS) * 40
    dates = np.datetime64("2001-01-15") + days
    return [style.format(*str(date).split("-")) for date in dates], days


@pytest.mark.parametrize(
    "style", ["{0}-{1}-{2}", "{1}/{2}/{0}", "{2}.{1}.{0}", "{0}-{1}-{2}T08:30"]
)
def test_dates_become_days(write, train, predict, style):
    cells, days = some_dates(style)
    cells[7] = "unknown"
    path = write(columns(when=cells))
    code, report = train(path)
    assert code == 0
    assert read_as(report)["when"] == "date"
    assert "1 odd cell (line 9: 'unknown'): the median 20" in note_of(report, "when")
    assert len(predict(path)[0]) == ROWS
    table = tables.read_table(path)
    target, _ = tables.choose_target(table, "goal")
    column = tables.choose_columns(table, target, np.arange(ROWS))[1].column
    known = np.delete(np.arange(ROWS), 7)
    expected = (days[known] - days[known].mean()) / days[known].std()
    np.testing.assert_allclose(column.encode(table)[known, 0], expected, atol=1e-9)


def test_times_of_day(write, train):
    cells = [f"{i % 24:02}:{i % 60:02}" for i in range(ROWS)]
    cells[4] = ""
    _, report = train(write(columns(at=cells)))
    assert read_as(report)["at"] == "date"
    assert note_of(report, "at") == "00:00:00 to 23:47:00; 1 missing cell: the median 09:21:00"


@pytest.mark.parametrize(
    ("learned", "other"),
    [("{i:02}:30", "2024-05-{i:02} 12:30"), ("2024-05-{i:02} 12:30", "{i:02}:30")],
)
def test_dates_and_times_of_day_are_different_kinds(write, train, predict, learned, other):
    cells = [learned.format(i=1 + i % 23) for i in range(ROWS)]
    cells[9] = other.format(i=1)
    path = write(columns(at=cells))
    _, report = train(path)
    assert f"1 odd cell (line 11: '{cells[9]}'): the median " in note_of(report, "at")
    _, (note,) = predict(path)
    kind = "time of day" if "-" in other else "date"
    assert f"1 cell that is no {kind} (line 11: '{cells[9]}'), replaced by" in note
    others = write(columns(at=[other.format(i=1 + i % 23) for i in range(ROWS)]), "others.csv")
    with pytest.raises(AssertionError):
        predict(others)


def test_days_and_months_that_are_not_clear_are_left_out_by_name(write, train):
    cells = [f"{1 + i % 12}/{1 + i % 11}/2000" for i in range(ROWS)]
    path = write(columns(when=cells))
    _, report = train(path)
    assert read_as(report)["when"] == "left out"
    assert "--columns when=date:mdy or when=date:dmy" in note_of(report, "when")
    _, report = train(path, "--columns", "when=date:dmy,year,month")
    assert note_of(report, "when") == "2000-01-01 to 2000-11-10; by year, month"


def test_parts_of_a_date(write):
    cells, _ = some_dates("{0}-{1}-{2}T06:00")
    table = tables.RawTable("a.csv", {"when": cells, "goal": list(map(str, GOALS))}, range(ROWS))
    overrides = tables.parse_overrides(["when=date:time,year,month,day,weekday,hour"], table)
    target, _ = tables.choose_target(table, "goal")
    (reading,) = tables.choose_columns(table, target, np.arange(ROWS), overrides=overrides)
    column = reading.column
    assert column.inputs[:4] == ["when", "when.year", "when.month sin", "when.month cos"]
    assert len(column.inputs) == 8  # the hour never changes
    X = column.encode(table)
    dates = np.array([cell[:10] for cell in cells], "datetime64[D]")
    years = dates.astype("datetime64[Y]").astype(int)
    assert np.corrcoef(X[:, 1], years)[0, 1] > 0.99999
    months = dates.astype("datetime64[M]").astype(int) % 12
    np.testing.assert_allclose(X[:, 2], np.sin(2 * np.pi * months / 12), atol=1e-12)
    weekdays = np.array([date.astype(object).weekday() for date in dates])
    np.testing.assert_allclose(X[:, 7], np.cos(2 * np.pi * weekdays / 7), atol=1e-12)


# Columns that are no inputs


def test_what_is_constant_in_training_cannot_shift_a_prediction(write, train, predict):
    table = columns(n=[3] * ROWS, c=["same"] * ROWS, d=["2000-01-31"] * ROWS, empty=[""] * ROWS)
    table["time"] = ["06:30"] * ROWS
    path = write(table)
    _, report = train(path)
    assert read_as(report) == {"u": "number"} | dict.fromkeys(
        ["n", "c", "d", "empty", "time"], "left out"
    )
    assert note_of(report, "time") == "it is the same in all training rows: 06:30:00"
    assert note_of(report, "d") == "it is the same in all training rows: 2000-01-31"
    assert note_of(report, "n") == "it is 3 in all training rows"
    assert note_of(report, "c") == "it is 'same' in all training rows"
    changed = write(table | {"n": [4] * ROWS, "c": ["other"] * ROWS}, "changed.csv")
    assert predict(changed)[0] == predict(path)[0]


def test_a_category_of_no_training_row_cannot_shift_a_prediction(write, train, predict, tmp_path):
    test_row = int(cli.network.split(ROWS, 0)[0][0])
    cells = ["a", "b"] * (ROWS // 2)
    cells[test_row] = "rare"
    _, report = train(write(columns(c=cells)))
    assert read_as(report)["c"] == "category of 3"
    net, encoding = cli.saved_model.load(tmp_path / "model.safetensors")
    rare = encoding.inputs.index("c=rare")
    weights = net.parameters()["0.weight"]
    assert not weights[rare].any()
    assert np.delete(weights, rare, axis=0).all(axis=1).any()


def test_text_of_many_values_is_left_out(write, train):
    path = write(columns(name=[f"name {i}" for i in range(ROWS)]))
    _, report = train(path)
    assert read_as(report)["name"] == "left out"
    assert "60 different values in 60 rows (such as 'name 9')" in note_of(report, "name")
    _, report = train(path, "--columns", "name=category")
    assert read_as(report)["name"] == "category of 60"


def test_nothing_left(write, train):
    code, error = train(write({"name": [f"name {i}" for i in range(ROWS)], "goal": GOALS}))
    assert code == 2
    assert "has no column left beside the target 'goal'.\n  name: text of 60 different" in error
    only_row_numbers = write({"": range(ROWS), "goal": GOALS})
    assert "the target 'goal'.\n  column 1: no name, and another" in train(only_row_numbers)[1]
    assert "no column beside the target" in train(write({"goal": GOALS}))[1]


# What is said


def test_how_columns_were_read_is_shown_before_training(write, capsys):
    path = write(columns(c=["a", "b", ""] * 20, n=[7] * ROWS))
    assert cli.main(["train", path, "--target", "goal", *QUICK]) == 0
    shown = capsys.readouterr().out
    table = shown[: shown.index("Linear")]
    for row in (
        ("column", "read as", "notes"),
        ("goal", "target: number"),
        ("u", "number"),
        ("c", "category of 3", "a, b, missing; 20 missing cells: 'missing'"),
        ("n", "left out", "it is 7 in all training rows"),
    ):
        assert any(all(part in line for part in row) for line in table.splitlines())


def test_the_columns_of_a_wide_table_are_counted(write, capsys):
    wide = {f"x{i}": NUMBERS[:, 0] for i in range(50)}
    assert cli.main(["train", write(columns(**wide)), "--target", "goal", *QUICK]) == 0
    shown = capsys.readouterr().out
    assert "... and 11 more columns (number: 11)\n" in shown
    assert "x45" not in shown


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("u", "--columns must be NAME=KIND with a kind of number, category, date"),
        ("u=text", "not 'u=text'"),
        ("u=number:mdy", "not 'u=number:mdy'"),
        ("u=date:second", "mdy or dmy, and by some of time, year, month"),
        ("none=number", "has no column 'none'"),
        ("goal=category --task=regression", "--columns goal=category contradicts"),
        ("c=number", "--columns c=number, but no cell of 'c' can be read so (such as 'a')."),
        ("c=date", "--columns c=date, but no cell of 'c' can be read so (such as 'a')."),
        (
            "c=date:dmy,year",
            "--columns c=date:dmy, but no cell of 'c' can be read so (such as 'a').",
        ),
        ("u=number --drop=u", "--drop u contradicts --columns u=number."),
        ("u=number --drop=goal", "--drop goal would leave out the target."),
        ("goal=date", "the target 'goal' holds dates"),
    ],
)
def test_overrides_that_do_not_fit(write, train, override, message):
    path = write(columns(c=["a", "b"] * (ROWS // 2)))
    code, said = train(path, "--columns", *override.split())
    assert code == 2
    assert message in said


def test_a_column_and_a_category_of_the_same_name(write, train, tmp_path, capsys):
    path = write({"a": ["x", "y"] * 30, "a=x": NUMBERS[:, 1], "goal": GOALS})
    assert train(path)[0] == 0
    model = str(tmp_path / "model.safetensors")
    assert cli.main(["explain", model, path, "--json"]) == 0
    gradients = json.loads(capsys.readouterr().out)["input_gradients"]
    assert list(gradients) == ["a", "a=x"]
    assert list(gradients["a"]) == ["x", "y"]
    assert len(gradients["a=x"]) == 1
    assert cli.main(["explain", model, path]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in ('a="x"', 'a="y"', "a=x"))

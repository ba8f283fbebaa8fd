"""Cells of tables as inputs: numbers, dates and categories, in training and in new rows."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chainrule.cli import tables
from chainrule.cli.tables.cells import MISSING, read_numbers
from chainrule.cli.tables.dates import iso, parse_date

pytestmark = pytest.mark.once

ROWS = 60


@pytest.mark.parametrize("decimal", [".", ","])
def test_a_typographic_minus_is_one(decimal):
    cells = ["\N{MINUS SIGN}1.5e\N{MINUS SIGN}3".replace(".", decimal), "-2", "\N{MINUS SIGN}$3"]
    numbers = read_numbers(cells[:2], decimal)
    assert (numbers.values.tolist(), numbers.odd) == ([-0.0015, -2], [])
    assert read_numbers(cells[2:], decimal).values == [-3]


def test_case_does_not_matter_in_new_rows_where_it_did_not_in_training():
    cells = ["TRUE", "true", "tRue", "False", "No", "no", "nO"]
    table = tables.RawTable("a.csv", {"c": cells[:4]}, [*range(2, 6)])
    column = tables.Category("c", categories=("False", "True", "No", "no"))
    assert column.encode_numbers(table).tolist() == [1, 1, 1, 0]
    table = tables.RawTable("a.csv", {"c": cells[4:]}, [2, 3, 4])
    with pytest.raises(ValueError, match="line 4, column 'c': 'nO' is none of False, True, No, no"):
        column.encode_numbers(table)


@given(
    st.lists(st.integers(0, 999), min_size=2, max_size=9),
    st.integers(0, 999),
    st.sampled_from([*",;\t|"]),
    st.sampled_from(["", "-"]),
)
@settings(max_examples=50, derandomize=True)
def test_a_number_below_one_tells_the_decimal_separator(thousandths, own, separator, sign):
    texts = [
        f"{sign}{n / 1000:.3f}"
        for n in (own, *(1000 * (i % 3) + n for i, n in enumerate(thousandths)))
    ]
    cells = [text.replace(".", ",") for text in texts]
    rows = ["a" + separator + "b"]
    rows += [f'"{cell}"{separator}{i}' for i, cell in enumerate(cells)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_text("\n".join(rows))
        table = tables.read_table(path)
    assert table.decimal == ","
    numbers = read_numbers(table.column("a"), table.decimal)
    assert (numbers.values.tolist(), numbers.grouped) == (list(map(float, texts)), [])


@pytest.mark.parametrize("separator", [*",;\t|"])
@pytest.mark.parametrize(
    ("cells", "learned", "expected"),
    [
        (["1,234"], ",", 1.234),
        (["1.234", "0.5"], ",", 1.234),
        (["1.234", "0.5"], ".", 1.234),
        (["1,234", "0,5"], ".", 1.234),
        (["1,234", "0.5"], ",", 1234),
        (["1.234", "0,5"], ".", 1234),
    ],
)
def test_new_rows_that_do_not_tell_the_decimal_separator_have_the_models(
    tmp_path, separator, cells, learned, expected
):
    path = tmp_path / "table.csv"
    header = separator.join("abc"[: len(cells) + 1])
    row = separator.join([*(f'"{cell}"' for cell in cells), "1"])
    path.write_text(f"{header}\n{row}\n")
    column = tables.Number("a", decimal=learned)
    assert column.encode(tables.read_table(path)) == expected


@pytest.mark.parametrize("cell", ["0.086", "0.5", "1.234", "-1234.567"])
def test_points_between_commas_are_decimal_whatever_the_model_learned(tmp_path, cell):
    path = tmp_path / "table.csv"
    path.write_text(f"x,g\n{cell},1\n2,1\n")
    column = tables.Number("x", decimal=",")
    table = tables.read_table(path)
    assert column.encode(table)[0, 0] == float(cell)
    assert table.notes == []


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        (tables.Number("x", unit="%"), "5", "expected a number in %, but it is '5'"),
        (tables.Number("x"), "5%", "expected a number, but it is '5%'"),
        (tables.Date("x", form="time"), "2000-01-31", "expected a time of day, but it is '2000"),
        (tables.Date("x"), "05:30", "expected a date, but it is '05:30'"),
        *(
            (column, cell, f"the cell is {said}; train without --no-impute to fill")
            for column in (tables.Number("x"), tables.Date("x"), tables.Category("x"))
            for cell, said in (("?", r"missing ('?')"), ("", "empty"))
        ),
    ],
)
def test_cells_that_a_model_does_not_take(column, cell, message):
    with pytest.raises(ValueError, match=re.escape(f"a.csv, line 2, column 'x': {message}")):
        column.encode(tables.RawTable("a.csv", {"x": [cell]}, [2]))


def spellings(word):
    return {word, word.upper(), word.title()}


@pytest.mark.parametrize("word", sorted({each for word in MISSING for each in spellings(word)}))
def test_words_for_missing_cells(word):
    whole = [*map(str, range(19)), word]
    halves = [*(f"{i}.5" for i in range(19)), word]
    names = [*"abababababababababa", word]
    table = tables.RawTable("a.csv", {"n": whole, "c": names, "goal": halves}, list(range(2, 22)))
    target, without = tables.choose_target(table, "goal")
    assert isinstance(target, tables.Number)
    assert without == [19]
    number, category = tables.choose_columns(table, target, np.arange(20))
    assert number.note == "1 missing cell: the median 9"
    assert category.note == "a, b, missing; 1 missing cell: 'missing'"
    assert number.column.encode(table)[19] == 0
    assert category.column.encode(table)[19].tolist() == [0, 0, 1]


@given(
    st.lists(st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3), min_size=4, max_size=20),
    st.integers(-290, 300),
)
@settings(max_examples=100, derandomize=True)
def test_values_of_any_size_are_standardized(values, exponent):
    cells = [repr(value * 10.0**exponent) for value in [*values, 0.5, -0.5]]
    rows = np.arange(len(cells))
    table = tables.RawTable("a.csv", {"a": cells, "b": cells}, [*range(2, 2 + len(cells))])
    target, _ = tables.choose_target(table, "b", "regression")
    (reading,) = tables.choose_columns(table, target, rows)
    encoding = tables.Encoding((reading.column,), tables.fit_target(table, target, rows))
    X = encoding.encode(table)
    np.testing.assert_allclose([X.mean(), X.std()], [0, 1], atol=1e-5)
    found = encoding.decode(X.astype(float))
    np.testing.assert_allclose(found, np.array(cells, float), rtol=1e-5, atol=1e-6 * 10.0**exponent)


FIRST_OF_MARCH = [
    "1985-03-01",
    "1985/3/1",
    "1985.03.01",
    "3/1/85",
    "03/01/1985",
    "Mar 1 1985",
    "March 1, 1985",
    "1 Mar 1985",
    "01-MAR-85",
    "1985-Mar-01",
    "Fri, 1 Mar 1985",
    "1985-03",
    "1985M03",
    "Mar 1985",
    "Mar-85",
    "1985-03-01T00:00:00Z",
    "1985-03-01 00:00",
    "1985-03-01T02:30:00.000+02:30",
    "3/1/1985 12:00 AM",
    "19850301",
]


@pytest.mark.parametrize("cell", FIRST_OF_MARCH)
def test_dates(cell):
    days = parse_date(cell)
    assert days is not None
    assert iso(days) == "1985-03-01"


@pytest.mark.parametrize(
    ("cell", "days"),
    [
        ("1974Q2", 1551.0),
        ("1974-Q2", 1551.0),
        ("Q2 1974", 1551.0),
        ("01:30", 0.0625),
        ("1:30 PM", 0.5625),
        ("1985-02-30", None),
        ("25:00", None),
        ("13/13/2000", None),
        ("1974-75", None),
        ("market 12", None),
        ("May", None),
        ("12.5", None),
        ("", None),
    ],
)
def test_other_dates(cell, days):
    assert parse_date(cell) == days


@pytest.mark.parametrize(("order", "first"), [("mdy", "month"), ("dmy", "day")])
@pytest.mark.parametrize("rows", [1, 3, ROWS])
def test_a_new_table_with_the_other_order_of_day_and_month_is_an_error(order, first, rows):
    column = tables.Date("when", order=order, fill=0.0)
    own, other = ("1/31/2000", "31/1/2000") if order == "mdy" else ("31/1/2000", "1/31/2000")
    clear = [other, *["1/2/2000"] * (rows - 1)]
    table = tables.RawTable("a.csv", {"when": clear}, [*range(2, 2 + rows)])
    with pytest.raises(ValueError, match=f"line 2, .* expected a date with the {first} first"):
        column.encode(table)
    mixed = [other, *(own.replace("31", str(13 + i % 15)) for i in range(ROWS))]
    table = tables.RawTable("a.csv", {"when": mixed}, [*range(2, 3 + ROWS)])
    assert column.encode(table)[0, 0] == 0.0  # one slip among many


NEXT = 1 + 2.0**-52  # a factor that is rounding alone


@given(st.floats(1e-290, 1e290), st.sampled_from([-1, 1]), st.integers(0, 2**32))
@settings(max_examples=50, derandomize=True)
def test_rounding_does_not_make_a_column_vary(size, sign, seed):
    cells = [
        repr(sign * size * NEXT**i)
        for i in np.random.default_rng(seed).integers(0, 3, ROWS).tolist()
    ]
    halves = [f"{i}.5" for i in range(ROWS)]
    table = tables.RawTable("a.csv", {"n": cells, "u": halves}, [*range(2, 2 + ROWS)])
    rows = np.arange(ROWS)
    constant, _ = tables.choose_columns(table, tables.Number("goal"), rows)
    assert constant.note == f"it is {float(cells[0]):.6g} in all training rows"
    with pytest.raises(ValueError, match="there is nothing to learn"):
        tables.fit_target(table, tables.Number("n"), rows)


def test_the_largest_numbers_vary():
    cells = ["-1.5e308", "1.5e308"] * 30
    table = tables.RawTable("a.csv", {"n": cells, "u": cells}, [*range(2, 2 + ROWS)])
    rows = np.arange(ROWS)
    reading, _ = tables.choose_columns(table, tables.Number("goal"), rows)
    assert reading.column.encode(table)[:, 0] == pytest.approx([-1, 1] * 30)
    assert tables.fit_target(table, tables.Number("n"), rows).scale == pytest.approx(1.5e308)


def test_an_hour_that_is_the_same_each_day_does_not_vary():
    dates = np.datetime64("2012-01-15T08:30") + np.timedelta64(40, "D") * np.arange(ROWS)
    cells = list(map(str, dates))
    table = tables.RawTable("a.csv", {"when": cells}, [*range(2, 2 + ROWS)])
    overrides = tables.parse_overrides(["when=date:month,hour"], table)
    goal = tables.Number("goal")
    (reading,) = tables.choose_columns(table, goal, np.arange(ROWS), overrides=overrides)
    assert reading.column.inputs == ["when.month sin", "when.month cos"]


AWKWARD = st.sampled_from(["a", "a=x", "x", "x=x", 'a="x"', '"x"', "d", "d.year", 'd."year"'])


@given(st.dictionaries(AWKWARD, st.sets(AWKWARD | st.text('x="', min_size=1)), min_size=1))
@example({"a": {"x"}, "a=x": set(), 'a="x"': set()})
@example({"a": {"x", '"x"', "x=x"}, "a=x": {"x", '"x"'}})
@example({"d": set(), "d.year": {"x"}, "d.year=x": set()})
@example({"d": set(), "d.year": set()})
@settings(max_examples=100, derandomize=True)
def test_each_input_has_a_name_of_its_own(names):
    columns = [
        tables.Category(name, categories=tuple(sorted(categories)))
        if categories
        else (tables.Date(name, units=("time", "year")) if name == "d" else tables.Number(name))
        for name, categories in names.items()
    ]
    inputs = tables.Encoding(tuple(columns), tables.Number("goal")).inputs
    assert len(set(inputs)) == len(inputs) == sum(len(column.parts) for column in columns)

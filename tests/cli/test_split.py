"""The command line's split: each row has one part, and training rows alone teach."""

import argparse
import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rich.console import Console

import chainrule as cr
from chainrule import cli
from chainrule.cli import tables
from chainrule.cli.network import read_data, split
from chainrule.cli.table_data import read_table_data
from chainrule.metrics import accuracy

pytestmark = pytest.mark.once

PARTS = "training", "validation", "test"
seeds = st.integers(0, 2**40)
quick = settings(max_examples=60, derandomize=True)


@given(st.integers(10, 400), seeds)
@quick
def test_every_row_is_in_exactly_one_part(rows, seed):
    parts = split(rows, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows))
    test, validation, training = map(len, parts)
    assert abs(test - 0.2 * rows) <= 0.5
    assert abs(validation - 0.1 * rows) <= 0.5
    assert training >= 0.65 * rows
    for part, same in zip(parts, split(rows, seed), strict=True):
        assert part.tolist() == same.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_each_part_of_a_table_has_each_class_in_proportion(tmp_path, seed):
    path = tmp_path / "table.csv"
    classes = ["common"] * 180 + ["rare"] * 20
    path.write_text("u,goal\n" + "".join(f"{i},{name}\n" for i, name in enumerate(classes)))
    options = argparse.Namespace(data=None, table=path, target="goal", seed=seed)
    vars(options).update(task=None, columns=None, drop=None, drop_missing_target=None, impute=None)
    data, _ = read_table_data(options, Console(quiet=True))
    for part, rare in ((data.test, 4), (data.validation, 2), (data.training, 14)):
        assert np.bincount(data.y[part]).tolist() == [9 * rare, rare]


def test_seeds_differ_and_rows_are_mixed():
    first, second = split(200, 0)[0], split(200, 1)[0]
    assert set(first) != set(second)
    for part in (first, second):
        assert part.min() < 100 <= part.max()


@given(st.lists(st.integers(0, 4), min_size=10, max_size=400), seeds)
@quick
def test_each_part_has_each_class_in_proportion(labels, seed):
    classes = np.array(labels)
    parts = split(len(classes), seed, classes)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(classes)))
    for part, random in zip(parts, split(len(classes), seed), strict=True):
        assert len(part) == len(random)
        shares = np.bincount(classes) * len(part) / len(classes)
        found = np.bincount(classes[part], minlength=len(shares))
        assert (abs(found - shares) < 3).all()
        same = split(len(classes), seed, classes)
    for part, again in zip(parts, same, strict=True):
        assert part.tolist() == again.tolist()


def test_a_class_of_one_row_is_trained_on_and_rows_are_mixed():
    classes = np.repeat([0, 1, 2], [1, 99, 100])
    drawn = [split(200, seed, classes) for seed in range(20)]
    assert all(0 in training for _, _, training in drawn)
    assert len({tuple(sorted(test)) for test, _, _ in drawn}) == 20
    assert set(classes[drawn[0][2][:16]]) == {1, 2}


# What a column learns


NUMBERS = st.floats(-1e6, 1e6).map(repr) | st.integers(-9, 9).map(str)
TEXTS = st.sampled_from(["red", "green", "blue"])


@st.composite
def tables_of_two(draw):
    """A column's cells, those of another table that has others outside the training rows."""
    rows = draw(st.integers(10, 40))
    kind = draw(st.sampled_from([NUMBERS, TEXTS]))
    gaps = st.sampled_from(["", "?", "nan"]) if draw(st.booleans()) else kind
    cells = draw(st.lists(kind | gaps, min_size=rows, max_size=rows))
    training = split(rows, draw(seeds))[2]
    # One number and all texts, so that the column's kind and categories are the same in both.
    known = ["red", "green", "blue"] if kind is TEXTS else ["1.5"]
    for row, cell in zip(training, known, strict=False):
        cells[row] = cell
    outliers = kind if kind is TEXTS else kind | st.sampled_from(["1e30", "-1e30"])
    others = [cell if row in training else draw(outliers | gaps) for row, cell in enumerate(cells)]
    return cells, others, training


def fit(table, rows, task=None, impute=True):
    target, _ = tables.choose_target(table, "goal", task)
    target = tables.fit_target(table, target, rows)
    readings = tables.choose_columns(table, target, rows, impute=impute)
    return tables.Encoding(tuple(each.column for each in readings if each.column), target)


def table(cells, target):
    columns = {
        "a": list(cells),
        "other": list(map(str, range(len(cells)))),  # so that column a may be left out
        "goal": list(target),
    }
    return tables.RawTable("table.csv", columns, list(range(2, len(cells) + 2)))


@given(tables_of_two(), st.booleans())
@quick
def test_columns_learn_from_training_rows_alone(two, impute):
    cells, others, training = two
    target = [str(i % 3) for i in range(len(cells))]
    first, second = (fit(table(each, target), training, impute=impute) for each in (cells, others))
    assert first == second
    if impute:
        X, changed = first.encode(table(cells, target)), second.encode(table(others, target))
        np.testing.assert_array_equal(X[training], changed[training])


@given(st.lists(st.floats(-1e3, 1e3), min_size=10, max_size=30), seeds, st.floats(-1e30, 1e30))
@quick
def test_the_target_is_scaled_by_training_rows_alone(values, seed, outlier):
    test, validation, training = split(len(values), seed)
    assume(np.ptp(np.array(values)[training]) > 0)
    goal = [repr(value) for value in values]
    changed = [
        repr(outlier) if row in {*test, *validation} else cell for row, cell in enumerate(goal)
    ]
    first, second = (fit(table(goal, each), training, "regression") for each in (goal, changed))
    assert first.target == second.target
    seen = np.array(values)[training]
    assert first.target.mean == pytest.approx(seen.mean(), rel=1e-12, abs=1e-12)
    if np.ptp(seen) > 1e-3:
        assert first.target.scale == pytest.approx(seen.std(), rel=1e-6)


def test_a_category_that_was_not_there_is_refused_by_its_line():
    seen = table(["red", "blue"] * 10, ["0", "1"] * 10)
    encoding = fit(seen, np.arange(10))
    with pytest.raises(ValueError, match=r"line 4, column 'a': 'pink' is none of blue, red"):
        encoding.encode(table(["red", "blue", "pink"], ["0", "1", "0"]))
    # One that stands in no training row is known: a test row may have it.
    rare = table([*["red", "blue"] * 10, "pink"], [*["0", "1"] * 10, "0"])
    encoding = fit(rare, np.arange(20))
    assert encoding.encode(rare)[-1, :3].tolist() == [0, 1, 0]


# --data


def data_of(path, rows, seed):
    path.write_text("\n".join(",".join(map(repr, row)) for row in rows))
    return read_data(SimpleNamespace(data=path, seed=seed))


def scaled(data):
    """X as the network's first layers scale it."""
    return cr.Sequential(*data.scaling, cr.Identity(), dtype="float64").predict(data.X)


@pytest.mark.parametrize("scale", [1.0, 1000.0], ids=["pixels", "columns"])
@pytest.mark.parametrize("outlier", [-5.0, 40.0, 1e30])
def test_an_outlier_in_another_row_changes_no_training_input(tmp_path, scale, outlier):
    rng = np.random.default_rng(0)
    rows = [[*(scale * rng.random(3)).tolist(), i % 2] for i in range(30)]
    rows[split(30, 7)[2][0]][:2] = [0.0, 1.0]
    before = data_of(tmp_path / "a.csv", rows, 7)
    for row in (before.test[0], before.validation[-1]):
        changed = [list(cells) for cells in rows]
        changed[row][1] = outlier
        after = data_of(tmp_path / "b.csv", changed, 7)
        for part in PARTS:
            kept = [i for i in getattr(before, part) if i != row]
            np.testing.assert_array_equal(scaled(after)[kept], scaled(before)[kept])
    if scale > 1:
        training = scaled(before)[before.training]
        np.testing.assert_allclose(training.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(training.std(axis=0), 1)


def test_a_column_that_varies_too_little_for_float32_is_refused_before_training(tmp_path):
    rows = [[-i * 1e-30, i % 2] for i in range(30)]
    rows[int(split(30, 0)[0][0])][0] = 1e20
    data = data_of(tmp_path / "a.csv", rows, 0)
    with pytest.raises(ValueError, match=r"variance\[0\] must be more than 0 in float32"):
        cr.Sequential(*data.scaling)


@pytest.mark.parametrize("value", [0.1, 1e6])
def test_a_column_constant_up_to_rounding_is_zero(tmp_path, value):
    """Its deviation is no scale: another value later would become huge."""
    rng = np.random.default_rng(0)
    column = np.float32(value) * np.ones(30, np.float32)
    column[1::2] = np.nextafter(column[0], np.float32(np.inf))
    rows = [[float(c), float(rng.normal()), i % 2] for i, c in enumerate(column)]
    data = data_of(tmp_path / "a.csv", rows, 0)
    assert np.abs(scaled(data)[:, 0]).max() < 1e-6 * value
    assert scaled(data)[data.training, 1].std() == pytest.approx(1)


# What fit and the test are given


ROWS = 60


def write(path, with_header):
    """Write rows that each have a number of their own in column a, and a target that tells them."""
    rng = np.random.default_rng(0)
    numbers = rng.permutation(ROWS) * 10.0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        if with_header:
            writer.writerow(["a", "b", "goal"])
        goals = numbers**2 if with_header else np.minimum(np.arange(ROWS) % 7, 3) % 3
        writer.writerows(zip(numbers.tolist(), rng.random(ROWS), goals, strict=True))
    return numbers, goals


@pytest.mark.parametrize("is_table", [True, False], ids=["table", "--data"])
@pytest.mark.parametrize("seed", ["0", "5"])
def test_each_part_serves_its_purpose(tmp_path, capsys, monkeypatch, is_table, seed):
    path, model = tmp_path / "data.csv", tmp_path / "model.safetensors"
    numbers, goals = write(path, is_table)
    seen = {}

    def spy(net, X, y, *, validation, **options):
        seen.update(training=(X, y), validation=validation)
        return original(net, X, y, validation=validation, **options)

    def measured(y, output):
        seen["test"] = None, y
        return accuracy(y, output)

    original = cr.fit
    monkeypatch.setattr(cr, "fit", spy)
    monkeypatch.setattr(cr.metrics, "accuracy", measured)
    what = [str(path), "--target", "goal"] if is_table else ["--data", str(path)]
    arguments = ["train", *what, "--epochs=2", "--hidden=4", "--seed", seed, "--json"]
    assert cli.main([*arguments, "--out", str(model)]) == 0
    report = json.loads(capsys.readouterr().out)

    rows = {}
    for part in ("training", "validation"):
        X, y = seen[part]
        mean, scale = 0.0, 1.0  # the network scales arrays
        if is_table:
            mean, scale = _scale_of(seen["training"][0][:, 0], numbers, seed)
        rows[part] = [int(np.argmin(np.abs(numbers - value))) for value in X[:, 0] * scale + mean]
        assert len(set(rows[part])) == len(rows[part]) == report["rows"][part] == len(y)
        _check_targets(y, goals[rows[part]], is_table)
    assert not set(rows["training"]) & set(rows["validation"])
    rest = sorted(set(range(ROWS)) - set(rows["training"]) - set(rows["validation"]))
    assert len(rest) == report["rows"]["test"] == 12
    if is_table:
        assert cli.main(["predict", str(model), str(path), "--json"]) == 0
        predicted = np.array(json.loads(capsys.readouterr().out)["predictions"])
        errors = goals[rest] - predicted[rest]
        expected = {
            "always_mean": np.abs(goals[rest] - goals[rows["training"]].mean()).mean(),
            "mean_absolute_error": np.abs(errors).mean(),
            "r2": 1 - (errors**2).mean() / goals[rest].var(),
        }
        assert report["test"] == pytest.approx(expected, rel=1e-5)
    else:
        assert sorted(seen["test"][1].tolist()) == sorted(goals[rest].tolist())
        most = np.bincount(goals[rows["training"]]).argmax()
        assert report["test"]["always_most_frequent"] == np.mean(goals[rest] == most)


def _scale_of(column, numbers, seed):
    """Return mean and deviation by which the training rows were standardized."""
    training = split(ROWS, int(seed))[2]
    seen = numbers[training]
    np.testing.assert_allclose(column, (seen - seen.mean()) / seen.std(), rtol=1e-5, atol=1e-6)
    return seen.mean(), seen.std()


def _check_targets(y, goals, is_table):
    """The targets are those of the same rows, class by class or in the same order."""
    if is_table:
        assert np.argsort(y[:, 0]).tolist() == np.argsort(goals).tolist()
    else:
        np.testing.assert_array_equal(y, goals)


def test_the_same_seed_and_labels_give_the_same_parts_whatever_the_other_cells_say(tmp_path):
    options = argparse.Namespace(data=tmp_path / "data.csv", seed=3)
    _, goals = write(options.data, False)
    first = read_data(options)
    options.data.write_text("\n".join(f"{i},{-i},{goal}" for i, goal in enumerate(goals)))
    second = read_data(options)
    for part in PARTS:
        assert getattr(first, part).tolist() == getattr(second, part).tolist()


def test_the_options_reach_the_training(tmp_path, monkeypatch):
    seen = {}

    def spy(net, X, y, **options):
        seen.update(options, net=net)
        return original(net, X, y, **options)

    original = cr.fit
    monkeypatch.setattr(cr, "fit", spy)
    path = tmp_path / "data.csv"
    write(path, False)
    numbers = ["--epochs=2", "--batch-size=7", "--lr=0.125", "--weight-decay=0.25", "--seed=3"]
    network = ["--hidden=5,4", "--activation=elu", "--backend=numpy"]
    assert cli.main(["train", "--data", str(path), *numbers, *network]) == 0
    names = "epochs", "batch_size", "seed"
    assert [seen[name] for name in names] == [2, 7, 3]
    assert repr(seen["optimizer"]) == repr(cr.AdamW(lr=0.125, weight_decay=0.25))
    elu, net = cr.ELU, seen["net"]
    layers = cr.Linear(2, 5), elu(), cr.Linear(5, 4), elu(), cr.Linear(4, 3)
    layers = cr.Standardize().adapt(np.ones((1, 2))), *layers
    assert repr(net) == repr(cr.Sequential(*layers, backend="numpy"))
    assert net.backend == "numpy"
